package aggregate_test

import (
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// faulty are services that fail, each in its way.
func faulty(t *testing.T) map[string]string {
	t.Helper()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := "http://" + closed.Addr().String()
	_ = closed.Close()
	urls := map[string]string{"refused": refused}
	for name, answer := range map[string]http.HandlerFunc{
		"slow":            func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"slow in the end": func(w http.ResponseWriter, r *http.Request) { says(`{"a":`)(w, r); flush(w); <-r.Context().Done() },
		"reset":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"reset in the end": func(w http.ResponseWriter, r *http.Request) {
			says(`{"a":`)(w, r)
			flush(w)
			panic(http.ErrAbortHandler)
		},
		"500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret stack trace", 500) },
		"404": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", 404) },
		"503": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "7"); w.WriteHeader(503) },
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<p>")
		},
		"truncated":      says(`{"a":[1,2`),
		"two documents":  says(`{} {}`),
		"duplicate keys": says(`{"a":1,"a":2}`),
		"not UTF-8":      says("\"\xff\""),
		"too deep":       says(strings.Repeat("[", 100_000)),
		"a charset":      says(`{}`, "Content-Type: application/json; charset=utf-16"),
		"no type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "{}")
		},
		"not gzip":       says(`{}`, "Content-Encoding: gzip"),
		"another coding": says(`{}`, "Content-Encoding: zstd"),
	} {
		s := httptest.NewServer(answer)
		t.Cleanup(s.CloseClientConnections)
		t.Cleanup(s.Close)
		urls[name] = s.URL
	}
	return urls
}

func flush(w http.ResponseWriter) { w.(http.Flusher).Flush() }

