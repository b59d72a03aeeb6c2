package aggregate_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// patience is how long a test waits for what must come, before it fails.
const patience = 30 * time.Second

// soon waits for something that must happen.
func soon(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(patience):
		t.Fatalf("%s: it does not happen", what)
	}
}

// TestTheAnswerBegins asks for the first bytes while a call is held back, and for the rest once it has been let go.
func TestTheAnswerBegins(t *testing.T) {
	for name, test := range map[string]struct{ aggregate, first, rest string }{
		"json, the optional one last": {`{a: good, b: {call: held, optional: true}}`, `{"a":{"ok":1}`, `,"b":{"held":1}}`},
		"json, first":                 {`{b: held, a: good, begin: first}`, `{"a":{"ok":1}`, `,"b":{"held":1}}`},
		"ndjson":                      {`{b: held, a: good, format: ndjson}`, "{\"a\":{\"ok\":1}}\n", "{\"b\":{\"held\":1}}\n"},
		"sse":                         {`{b: held, a: good, format: sse}`, "event: a\ndata: {\"ok\":1}\n\n", "event: b\ndata: {\"held\":1}\n\n"},
		"ndjson with a hidden one":    {`{h: {call: good/h, hide: true}, b: held, a: "good/{h.ok}", format: ndjson}`, "{\"a\":{\"ok\":1}}\n", "{\"b\":{\"held\":1}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			letGo := make(chan struct{})
			upstreams := services(t, map[string]http.HandlerFunc{
				"good": says(`{"ok":1}`),
				"held": func(w http.ResponseWriter, r *http.Request) { <-letGo; says(`{"held":1}`)(w, r) },
			})
			g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: "+test.aggregate+"\n")
			resp, err := g.Client.Get(g.URL + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			first := make([]byte, len(test.first))
			_, err = io.ReadFull(resp.Body, first)
			close(letGo)
			rest, err2 := io.ReadAll(resp.Body)
			if err != nil || err2 != nil || string(first) != test.first || string(rest) != test.rest {
				t.Errorf("%q, then %q, %v, %v", first, rest, err, err2)
			}
		})
	}
}

// letters writes a JSON text of so many letters, as fast as it can, and counts them.
func letters(count *atomic.Int64, size int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		block := []byte(strings.Repeat("x", 64<<10))
		_, _ = io.WriteString(w, `["`)
		for n := int64(0); n < size; n += int64(len(block)) {
			if n > 0 && n%(1<<20) == 0 {
				_, _ = io.WriteString(w, `","`)
			}
			if _, err := w.Write(block); err != nil {
				return
			}
			count.Add(int64(len(block)))
		}
		_, _ = io.WriteString(w, `"]`)
	}
}

// TestALongPartPassesThrough: much passes, and memory stays small.
func TestALongPartPassesThrough(t *testing.T) {
	const size = 80 << 20
	var sent atomic.Int64
	upstreams := services(t, map[string]http.HandlerFunc{"long": letters(&sent, size), "good": says(`{"ok":1}`)})
	g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: {a: good, long: long, z: good}\n")
	resp, err := g.Client.Get(g.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var read, most int64
	buf := make([]byte, 1<<20)
	for n := 0; ; n++ {
		k, err := io.ReadFull(resp.Body, buf)
		read += int64(k)
		if n%10 == 5 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			most = max(most, int64(m.HeapAlloc))
		}
		if err != nil {
			break
		}
	}
	if read < size || most > size/2 {
		t.Errorf("%d bytes came; at most %d MiB were in use", read, most>>20)
	}
	if end := string(bytes.TrimRight(buf[:], "\x00")); !strings.Contains(end, `"],"z":{"ok":1}}`) {
		t.Error("the end of the answer is missing")
	}
}

