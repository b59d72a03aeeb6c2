package aggregate_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// TestATextWithoutEnd is cut: what passes through is held by the token, and a text is one.
func TestATextWithoutEnd(t *testing.T) {
	list := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "["+strings.Repeat(`"`+strings.Repeat("x", 10_000)+`",`, 100)+"1]")
	}
	text := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `["`+strings.Repeat("x", 1_000_000)+`"]`)
	}
	asJSON := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			h(w, r)
		}
	}
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"list": asJSON(list), "text": asJSON(text)})+`
routes:
  - {match: /list, aggregate: {a: list, max_part: 100KiB}}
  - {match: /text, aggregate: {a: text, max_part: 100KiB}}
  - {match: /list/edited, aggregate: {a: {call: list, mask: {x: 4}}, max_part: 100KiB}}
  - {match: /text/edited, aggregate: {a: {call: text, mask: {x: 4}}, max_part: 100KiB}}
`)
	for path, whole := range map[string]bool{"/list": true, "/text": false, "/list/edited": true, "/text/edited": false} {
		resp, err := http.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if ended := err == nil && resp.StatusCode == 200; ended != whole {
			t.Errorf("%s: %d, %v", path, resp.StatusCode, err)
		}
	}
}
