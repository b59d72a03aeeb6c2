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
		"a forged key":   says(`0,"forged":1`),
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

// faultRoutes are routes with a call that fails: required, optional, the first, the last, one that others need, one of a loop, in each format.
const faultRoutes = `
  - {match: /first, aggregate: {x: {call: bad, timeout: LIMIT}, y: good}}
  - {match: /last, aggregate: {y: good, x: {call: bad, timeout: LIMIT}}}
  - {match: /needed, aggregate: {x: {call: bad, timeout: LIMIT, hide: true}, y: "good/{x.a}"}}
  - {match: /looped, aggregate: {y: {call: good, hide: true}, x: {each: y.list, call: bad, timeout: LIMIT}}}
  - {match: /own, aggregate: {x: {call: bad, timeout: LIMIT}, failure_status: upstream}}
  - {match: /optional, aggregate: {x: {call: bad, timeout: LIMIT, optional: true}, y: {call: good, pick: [ok]}, errors: true}}
  - {match: /default, aggregate: {y: {call: good, pick: [ok]}, x: {call: bad, timeout: LIMIT, optional: true, default: [7]}}}
  - {match: /needs, aggregate: {x: {call: bad, timeout: LIMIT, optional: true, default: {a: "1"}}, y: {call: "good/{x.a}", pick: [ok]}}}
  - {match: /loop, aggregate: {y: {call: good, hide: true}, x: {each: y.list, call: bad, timeout: LIMIT, optional: true, default: 0}}}
  - {match: /jq, aggregate: {y: good, x: {call: bad, timeout: LIMIT, optional: true, default: 3}, compose: '[.x, .y.ok]'}}
  - {match: /looked, aggregate: {x: {call: bad, timeout: LIMIT, optional: true}, y: {call: good, pick: [ok]}, headers: {x-of: "{x.a}"}}}
  - {match: /merged, aggregate: {x: {call: bad, timeout: LIMIT, optional: true}, y: {call: good, pick: [ok]}, compose: {merge: true}, headers: {x-of: "{x.a}"}}}
  - {match: /begun, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: LIMIT, optional: true, default: 0}, begin: first}}
  - {match: /lines, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: LIMIT}, format: ndjson}}
  - {match: /events, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: LIMIT, optional: true}, format: sse}}
  - {match: /parts, aggregate: {y: {call: good, pick: [ok]}, x: {call: "bad/{y.ok}", timeout: LIMIT, optional: true, default: 0}, format: multipart}}
`

// fault is one way to fail, and what is told of it.
type fault struct {
	*gatewaytest.Gateway
	code     string
	status   int // of the answer
	answered int // by the service; 0: it is not that
}

func newFault(t *testing.T, name, good, bad string) *fault {
	limit := "20s"
	if strings.HasPrefix(name, "slow") {
		limit = "200ms"
	}
	f := &fault{code: "call_failed", status: 502, answered: map[string]int{"500": 500, "404": 404, "503": 503}[name]}
	switch {
	case name == "refused":
		f.code = "upstream_connect_failed"
	case strings.HasPrefix(name, "slow"):
		f.code, f.status = "upstream_timeout", 504
	case strings.HasPrefix(name, "reset"):
		f.code = "upstream_reset"
	}
	f.Gateway = gatewaytest.New(t, fmt.Sprintf("upstreams:\n  good: {endpoints: [%s]}\n  bad: {endpoints: [%s], retry: off, eject: off}\noverload: off\nroutes:", good, bad)+
		strings.ReplaceAll(faultRoutes, "LIMIT", limit))
	return f
}

// partial is the field Cardea-Partial.
func (f *fault) partial() string {
	if f.answered > 0 {
		return fmt.Sprintf("x;status=%d", f.answered)
	}
	return "x;reason=" + f.code
}

// TestFaults: each way to fail, at each place.
func TestFaults(t *testing.T) {
	good := httptest.NewServer(says(`{"ok":true,"list":[1,2]}`))
	t.Cleanup(good.Close)
	for name, url := range faulty(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFault(t, name, good.URL, url)
			f.required(t)
			f.optional(t)
			f.parts(t)
		})
	}
}

// required: the answer is an error that names the call.
func (f *fault) required(t *testing.T) {
	for _, path := range []string{"/first", "/last", "/needed", "/looped", "/own"} {
		resp, body := f.Get(path)
		want := f.status
		if path == "/own" && f.answered > 0 {
			want = f.answered
		}
		if resp.StatusCode != want || !strings.Contains(body, fmt.Sprintf("%q", f.code)) || !strings.Contains(body, `call \"x\"`) || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %s, wanted %d with %s", path, resp.StatusCode, body, want, f.code)
		}
		if after := resp.Header.Get("Retry-After"); path == "/own" && f.answered == 503 && after != "7" {
			t.Errorf("Retry-After is %q", after)
		}
	}
	// Where the good one comes first, and is needed, what fails has its place in what has begun.
	if resp, body := f.Get("/lines"); resp.StatusCode != 200 || !strings.HasPrefix(body, "{\"y\":{\"ok\":true}}\n{\"errors\":[{\"code\":\""+f.code+"\",") {
		t.Errorf("/lines: %d %s", resp.StatusCode, body)
	}
}

// optional: something stands in for it, and a field or a trailer tells.
func (f *fault) optional(t *testing.T) {
	told := fmt.Sprintf(`"errors":[{"call":"x","code":%q}]`, f.code)
	if f.answered > 0 {
		told = fmt.Sprintf(`"errors":[{"call":"x","code":"call_failed","status":%d}]`, f.answered)
	}
	for path, want := range map[string]string{
		"/optional": `{"x":null,"y":{"ok":true},` + told + `}`, "/default": `{"y":{"ok":true},"x":[7]}`, "/needs": `{"x":{"a":"1"},"y":{"ok":true}}`,
		"/loop": `{"x":[0,0]}`, "/jq": `[3,true]`, "/looked": `{"x":null,"y":{"ok":true}}`, "/merged": `{"ok":true}`, "/begun": `{"y":{"ok":true},"x":0}`, "/events": "event: y\ndata: {\"ok\":true}\n\nevent: x\ndata: null\n\n",
	} {
		resp, body := f.Get(path)
		partial := f.partial()
		if path == "/loop" {
			partial = "x;missing=2"
		}
		got := resp.Header.Get("Cardea-Partial") + resp.Trailer.Get("Cardea-Partial")
		if resp.StatusCode != 200 || body != want || got != partial {
			t.Errorf("%s: %d %s, partial %q, wanted %s, %q", path, resp.StatusCode, body, got, want, partial)
		}
		if control := resp.Header["Cache-Control"]; len(control) != 1 || control[0] != "no-store" {
			t.Errorf("%s: Cache-Control is %q", path, control)
		}
	}
}

// parts: a multipart answer is read by a reader that is not ours.
func (f *fault) parts(t *testing.T) {
	resp, body := f.Get("/parts")
	_, boundary, _ := strings.Cut(resp.Header.Get("Content-Type"), "boundary=")
	parts, got := multipart.NewReader(strings.NewReader(body), boundary), ""
	for part, err := parts.NextPart(); err == nil; part, err = parts.NextPart() {
		b, _ := io.ReadAll(part)
		got += part.Header.Get("Content-Disposition") + string(b) + ";"
	}
	if want := `inline; name="y"{"ok":true};inline; name="x"0;`; got != want || resp.Header.Get("Cardea-Partial")+resp.Trailer.Get("Cardea-Partial") != f.partial() {
		t.Errorf("/parts: %s", got)
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