// TestFaults: each way to fail, of a call that is required, optional, the first, the last, one that others need, and one of a loop.
func TestFaults(t *testing.T) {
	good := httptest.NewServer(says(`{"ok":true,"list":[1,2]}`))
	t.Cleanup(good.Close)
	codes := map[string]string{
		"refused": "upstream_connect_failed", "slow": "upstream_timeout", "slow in the end": "upstream_timeout", "reset": "upstream_reset", "reset in the end": "upstream_reset",
	}
	statuses := map[string]int{"slow": 504, "slow in the end": 504}
	answered := map[string]int{"500": 500, "404": 404, "503": 503}
	for fault, url := range faulty(t) {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			limit := "20s"
			if strings.HasPrefix(fault, "slow") {
				limit = "200ms"
			}
			g := gatewaytest.New(t, strings.ReplaceAll(fmt.Sprintf(`
upstreams:
  good: {endpoints: [%s]}
  bad: {endpoints: [%s], retry: off, eject: off}
overload: off
routes:
  - {match: /first, aggregate: {x: {call: bad, timeout: 200ms}, y: good}}
  - {match: /last, aggregate: {y: good, x: {call: bad, timeout: 200ms}}}
  - {match: /needed, aggregate: {x: {call: bad, timeout: 200ms, hide: true}, y: "good/{x.a}"}}
  - {match: /looped, aggregate: {y: {call: good, hide: true}, x: {each: y.list, call: bad, timeout: 200ms}}}
  - {match: /own, aggregate: {x: {call: bad, timeout: 200ms}, failure_status: upstream}}
  - {match: /optional, aggregate: {x: {call: bad, timeout: 200ms, optional: true}, y: {call: good, pick: [ok]}, errors: true}}
  - {match: /default, aggregate: {y: {call: good, pick: [ok]}, x: {call: bad, timeout: 200ms, optional: true, default: [7]}}}
  - {match: /needs, aggregate: {x: {call: bad, timeout: 200ms, optional: true, default: {a: "1"}}, y: {call: "good/{x.a}", pick: [ok]}}}
  - {match: /loop, aggregate: {y: {call: good, hide: true}, x: {each: y.list, call: bad, timeout: 200ms, optional: true, default: 0}}}
  - {match: /lines, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: 200ms}, format: ndjson}}
  - {match: /events, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: 200ms, optional: true}, format: sse}}
  - {match: /parts, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: 200ms, optional: true, default: 0}, format: multipart}}
  - {match: /begun, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: 200ms, optional: true, default: 0}, begin: first}}
`, good.URL, url), "200ms", limit))
			code, status := codes[fault], statuses[fault]
			if code == "" {
				code = "call_failed"
			}
			if status == 0 {
				status = 502
			}
			for _, path := range []string{"/first", "/last", "/needed", "/looped", "/own"} {
				resp, body := g.Get(path)
				want := status
				if own := answered[fault]; path == "/own" && own > 0 {
					want = own
				}
				if resp.StatusCode != want || !strings.Contains(body, fmt.Sprintf("%q", code)) || !strings.Contains(body, `call \"x\"`) || strings.Contains(body, "secret") {
					t.Errorf("%s: %d %s, wanted %d with %s", path, resp.StatusCode, body, want, code)
				}
				if after := resp.Header.Get("Retry-After"); path == "/own" && fault == "503" && after != "7" {
					t.Errorf("Retry-After is %q", after)
				}
			}
			told := fmt.Sprintf(`"errors":[{"call":"x","code":%q}]`, code)
			partial := "x;reason=" + code
			if own := answered[fault]; own > 0 {
				told, partial = fmt.Sprintf(`"errors":[{"call":"x","code":"call_failed","status":%d}]`, own), fmt.Sprintf("x;status=%d", own)
			}
			for path, want := range map[string][2]string{
				"/optional": {`{"x":null,"y":{"ok":true},` + told + `}`, partial},
				"/default":  {`{"y":{"ok":true},"x":[7]}`, partial},
				"/needs":    {`{"x":{"a":"1"},"y":{"ok":true}}`, partial},
				"/loop":     {`{"x":[0,0]}`, "x;missing=2"},
				"/begun":    {`{"y":{"ok":true},"x":0}`, partial},
				"/events":   {"event: y\ndata: {\"ok\":true}\n\nevent: x\ndata: null\n\n", partial},
			} {
				resp, body := g.Get(path)
				partial := resp.Header.Get("Cardea-Partial") + resp.Trailer.Get("Cardea-Partial")
				if resp.StatusCode != 200 || body != want[0] || partial != want[1] {
					t.Errorf("%s: %d %s, partial %q, wanted %q", path, resp.StatusCode, body, partial, want)
				}
				if told := resp.Header["Cache-Control"]; len(told) != 1 || told[0] != "no-store" {
					t.Errorf("%s: Cache-Control is %q", path, told)
				}
			}
			// The good one comes first, and is needed; what fails then has its place in what has begun.
			if resp, body := g.Get("/lines"); resp.StatusCode != 200 || !strings.HasPrefix(body, "{\"y\":{\"ok\":true}}\n{\"errors\":[{\"code\":\""+code+"\",") {
				t.Errorf("/lines: %d %s", resp.StatusCode, body)
			}
			resp, body := g.Get("/parts")
			_, boundary, _ := strings.Cut(resp.Header.Get("Content-Type"), "boundary=")
			parts, got := multipart.NewReader(strings.NewReader(body), boundary), ""
			for part, err := parts.NextPart(); err == nil; part, err = parts.NextPart() {
				b, _ := io.ReadAll(part)
				got += part.Header.Get("Content-Disposition") + string(b) + ";"
			}
			if want := `inline; name="y"{"ok":true};inline; name="x"0;`; got != want || resp.Header.Get("Cardea-Partial")+resp.Trailer.Get("Cardea-Partial") != partial {
				t.Errorf("/parts: %s", got)
			}
		})
	}
}

func TestAllTogetherTakeTooLong(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	g := gatewaytest.New(t, "upstreams: {slow: "+slow.URL+"}\nroutes:\n  - {match: /, aggregate: {a: slow, b: {call: slow/b, optional: true}, timeout: 100ms}}\n")
	begin := time.Now()
	resp, body := g.Get("/")
	if resp.StatusCode != 504 || !strings.Contains(body, "upstream_timeout") {
		t.Errorf("%d %s after %s", resp.StatusCode, body, time.Since(begin))
	}
}
