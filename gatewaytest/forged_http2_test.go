package gatewaytest_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// h2 returns a client that speaks HTTP/2 without TLS.
func h2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// late is a body at whose end a trailer is set.
type late struct {
	io.Reader
	r *http.Request
}

func (b late) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.r.Trailer.Set("X-User", "root")
		b.r.Trailer.Set("X_groups", "admin")
		b.r.Trailer.Set("X-Sum", "1")
	}
	return n, err
}

func (late) Close() error { return nil }

func TestIdentityHeadersCannotBeForgedOverHTTP2(t *testing.T) {
	seen := make(chan http.Header, 1)
	up := upstream(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		h := r.Header.Clone()
		for name, values := range r.Trailer {
			h["trailer "+name] = values
		}
		seen <- h
	})
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', protocols: [http1, h2c]}\nupstreams: {u: "+up.URL+"}\nidentity_headers: {}\nroutes: [{match: /**, to: u}]")
	r, err := http.NewRequest("POST", g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body, r.ContentLength = late{strings.NewReader("hello"), r}, -1
	r.Header = http.Header{"X-User": {"root"}, "x_user": {"root"}, "X_Groups": {"admin"}, "X.consumer": {"root"}}
	r.Trailer = http.Header{"X-User": nil, "X_groups": nil, "X-Sum": nil}
	resp, err := h2(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := <-seen
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 || h["trailer X-Sum"] == nil {
		t.Errorf("got %s %d, and the upstream %v", resp.Proto, resp.StatusCode, h)
	}
	for field, values := range h {
		if slices.Contains(values, "root") || slices.Contains(values, "admin") {
			t.Errorf("the upstream sees %s: %v", field, values)
		}
	}
}

func TestPathsAreJudgedOverHTTP2(t *testing.T) {
	seen := make(chan string, 1)
	g := guarded(t, "", seen)
	g.Client = h2(t)
	for target, want := range map[string]string{
		"/admin": "401", "/x/../admin": "401", "/x/%2e%2e/admin": "401", "//admin": "401", "/%61dmin": "401", "/x/..%2fadmin": "400", "/x/..;/admin": "400",
		"/%5cadmin": "400", "/admin/help": "help /admin/help", "/%2561dmin": "public /%2561dmin", "/admin%2fx": "public /admin%2Fx",
	} {
		r, err := http.NewRequest("GET", g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = target
		if strings.HasPrefix(target, "//") {
			r.URL.Opaque = "//" + r.URL.Host + target
		}
		resp, err := g.Client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", target, err)
		}
		resp.Body.Close()
		got := ""
		select {
		case got = <-seen:
		default:
			got = resp.Status[:3]
		}
		if got != want || resp.ProtoMajor != 2 {
			t.Errorf("%s: got %q by %s, want %q", target, got, resp.Proto, want)
		}
	}
}
