package admin

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

func TestAPurgeThatIsTooLong(t *testing.T) {
	h := Handler(Gateway{Metrics: http.NotFoundHandler(), Caches: func() []filter.ResponseCache { return nil }, Log: slog.New(slog.DiscardHandler)}, config.Admin{})
	r := httptest.NewRequest("POST", "http://127.0.0.1/caches/purge", strings.NewReader(`{"tag": "`+strings.Repeat("x", 70_000)+`"}`))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "too large") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func FuzzPurge(f *testing.F) {
	for _, seed := range []string{`{"url": "https://h/"}`, `tag=a&soft=true`, `{"all": true, "soft": null}`, "null", "[]"} {
		f.Add(seed, "cache=x")
	}
	f.Fuzz(func(t *testing.T, body, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		order, err := readPurge(io.NopCloser(strings.NewReader(body)), q)
		if err != nil {
			return
		}
		p, err := checkPurge(order.Purge)
		if err != nil {
			return
		}
		if again, err := checkPurge(p); err != nil || again != p {
			t.Errorf("%+v is understood as %+v, and that as %+v, %v", order, p, again, err)
		}
	})
}