// TestASlowClientHoldsTheServiceBack: what nobody reads is not fetched.
func TestASlowClientHoldsTheServiceBack(t *testing.T) {
	var sent atomic.Int64
	const size = 1 << 30
	upstreams := services(t, map[string]http.HandlerFunc{"long": letters(&sent, size)})
	g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: {long: long, timeout: 500ms}\n")
	resp, err := g.Client.Get(g.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for before := int64(-1); before != sent.Load(); { // until it stands still; buffers of sockets are large
		before = sent.Load()
		time.Sleep(100 * time.Millisecond)
	}
	if n := sent.Load(); n > size/8 {
		t.Errorf("the service has sent %d MiB, and the client has read nothing", n>>20)
	}
	// The time of the calls is over, and the answer goes on all the same.
	at := sent.Load()
	if n, err := io.CopyN(io.Discard, resp.Body, at+16<<20); err != nil {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

// TestAClientThatLeavesEndsAllCalls looks at the services.
func TestAClientThatLeavesEndsAllCalls(t *testing.T) {
	for name, settings := range map[string]string{"before the answer": "", "in its middle": "begin: first, q: {call: quick, optional: true},", "a stream": "format: ndjson, q: quick,"} {
		t.Run(name, func(t *testing.T) {
			came, left := make(chan struct{}, 4), make(chan struct{}, 4)
			upstreams := services(t, map[string]http.HandlerFunc{
				"slow": func(_ http.ResponseWriter, r *http.Request) {
					came <- struct{}{}
					<-r.Context().Done()
					left <- struct{}{}
				},
				"quick": says(`{}`),
			})
			g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: {"+settings+" a: slow/a, b: slow/b, c: {call: slow/c, optional: true}, d: {each: '[1]', call: 'slow/{item}'}}\n")
			ctx, cancel := context.WithCancel(t.Context())
			r, _ := http.NewRequestWithContext(ctx, "GET", g.URL+"/", nil)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				resp, err := g.Client.Do(r)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}()
			for range 4 {
				soon(t, "a call", came)
			}
			cancel()
			for range 4 {
				soon(t, "the end of a call", left)
			}
			<-ended
		})
	}
}

// TestAClientThatLeavesAStalledPart: nothing comes of it any more, and nobody waits for it.
func TestAClientThatLeavesAStalledPart(t *testing.T) {
	left := make(chan struct{}, 1)
	upstreams := services(t, map[string]http.HandlerFunc{"stalls": func(w http.ResponseWriter, r *http.Request) {
		says(`["`+strings.Repeat("x", 1<<20))(w, r)
		flush(w)
		<-r.Context().Done()
		left <- struct{}{}
	}})
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: stalls}}\n")
	resp, err := g.Client.Get(g.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Error(err)
	}
	resp.Body.Close()
	soon(t, "the end of the call", left)
}

// TestBombs: what unpacks to very much ends at max_part where it is held, and passes in small pieces where it is not.
func TestBombs(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 64 {
		_, _ = z.Write(block)
	}
	packed := bomb.Bytes() // 64 MiB of white space, which never ends: it is sent again and again as members
	upstreams := services(t, map[string]http.HandlerFunc{
		"bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			_ = z.Close()
			for range 160 { // 10 GiB
				if _, err := w.Write(packed); err != nil {
					return
				}
			}
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, "[0")
			part := []byte(strings.Repeat(",1", 32<<10))
			for range 10 << 30 / len(part) {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		},
		"good": says(`{"ok":1}`),
	})
	_ = z.Close()
	packed = bomb.Bytes()
	g := gatewaytest.New(t, upstreams+`
routes:
  - {match: /bomb, aggregate: {a: bomb, b: "good/{a.x}", max_part: 1MiB}}
  - {match: /endless, aggregate: {a: endless, b: "good/{a.x}"}}
  - {match: /loop, aggregate: {a: {each: '[1,2,3]', call: 'endless/{item}'}, max_part: 2MiB}}
  - {match: /optional, aggregate: {a: {call: endless, optional: true}, compose: ., max_part: 2MiB}}
`)
	for _, path := range []string{"/bomb", "/endless", "/loop"} {
		if resp, body := g.Get(path); resp.StatusCode != 502 || !strings.Contains(body, "call_failed") || !strings.Contains(body, `call \"a\"`) {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	if resp, body := g.Get("/optional"); resp.StatusCode != 200 || body != `{"a":null}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestAnAnswerThatBreaksIsCut: a client must not take it for whole.
func TestAnAnswerThatBreaksIsCut(t *testing.T) {
	upstreams := services(t, map[string]http.HandlerFunc{
		"breaks": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `["`+strings.Repeat("x", 1<<20))
			flush(w)
			panic(http.ErrAbortHandler)
		},
		"truncated": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `["`+strings.Repeat("x", 1<<20)+`"`)
		},
		"bad":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
		"good": says(`{"ok":1}`),
	})
	g := gatewaytest.New(t, upstreams+`
routes:
  - {match: /breaks, aggregate: {a: good, b: breaks}}
  - {match: /truncated, aggregate: {a: truncated}}
  - {match: /lines, aggregate: {a: breaks, format: ndjson}}
  - {match: /first, aggregate: {a: good, b: {call: bad, when: a.ok == 1}, begin: first}}
`)
	for _, path := range []string{"/breaks", "/truncated", "/lines", "/first"} {
		resp, err := g.Client.Get(g.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if path == "/first" && resp.StatusCode == 502 {
			continue // b had failed before the answer began
		}
		if resp.StatusCode != 200 || err == nil {
			t.Errorf("%s: %d, %d bytes, and it looks whole", path, resp.StatusCode, len(body))
		}
	}
}

