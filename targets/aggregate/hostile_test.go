package aggregate_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
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

// TestMergesOfNothing: whether answers fit does not depend on whether there is something in them.
func TestMergesOfNothing(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"object": says(`{}`), "list": says(`[]`), "null": says(`null`), "full": says(`[1]`)})+`
routes:
  - {match: /1, aggregate: {a: object, b: list, compose: merge}}
  - {match: /2, aggregate: {a: list, b: object, compose: merge}}
  - {match: /3, aggregate: {a: object, b: full, compose: merge}}
  - {match: /4, aggregate: {a: object, b: "null", compose: merge}}
  - {match: /5, aggregate: {a: {call: list, merge: true}, b: object}}
  - {match: /6, aggregate: {b: object, a: {call: list, merge: true}}}
  - {match: /7, aggregate: {a: "null", b: full, c: list, compose: merge}}
`)
	for path, want := range map[string]string{"/1": "", "/2": "", "/3": "", "/4": "{}", "/5": "", "/6": "", "/7": "[1]"} {
		if resp, body := g.Get(path); want == "" && resp.StatusCode != 502 || want != "" && body != want {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// TestFieldsWithoutEnd: a service does not make the heads of our answers, nor of requests to others, as long as it likes.
func TestFieldsWithoutEnd(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"long": says(`{"v":"` + strings.Repeat("x", 40_000) + `"}`), "echo": echo})+`
routes:
  - {match: /answer, aggregate: {a: long, headers: {x-v: "{a.v}"}}}
  - {match: /field, aggregate: {a: long, b: {call: echo, headers: {x-v: "{a.v}"}}}}
  - {match: /query, aggregate: {a: long, b: "echo/?v={a.v}"}}
  - {match: /body, aggregate: {b: "echo/{body.v}"}}
`)
	if resp, _ := g.Get("/answer"); resp.StatusCode != 200 || resp.Header["X-V"] != nil {
		t.Errorf("%d %.200v", resp.StatusCode, resp.Header)
	}
	for path, want := range map[string]int{"/field": 502, "/query": 502, "/body": 400} {
		if resp, body := g.Do("GET", path, `{"v":"`+strings.Repeat("x", 40_000)+`"}`); resp.StatusCode != want || !strings.Contains(body, `call \"b\"`) {
			t.Errorf("%s: %d %.300s", path, resp.StatusCode, body)
		}
	}
}

// TestCookiesWithoutEnd: a loop over one answer passes its cookie on once, and no service makes a head of megabytes.
func TestCookiesWithoutEnd(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{
		"list": says(`[1,2,3,4]`), "one": says(`1`, "Set-Cookie: a=1"),
		"many": func(w http.ResponseWriter, r *http.Request) {
			for i := range 20 {
				w.Header().Add("Set-Cookie", fmt.Sprintf("c%s%d=%s", r.URL.Path[1:], i, strings.Repeat("x", 1000)))
			}
			says(`1`)(w, r)
		},
	})+`
routes:
  - {match: /one, aggregate: {l: list, a: {each: l, call: one}, b: one, cookies: pass}}
  - {match: /many, aggregate: {l: list, a: {each: l, call: "many/{item}"}, cookies: pass}}
`)
	if resp, _ := g.Get("/one"); strings.Join(resp.Header["Set-Cookie"], "|") != "a=1" {
		t.Errorf("%q", resp.Header["Set-Cookie"])
	}
	if resp, _ := g.Get("/many"); resp.StatusCode != 200 || len(resp.Header["Set-Cookie"]) != 32 {
		t.Errorf("%d, %d cookies", resp.StatusCode, len(resp.Header["Set-Cookie"]))
	}
}

// TestStatusesThatAreNone are no statuses of ours.
func TestStatusesThatAreNone(t *testing.T) {
	odd := func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
	}
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"odd": odd})+"routes:\n  - {match: '/{n}', aggregate: {a: 'odd/{n}', failure_status: upstream}}\n")
	for path, want := range map[string]int{"/302": 502, "/404": 404, "/599": 599, "/600": 502, "/999": 502} {
		if resp, _ := g.Get(path); resp.StatusCode != want {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
