package fallback_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// purge purges by the admin API.
func purge(t *testing.T, g *gatewaytest.Gateway, what url.Values) {
	t.Helper()
	resp, err := g.Client.PostForm("http://"+g.AdminAddr()+"/caches/purge", what)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		t.Fatalf("purge: %d %s", resp.StatusCode, body)
	}
}

func TestAPurgeIsForTheLastGoodAnswer(t *testing.T) {
	s := newService(t, text(200, "good", "Surrogate-Key: a b", "Cache-Tag: a"))
	g := gatewaytest.New(t, "admin: 127.0.0.1:0\n"+config(s.URL, s.URL, "[last_good, {body: later}]"))
	for name, what := range map[string]url.Values{
		"by URL": {"url": {"http://a.test/x"}}, "by tag": {"tag": {"a"}}, "by prefix": {"prefix": {"http://a.test/"}}, "all": {"all": {"true"}},
	} {
		s.do.Store(text(200, "good", "Cache-Tag: a"))
		g.Get("/x", "Host: a.test")
		s.do.Store(text(503, "bad"))
		if _, body := g.Get("/x", "Host: a.test"); body != "good" {
			t.Fatalf("%s: before: %q", name, body)
		}
		purge(t, g, what)
		if _, body := g.Get("/x", "Host: a.test"); body != "later" {
			t.Errorf("%s: %q", name, body)
		}
	}
}

// metric is the value of a metric's series, as the text has it.
func metric(g *gatewaytest.Gateway, series string) string {
	w := httptest.NewRecorder()
	g.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

func TestWhatIsCounted(t *testing.T) {
	s := newService(t, text(503, "bad"))
	g := gateway(t, s.URL, refusing(t), "[last_good, b, {status: 418}]")
	g.Get("/x")
	g.Get("/x")
	s.do.Store(http.HandlerFunc(cut))
	g.Get("/x")
	s.do.Store(text(200, "good"))
	g.Get("/x")
	s.do.Store(text(502, "bad"))
	g.Get("/x")
	if err := g.SetConfig(config(s.URL, refusing(t), "b")); err != nil {
		t.Fatal(err)
	}
	g.Get("/x")
	for labels, want := range map[string]string{
		`kind="status",reason="503"`: "2", `kind="status",reason="upstream_reset"`: "1", `kind="last_good",reason="502"`: "1", `kind="none",reason="502"`: "1",
		`kind="to",reason="502"`: "", `kind="last_good",reason="503"`: "",
	} {
		if got := metric(g, `cardea_fallbacks_total{`+labels+`,route="r"}`); got != want {
			t.Errorf("%s: %q, want %q", labels, got, want)
		}
	}
}

func TestOpenBreakerAndNoHealthyEndpoint(t *testing.T) {
	s, other := newService(t, text(500, "bad")), newService(t, text(200, "other"))
	for name, test := range map[string]struct{ settings, reason string }{
		"open breaker":        {"retry: off, eject: off, breaker: {error_rate: 1%, min_requests: 1, open_for: 1h}", "upstream_breaker_open"},
		"no healthy endpoint": {"retry: off, eject: off, health: {path: /health, interval: 10ms, unhealthy: 1}", "upstream_unavailable"},
	} {
		for kind, policy := range map[string]string{"body": "{body: later}", "to": "b", "last_good": "last_good"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				s.do.Store(text(200, "good"))
				g := gatewaytest.New(t, "overload: off\nupstreams: {a: {endpoints: "+s.URL+", "+test.settings+"}, b: "+other.URL+"}\nroutes: [{name: r, match: /**, to: a, fallback: "+policy+"}]\n")
				g.Get("/x")
				s.do.Store(text(500, "bad"))
				until(t, "the failure", func() bool {
					resp, _ := g.Get("/x")
					return strings.HasSuffix(resp.Header.Get("Cardea-Fallback"), "reason="+test.reason)
				})
				before := s.asked.Load()
				resp, body := g.Get("/x")
				want := map[string]string{"body": "later", "to": "other", "last_good": "good"}[kind]
				if resp.StatusCode != 200 || body != want || resp.Header.Get("Cardea-Fallback") != kind+"; reason="+test.reason {
					t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
				}
				if name == "open breaker" && s.asked.Load() != before {
					t.Error("the service was asked")
				}
			})
		}
	}
}

func TestAnswersWithTrailersAreNotKept(t *testing.T) {
	for name, late := range map[string]bool{"announced": false, "unannounced": true} {
		s := newService(t, func(w http.ResponseWriter, _ *http.Request) {
			key := "X-Sum"
			if late {
				key = http.TrailerPrefix + key
			} else {
				w.Header().Set("Trailer", key)
			}
			_, _ = io.WriteString(w, "good")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(key, "1")
		})
		g := gateway(t, s.URL, s.URL, "[last_good, {body: later}]")
		resp, body := g.Get("/x", "TE: trailers")
		if body != "good" || resp.Trailer.Get("X-Sum") != "1" {
			t.Errorf("%s: %q %v", name, body, resp.Trailer)
		}
		s.do.Store(text(503, "bad"))
		if _, body := g.Get("/x"); body != "later" {
			t.Errorf("%s: %q was kept", name, body)
		}
	}
}

func TestOverHTTP2(t *testing.T) {
	s, other := newService(t, text(200, "good")), newService(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.Method, b)
	})
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	g := gatewaytest.New(t, "listen: {address: '127.0.0.1:0', protocols: [http1, h2c]}\n"+config(s.URL, other.URL, "[last_good, {to: {upstream: b, methods: [POST], max_body: 10}}, {body: later}]"))
	ask := func(method, path, body string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, g.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(got)
	}
	ask("GET", "/x", "")
	s.do.Store(http.HandlerFunc(cut))
	for _, test := range []struct{ method, path, body, want, mark string }{
		{"GET", "/x", "", "good", "last_good"},
		{"HEAD", "/x", "", "", "last_good"},
		{"GET", "/y", "", "GET ", "to"},
		{"POST", "/x", "hello", "POST hello", "to"},
		{"POST", "/x", "hello, world", "later", "body"},
	} {
		resp, body := ask(test.method, test.path, test.body)
		if resp.ProtoMajor != 2 || resp.StatusCode != 200 || body != test.want || resp.Header.Get("Cardea-Fallback") != test.mark+"; reason=upstream_reset" {
			t.Errorf("%s %s %q: %s %d %q %v", test.method, test.path, test.body, resp.Proto, resp.StatusCode, body, resp.Header)
		}
	}
}