// TestHalfAStream: a failure after the beginning has its place in formats of parts, and names its call.
func TestHalfAStream(t *testing.T) {
	letGo := make(chan struct{}, 1)
	upstreams := services(t, map[string]http.HandlerFunc{
		"bad":  func(w http.ResponseWriter, _ *http.Request) { <-letGo; w.WriteHeader(500) },
		"good": says(`{"ok":1}`),
	})
	want := `[{"code":"call_failed","detail":"The call \"b\", which the answer needs, was answered with 500.","status":502}]`
	for format, wanted := range map[string]string{
		"ndjson":    "{\"a\":{\"ok\":1}}\n{\"errors\":" + want + "}\n",
		"sse":       "event: a\ndata: {\"ok\":1}\n\nevent: errors\ndata: " + want + "\n\n",
		"multipart": "name=\"errors\"\r\nContent-Type: application/json\r\n\r\n" + want + "\r\n--",
	} {
		g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: good, b: bad, format: "+format+"}}\n")
		resp, err := g.Client.Get(g.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(resp.Body)
		if _, err := r.Peek(10); err != nil {
			t.Fatal(err)
		}
		letGo <- struct{}{}
		got, err := io.ReadAll(r)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(got), wanted) {
			t.Errorf("%s: %q, %v\nwanted %q", format, got, err, wanted)
		}
	}
}

// TestTheTrailerTells of what failed after the answer had begun.
func TestTheTrailerTells(t *testing.T) {
	letGo := make(chan struct{})
	upstreams := services(t, map[string]http.HandlerFunc{
		"bad":  func(w http.ResponseWriter, _ *http.Request) { <-letGo; w.WriteHeader(503) },
		"good": says(`{"ok":1}`),
	})
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: good, b: {call: bad, optional: true, default: {}}, errors: true}}\n")
	resp, err := g.Client.Get(g.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, announced := resp.Trailer["Cardea-Partial"]; !announced {
		t.Errorf("trailer %v", resp.Trailer)
	}
	close(letGo)
	body, err := io.ReadAll(resp.Body)
	want := `{"a":{"ok":1},"b":{},"errors":[{"call":"b","code":"call_failed","status":503}]}`
	if err != nil || string(body) != want || resp.Trailer.Get("Cardea-Partial") != "b;status=503" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s, %v, %v, %v", body, err, resp.Trailer, resp.Header)
	}
}

// TestTheTimeOfAll: what is optional has its stand-in when the time is over.
func TestTheTimeOfAll(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(slow.Close)
	good := httptest.NewServer(says(`{"ok":1}`))
	t.Cleanup(good.Close)
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {slow: {endpoints: %s, eject: off}, good: %s}
routes:
  - {match: /required, aggregate: {a: slow, b: {call: slow/b, optional: true}, timeout: 100ms}}
  - {match: /optional, aggregate: {a: {call: good, timeout: 20s}, b: {call: slow, optional: true, default: []}, timeout: 1s}}
`, slow.URL, good.URL))
	if resp, body := g.Get("/required"); resp.StatusCode != 504 || !strings.Contains(body, "upstream_timeout") || !strings.Contains(body, `call \"a\"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := g.Get("/optional"); resp.StatusCode != 200 || body != `{"a":{"ok":1},"b":[]}` || resp.Trailer.Get("Cardea-Partial") != "b;reason=upstream_timeout" {
		t.Errorf("%d %s %v", resp.StatusCode, body, resp.Trailer)
	}
}
