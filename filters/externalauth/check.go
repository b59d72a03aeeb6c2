package externalauth

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// check asks by gRPC, as Envoy's ext_authz does: a unary call is a POST in HTTP/2 with a framed message each way, and a status in the
// trailer. No gRPC library is needed for that.
type check struct {
	to         filter.Upstream
	whom       string
	url        *url.URL
	host       string
	shown      []string
	set        []template
	extensions map[string]string
	upstream   []string // fields that may be set for the upstream; nil: all
	maxBody    int
	identity   Identity
	consumers  filter.Consumers
	unknown    *filter.Identity
}

const (
	checkMethod = "/envoy.service.auth.v3.Authorization/Check"
	frameHead   = 5       // a flag, and the length of the message
	maxMessage  = 1 << 20 // of an answer
)

// newCheck returns who is asked by gRPC, and what people call it.
func newCheck(env *filter.Env, c *Config, unknown *filter.Identity) (authorizer, string, error) {
	k := &check{
		whom: "grpc " + c.GRPC, host: c.GRPC, url: &url.URL{Scheme: "http", Host: "authorizer", Path: checkMethod}, shown: canonical(c.RequestHeaders),
		extensions: c.ContextExtensions, upstream: canonical(c.ResponseHeaders), maxBody: int(c.RefusalBody),
		identity: c.Identity.canonical(), consumers: env.Consumers, unknown: unknown,
	}
	set, err := templates(env, c.Set)
	k.set = set
	return k, k.whom, errors.Join(k.find(env, c.GRPC), err)
}

// find finds the service that is asked.
func (k *check) find(env *filter.Env, to string) (err error) {
	if !strings.Contains(to, ":") {
		if k.to, err = env.Upstream(to); err != nil {
			return config.FieldErrorf("grpc", "%w", err)
		}
		return nil
	}
	u, err := grpcURL(to)
	if err != nil {
		return config.FieldErrorf("grpc", "%w", err)
	}
	k.host = u.Host
	k.to, err = connect(env, u, true)
	return err
}

// ask asks.
func (k *check) ask(ctx context.Context, ex *filter.Exchange, body []byte) (*verdict, error) {
	req := k.request(ctx, ex, body)
	child := ex.Child(req)
	defer child.Release()
	resp, err := k.to.Do(child, req)
	if err != nil {
		return nil, err
	}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	message, err := receive(resp)
	if err != nil {
		return nil, err
	}
	answer, err := decodeCheckResponse(message)
	if err != nil {
		return nil, fmt.Errorf("cannot read its answer: %w", err)
	}
	v, err := k.verdict(answer)
	if err != nil {
		return nil, err
	}
	v.size = len(message)
	return v, nil
}

// request makes the call.
func (k *check) request(ctx context.Context, ex *filter.Exchange, body []byte) *http.Request {
	h := make(http.Header, len(k.set)+4)
	fill(h, k.set, ex)
	h["Content-Type"], h["Te"] = []string{"application/grpc"}, []string{"trailers"}
	if end, ok := ctx.Deadline(); ok {
		h["Grpc-Timeout"] = []string{strconv.FormatInt(max(1, time.Until(end).Milliseconds()), 10) + "m"}
	}
	frame := make([]byte, frameHead, 1024)
	frame = encodeCheckRequest(frame, ex, k.headers(ex), k.extensions, body)
	binary.BigEndian.PutUint32(frame[1:frameHead], uint32(len(frame)-frameHead))
	req := &http.Request{
		Method: http.MethodPost, URL: k.url, Host: k.host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(frame)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(frame)), nil },
	}
	req.Body, _ = req.GetBody()
	return req.WithContext(ctx)
}

// headers are the fields of the request that the authorizer is shown.
func (k *check) headers(ex *filter.Exchange) http.Header {
	from := ex.Request.Header
	h := make(http.Header, len(from)+2)
	if k.shown != nil {
		for _, name := range k.shown {
			if values, ok := from[name]; ok {
				h[name] = values
			}
		}
		return h
	}
	for name, values := range from {
		if !ofConnection(name) && !forwarding(name) {
			h[name] = values
		}
	}
	h["X-Forwarded-Proto"] = []string{ex.Original.Scheme}
	if ex.Client.IsValid() {
		h["X-Forwarded-For"] = []string{ex.Client.String()}
	}
	return h
}

// receive reads the message of an answer.
func receive(resp *http.Response) ([]byte, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %d, which is not gRPC", resp.StatusCode)
	}
	if t := resp.Header.Get("Content-Type"); !strings.HasPrefix(t, "application/grpc") {
		return nil, fmt.Errorf("its answer is %.100q, which is not gRPC", t)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, frameHead+maxMessage+1))
	if err != nil {
		return nil, err
	}
	if len(body) > frameHead+maxMessage {
		return nil, fmt.Errorf("its answer has more than %d bytes", maxMessage)
	}
	if err := statusOf(resp); err != nil {
		return nil, err
	}
	return unframe(body)
}

// statusOf is the status of a call as an error: in the trailer, or in the header of an answer that has nothing else.
func statusOf(resp *http.Response) error {
	from := resp.Trailer
	if from.Get("Grpc-Status") == "" {
		from = resp.Header
	}
	switch code := from.Get("Grpc-Status"); code {
	case "0":
		return nil
	case "":
		return errors.New("its answer broke off: there is no grpc-status")
	default:
		return fmt.Errorf("it answered grpc-status %.20q: %.200q", code, from.Get("Grpc-Message"))
	}
}

// unframe returns the one message of a body.
func unframe(body []byte) ([]byte, error) {
	switch {
	case len(body) < frameHead:
		return nil, errors.New("its answer has no message")
	case body[0] != 0:
		return nil, errors.New("its answer is compressed, which it was not asked to be")
	case int64(binary.BigEndian.Uint32(body[1:frameHead])) != int64(len(body)-frameHead):
		return nil, errors.New("its answer is not one whole message")
	}
	return body[frameHead:], nil
}
