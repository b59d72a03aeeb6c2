package aggregate

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// page returns what makes a page of three calls, which are answered at once, with what browsers send.
func page(t testing.TB) func() {
	a, env, err := made(t, `{profile: users/profile, orders: orders/of, offers: orders/latest}`, func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, ContentLength: 7, Header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=60"}}, Body: io.NopCloser(strings.NewReader(`{"a":1}`)),
		}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://gateway/home", nil)
	r.Header = http.Header{"User-Agent": {"Browser/1.0"}, "Accept": {"*/*"}, "Cookie": {"sid=1"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Request-Id": {"1"}}
	ex := &filter.Exchange{}
	return func() {
		ex.Request, ex.Route, ex.ID = r, env.Route, "1"
		ex.Prepare(env.Slots())
		resp, err := a.Serve(ex)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 53 {
			t.Fatal(n, err)
		}
		ex.Release()
	}
}

// BenchmarkPage is what three calls cost beside their way to the services.
func BenchmarkPage(b *testing.B) {
	make := page(b)
	b.ReportAllocs()
	for b.Loop() {
		make()
	}
}
