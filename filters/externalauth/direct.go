package externalauth

import (
	"net"
	"net/http"
	"net/url"
	"time"

	"cardea.dev/cardea/filter"
)

// direct is a service that is known by its URL alone, and is not one of the configuration's upstreams.
type direct struct {
	name      string
	scheme    string
	host      string
	transport *http.Transport
}

// connect returns the service at a URL. Its connections outlive a reload. With h2 it speaks HTTP/2, with or without TLS.
func connect(env *filter.Env, to *url.URL, h2 bool) (filter.Upstream, error) {
	name := to.Scheme + "://" + to.Host
	version := ""
	if h2 {
		version = "h2:"
	}
	return filter.Keep(env, method+":"+version+name, func() (*direct, error) {
		return &direct{name: name, scheme: to.Scheme, host: to.Host, transport: newTransport(h2)}, nil
	})
}

func newTransport(h2 bool) *http.Transport {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxConnsPerHost:        512, // an authorizer that hangs is not given more
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 5 * time.Second, PingTimeout: 2 * time.Second}, // notices a peer that is gone
	}
	if h2 {
		t.Protocols.SetUnencryptedHTTP2(true)
	} else {
		t.Protocols.SetHTTP1(true)
	}
	t.Protocols.SetHTTP2(true)
	return t
}

// Name is the service's address.
func (d *direct) Name() string { return d.name }

// Do sends a request.
func (d *direct) Do(ex *filter.Exchange, req *http.Request) (*http.Response, error) {
	u := *req.URL
	u.Scheme, u.Host = d.scheme, d.host
	out := *req
	out.URL, out.Header = &u, req.Header.Clone() // the transport may go on reading it when the call is over
	if out.Header["User-Agent"] == nil {
		out.Header["User-Agent"] = nil // it would name itself
	}
	span := ex.Span.Client("external_auth " + d.name)
	span.Inject(out.Header)
	resp, err := d.transport.RoundTrip(&out)
	if span.Recording() {
		if err != nil {
			span.Fail(err)
		} else {
			span.Set("http.response.status_code", resp.StatusCode)
		}
	}
	span.End()
	return resp, err
}

// Close ends the connections that are idle. Those in use end with what they are used for.
func (d *direct) Close() error {
	d.transport.CloseIdleConnections()
	return nil
}
