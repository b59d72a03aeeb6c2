package oidc

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	maxAnswer   = 1 << 20          // of the provider
	askTimeout  = 10 * time.Second // for one question to the provider
	maxDialTime = 5 * time.Second
)

// newClient returns the client that asks the provider. Sizes and times are bounded, and redirects are not followed: what a provider says of
// itself it says at its own address.
func newClient() *http.Client {
	return &http.Client{
		Timeout: askTimeout,
		Transport: &bounded{&http.Transport{
			DialContext: (&net.Dialer{Timeout: maxDialTime}).DialContext,
			Proxy:       http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: maxDialTime, ResponseHeaderTimeout: askTimeout, MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// bounded bounds the bodies of answers.
type bounded struct{ *http.Transport }

// RoundTrip asks.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxAnswer {
		_ = resp.Body.Close()
		return nil, errTooLarge
	}
	resp.Body = &boundedBody{resp.Body, maxAnswer}
	return resp, nil
}

var errTooLarge = errors.New("the provider's answer is larger than 1 MiB")

// boundedBody is a body that fails where it is larger than allowed.
type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}
