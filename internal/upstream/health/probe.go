package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// newProber returns what makes the checks of a kind.
func newProber(o Options, to Target) prober {
	d := newDialer(o, to)
	switch o.Kind {
	case TCP:
		return d.tcp
	case GRPC:
		return grpcProber(o, d)
	default:
		return httpProber(o, d)
	}
}

// dialer opens connections to an endpoint.
type dialer struct {
	to               Target
	network, address string
	tls              *tls.Config // nil: none
}

func newDialer(o Options, to Target) *dialer {
	d := &dialer{to: to, network: "tcp", address: to.Address}
	if path, ok := strings.CutPrefix(to.Address, "unix:"); ok {
		d.network, d.address = "unix", path
	}
	if to.Scheme != "https" && (o.TLS == nil || to.Scheme != "") {
		return d
	}
	d.tls = &tls.Config{}
	if o.TLS != nil {
		d.tls = o.TLS.Clone()
	}
	if d.tls.ServerName == "" {
		d.tls.ServerName = to.ServerName
	}
	if host, _, err := net.SplitHostPort(to.Address); err == nil && d.tls.ServerName == "" {
		d.tls.ServerName = host
	}
	return d
}

func (d *dialer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, d.network, d.address)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		err = fmt.Errorf("cannot connect: %w", op.Err) // the address is known
	}
	return c, err
}

// brief leaves the addresses out of a socket's error: one is known, and the other differs each time.
func brief(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("cannot %s: %w", op.Op, op.Err)
	}
	return err
}

func (d *dialer) tcp(ctx context.Context) (string, error) {
	c, err := d.dial(ctx, "", "")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if d.tls != nil {
		if err := tls.Client(c, d.tls).HandshakeContext(ctx); err != nil {
			return "", fmt.Errorf("cannot secure the connection: %w", err)
		}
	}
	return "connected", nil
}

// host is what a request names when nothing else was said.
func (d *dialer) host() string {
	switch {
	case d.to.ServerName != "":
		return d.to.ServerName
	case d.network == "unix":
		return "localhost"
	}
	return d.address
}

// transport opens a connection for each request, as whether that can be done is a part of the question.
func (d *dialer) transport(protocol string) *http.Transport {
	p := new(http.Protocols)
	switch protocol {
	case "http1":
		p.SetHTTP1(true)
	case "http2", "h2c":
		p.SetHTTP2(true)
		p.SetUnencryptedHTTP2(true)
	default:
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	}
	return &http.Transport{
		DialContext: d.dial, TLSClientConfig: d.tls.Clone(), Protocols: p,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10,
	}
}

func (d *dialer) scheme() string {
	if d.tls != nil {
		return "https"
	}
	return "http"
}

// maxBody is how much of a body is looked at.
const maxBody = 64 << 10

func httpProber(o Options, d *dialer) prober {
	protocol := o.Protocol
	if d.to.Scheme == "h2c" {
		protocol = "h2c"
	}
	t := d.transport(protocol)
	path, query, _ := strings.Cut(o.Path, "?")
	u := url.URL{Scheme: d.scheme(), Host: d.host(), Path: path, RawQuery: query}
	if plain, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = plain, path
	}
	header := o.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if len(header["User-Agent"]) == 0 {
		header.Set("User-Agent", "cardea-health")
	}
	host := o.Host
	if host == "" {
		host = u.Host
	}
	return func(ctx context.Context) (string, error) {
		defer t.CloseIdleConnections()
		req := (&http.Request{Method: o.Method, URL: &u, Host: host, Header: header}).WithContext(ctx)
		resp, err := t.RoundTrip(req)
		if err != nil {
			return "", brief(err)
		}
		defer resp.Body.Close()
		return judge(o, resp)
	}
}

func judge(o Options, resp *http.Response) (string, error) {
	found := fmt.Sprintf("status %d", resp.StatusCode)
	if !slices.ContainsFunc(o.Status, func(r Range) bool { return r.From <= resp.StatusCode && resp.StatusCode <= r.To }) {
		return "", errors.New(found)
	}
	if o.Body == "" && o.Match == nil {
		return found, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot read the body: %w", err)
	case !strings.Contains(string(body), o.Body):
		return "", fmt.Errorf("%s, but %q is not in the body", found, o.Body)
	case o.Match != nil && !o.Match.Match(body):
		return "", fmt.Errorf("%s, but %q does not match in the body", found, o.Match)
	}
	return found, nil
}
