package cache

import (
	"net/http"
	"testing"
)

// TestHeadRenewsOrDrops: what the answer to a HEAD says holds for what is stored (RFC 9111, section 4.3.5). What the client of the HEAD says does not.
func TestHeadRenewsOrDrops(t *testing.T) {
	const etag = `Etag: "1"`
	for _, c := range []struct {
		name   string
		status int
		answer []string // to HEAD
		asks   string   // what else the HEAD says
		want   string   // of a GET afterwards
	}{
		{"it is the same", 200, []string{ten, etag}, "", "hit 200 text"},
		{"it says nothing", 200, []string{ten}, "", "hit 200 text"},
		{"it is another one", 200, []string{ten, `Etag: "2"`}, "", "miss 200 whole"},
		{"it has another length", 200, []string{ten, etag, "Content-Length: 5"}, "", "miss 200 whole"},
		{"its place is another one", 200, []string{ten, etag, "Vary: Accept"}, "", "miss 200 whole"},
		{"its query is another one", 200, []string{ten, etag, "No-Vary-Search: params"}, "", "miss 200 whole"},
		{"no-store", 200, []string{"Cache-Control: no-store", etag}, "", "miss 200 whole"},
		{"private", 200, []string{"Cache-Control: private, max-age=10", etag}, "", "miss 200 whole"},
		{"no-store, which the client says, too", 200, []string{"Cache-Control: no-store", etag}, "Cache-Control: no-store", "miss 200 whole"},
		{"the client's no-store", 200, []string{ten, etag}, "Cache-Control: no-store", "miss 200 validated"},
		{"the client's credentials", 200, []string{ten, etag}, "Authorization: Basic YTpi", "miss 200 validated"},
		{"the client's credentials, public", 200, []string{ten + ", public", etag}, "Authorization: Basic YTpi", "hit 200 text"},
		{"it fails", 503, nil, "", "miss 200 validated"},
	} {
		in(t, c.name, "{}", func(n int64, r *http.Request) (*http.Response, error) {
			switch {
			case n == 1:
				return respond(200, "text", ten, etag), nil
			case r.Method == http.MethodHead:
				resp := respond(c.status, "", c.answer...)
				resp.ContentLength = -1
				return resp, nil
			case r.Header["If-None-Match"] != nil:
				return respond(200, "validated", "Cache-Control: no-store"), nil
			}
			return respond(200, "whole", "Cache-Control: no-store"), nil
		}, func(p *route) {
			p.get("miss 200 text", "/x")
			pause(11)
			said := []string{}
			if c.asks != "" {
				said = append(said, c.asks)
			}
			if got := p.run(p.exchange("HEAD", "/x", said...)); got != "miss alone" {
				p.t.Errorf("HEAD: %s", got)
			}
			p.get(c.want, "/x")
		})
	}
}
