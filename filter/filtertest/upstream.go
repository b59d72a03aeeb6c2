package filtertest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"cardea.dev/cardea/filter"
)

// upstream is an upstream that is a function.
type upstream struct {
	name string
	do   func(*filter.Exchange, *http.Request) (*http.Response, error)
}

// Upstream returns an upstream that is a function.
func Upstream(name string, do func(*filter.Exchange, *http.Request) (*http.Response, error)) filter.Upstream {
	return &upstream{name, do}
}

// Server returns an upstream that is a real server, which stops at the end of the test.
func Server(t testing.TB, name string, handler http.HandlerFunc) filter.Upstream {
	s := httptest.NewServer(handler)
	to, _ := url.Parse(s.URL)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		s.Close()
	})
	return Upstream(name, func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = to.Scheme, to.Host
		return transport.RoundTrip(r)
	})
}

func (u *upstream) Name() string { return u.name }

func (u *upstream) Do(ex *filter.Exchange, r *http.Request) (*http.Response, error) {
	return u.do(ex, r)
}
