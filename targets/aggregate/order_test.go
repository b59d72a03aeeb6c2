package aggregate_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/gatewaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestCallsAreMadeAtOnce: by default none is answered before all have come, so the latency is that of one.
func TestCallsAreMadeAtOnce(t *testing.T) {
	for _, n := range []int{3, 10, 50} {
		calls, loop, want, list := "", "l: {each: {in: '[0", "{", `{"l":[1`
		for i := range n {
			calls += fmt.Sprintf("c%d: u/%d, ", i, i)
			want += fmt.Sprintf(`"c%d":1,`, i)
			if i > 0 {
				loop, list = loop+fmt.Sprintf(", %d", i), list+",1"
			}
		}
		for aggregate, want := range map[string]string{calls: strings.TrimSuffix(want, ",") + "}", loop + "]'}, call: 'u/{item}'}": list + "]}"} {
			var together sync.WaitGroup
			together.Add(n)
			upstreams := services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
				together.Done()
				together.Wait()
				says(`1`)(w, r)
			}})
			g := gatewaytest.New(t, upstreams+"routes:\n  - match: /\n    aggregate: {"+aggregate+"}\n")
			if resp, got := g.Get("/"); resp.StatusCode != 200 || got != want {
				t.Errorf("%d calls: %d %s, wanted %s", n, resp.StatusCode, got, want)
			}
		}
	}
}

// TestNoMoreThanParallel counts the calls that are under way.
func TestNoMoreThanParallel(t *testing.T) {
	var now, most atomic.Int64
	upstreams := services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		k := now.Add(1)
		for m := most.Load(); k > m && !most.CompareAndSwap(m, k); m = most.Load() {
		}
		_, _ = io.Copy(io.Discard, r.Body)
		now.Add(-1)
		says(`1`)(w, r)
	}})
	g := gatewaytest.New(t, upstreams+`
routes:
  - {match: /calls, aggregate: {parallel: 2, a: u/1, b: u/2, c: u/3, d: u/4, e: u/5, f: u/6}}
  - {match: /loop, aggregate: {a: {each: {in: '[1,2,3,4,5,6,7,8,9]', parallel: 2}, call: 'u/{item}'}}}
  - {match: /loops, aggregate: {parallel: 2, a: {each: '[1,2,3,4]', call: 'u/{item}'}, b: u/5, c: {each: '[6,7,8]', call: 'u/{item}'}, d: {each: '[]', call: 'u/{item}'}}}
`)
	for _, path := range []string{"/calls", "/loop", "/loops"} {
		if resp, body := g.Get(path); resp.StatusCode != 200 || most.Load() > 2 {
			t.Errorf("%s: %d %s, %d at once", path, resp.StatusCode, body, most.Load())
		}
	}
}

// TestLoopsHoldUpNoCall: a call has its turn before further ones of a loop.
func TestLoopsHoldUpNoCall(t *testing.T) {
	came := make(chan struct{})
	upstreams := services(t, map[string]http.HandlerFunc{
		"a": says(`1`), "b": func(w http.ResponseWriter, r *http.Request) { close(came); says(`2`)(w, r) },
		"u": func(w http.ResponseWriter, r *http.Request) { <-came; says(`3`)(w, r) },
	})
	g := gatewaytest.New(t, upstreams+`
routes:
  - {match: /, aggregate: {parallel: 2, l: {each: '[1,2,3,4]', call: 'u/{item}'}, a: a, b: {call: b, when: a == 1}}}
`)
	if resp, body := g.Get("/"); resp.StatusCode != 200 || body != `{"l":[3,3,3,3],"a":1,"b":2}` {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// TestAnyOrderGivesTheSameAnswer: plans of random dependencies, whose calls end in random orders.
func TestAnyOrderGivesTheSameAnswer(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	asked := map[string]int{}
	upstreams := services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.RequestURI()]++
		spins := rng.IntN(2000)
		mu.Unlock()
		for range spins {
			_ = strings.Repeat("x", 100) // some take longer than others
		}
		b, _ := json.Marshal(map[string]string{"v": r.URL.RequestURI()})
		says(string(b))(w, r)
	}})
	for round := range 15 {
		n := 2 + rng.IntN(9)
		place := rng.Perm(n) // dependencies go from a later place to an earlier one
		text := upstreams + "routes:\n  - match: /\n    aggregate:\n"
		want := make([]string, n)
		value := make([]string, n)
		lines := make([]string, n)
		for k := range n {
			i := place[k]
			path, template := fmt.Sprintf("/%d", i%3), fmt.Sprintf("u/%d", i%3) // some are the same
			if k > 0 {
				for d := range rng.IntN(min(k, 3) + 1) {
					j := place[rng.IntN(k)]
					separator := "?"
					if d > 0 {
						separator = "&"
					}
					path += separator + fmt.Sprintf("d%d=", d) + escapeQuery(value[j])
					template += separator + fmt.Sprintf("d%d={c%d.v}", d, j)
				}
			}
			value[i] = path
			lines[i] = fmt.Sprintf("      c%d: %q\n", i, template)
			b, _ := json.Marshal(map[string]string{"v": path})
			want[i] = fmt.Sprintf(`"c%d":%s`, i, b)
		}
		g := gatewaytest.New(t, text+strings.Join(lines, ""))
		for range 8 {
			mu.Lock()
			clear(asked)
			mu.Unlock()
			resp, got := g.Get("/")
			if resp.StatusCode != 200 || got != "{"+strings.Join(want, ",")+"}" {
				t.Fatalf("seed %d, round %d: %d %s\nwanted %s\nof %s", seed, round, resp.StatusCode, got, want, lines)
			}
			mu.Lock()
			for uri, times := range asked {
				if times != 1 {
					t.Errorf("seed %d, round %d: %s was asked for %d times", seed, round, uri, times)
				}
			}
			mu.Unlock()
		}
	}
}

func escapeQuery(s string) string {
	return strings.NewReplacer("/", "%2F", "?", "%3F", "=", "%3D", "&", "%26", "%", "%25").Replace(s)
}

// TestManyAtOnce: a thousand requests, each of which must get its own answers.
func TestManyAtOnce(t *testing.T) {
	upstreams := services(t, map[string]http.HandlerFunc{"echo": echo, "long": says(`["` + strings.Repeat("x", 100_000) + `"]`)})
	g := gatewaytest.New(t, upstreams+`
overload: off
routes:
  - match: /{id}
    aggregate: {a: 'echo/a/{id}', b: {call: 'echo/b?of={a.asked}', pick: [asked]}, c: {each: '[1, 2]', call: 'echo/{id}/{item}', pick: [asked]}, d: long}
`)
	var group sync.WaitGroup
	turns := make(chan struct{}, 50)
	for k := range 400 {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			r, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("%s/%d", g.URL, k), nil)
			resp, err := g.Client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if k%10 == 3 {
				return // it leaves in the middle
			}
			body, err := io.ReadAll(resp.Body)
			want := fmt.Sprintf(`{"a":{"asked":"GET /a/%d","body":"","user":""},"b":{"asked":"GET /b?of=GET+%%2Fa%%2F%d"},"c":[{"asked":"GET /%d/1"},{"asked":"GET /%d/2"}],"d":["x`, k, k, k, k)
			if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(string(body), want) {
				t.Errorf("%d: %d %.300s %v", k, resp.StatusCode, body, err)
			}
		})
	}
	group.Wait()
}

// TestHeadsAreTheirOwn: heads of answers are used again once a request has ended, and not before.
func TestHeadsAreTheirOwn(t *testing.T) {
	upstreams := services(t, map[string]http.HandlerFunc{"u": func(w http.ResponseWriter, r *http.Request) {
		says(`1`, "Set-Cookie: c="+r.URL.Path)(w, r)
	}})
	g := gatewaytest.New(t, upstreams+`
overload: off
routes:
  - {match: '/whole/{id}', aggregate: {a: 'u/a/{id}', b: {call: 'u/b/{id}', when: a == 1}, c: {each: '[1, 2]', call: 'u/c/{id}'}, cookies: pass}}
  - {match: '/stream/{id}', aggregate: {a: 'u/a/{id}', b: {call: 'u/b/{id}', when: a == 1}, c: 'u/c/{id}', cookies: pass, format: ndjson, begin: all}}
`)
	var group sync.WaitGroup
	for k := range 20 {
		group.Go(func() {
			for n := range 20 {
				path := fmt.Sprintf("/%s/%d", []string{"whole", "stream"}[n%2], 100*k+n)
				resp, err := g.Client.Get(g.URL + path)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				want := fmt.Sprintf("[c=/a/%d c=/b/%[1]d c=/c/%[1]d]", 100*k+n)
				if got := fmt.Sprint(resp.Header["Set-Cookie"]); resp.StatusCode != 200 || got != want {
					t.Errorf("%s: %d, cookies %s, wanted %s", path, resp.StatusCode, got, want)
				}
			}
		})
	}
	group.Wait()
}

// TestReloadsInTheMiddle: an answer goes on by the plan that it began with.
func TestReloadsInTheMiddle(t *testing.T) {
	came, letGo := make(chan struct{}, 1), make(chan struct{})
	upstreams := services(t, map[string]http.HandlerFunc{
		"held": func(w http.ResponseWriter, r *http.Request) { came <- struct{}{}; <-letGo; says(`{"id":7}`)(w, r) },
		"echo": echo,
	})
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /, aggregate: {a: held, b: {call: 'echo/{a.id}', pick: [asked]}}}\n")
	got := make(chan string, 1)
	go func() {
		resp, err := g.Client.Get(g.URL + "/")
		if err != nil {
			got <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		got <- string(b)
	}()
	soon(t, "the call", came)
	if err := g.SetConfig(upstreams + "routes:\n  - {match: /, aggregate: {c: {call: echo, pick: [asked]}}}\n"); err != nil {
		t.Fatal(err)
	}
	if _, body := g.Get("/"); body != `{"c":{"asked":"GET /"}}` {
		t.Errorf("the new plan: %s", body)
	}
	close(letGo)
	if body := <-got; body != `{"a":{"id":7},"b":{"asked":"GET /7"}}` {
		t.Errorf("the old plan: %s", body)
	}
}

// TestWithOthers: HTTP/2, a cache in front, compression after.
func TestWithOthers(t *testing.T) {
	var asked atomic.Int64
	upstreams := services(t, map[string]http.HandlerFunc{
		"a": func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			says(`{"text":"`+strings.Repeat("long ", 1000)+`"}`, "Cache-Control: max-age=60", "Vary: X-Lang")(w, r)
		},
		"b": says(`{"b":1}`, "Cache-Control: max-age=600"),
	})
	g := gatewaytest.New(t, upstreams+"routes:\n  - {match: /cached, cache: {}, aggregate: {a: a, b: b}}\n  - {match: /packed, compress: {}, aggregate: {a: a, b: b}}\n  - {match: /lines, compress: {}, aggregate: {a: a, b: b, format: ndjson}}\n")
	first, body := g.Get("/cached")
	tag := first.Header.Get("ETag")
	if first.Header.Get("Cache-Control") != "max-age=60" || tag == "" || first.Header.Get("Vary") != "X-Lang" || !strings.HasPrefix(body, `{"a":{"text"`) {
		t.Errorf("%d %v", first.StatusCode, first.Header)
	}
	if again, same := g.Get("/cached"); again.StatusCode != 200 || same != body || asked.Load() != 1 {
		t.Errorf("%d, after %d requests", again.StatusCode, asked.Load())
	}
	if resp, body := g.Get("/cached", "If-None-Match: "+tag); resp.StatusCode != 304 || body != "" || asked.Load() != 1 {
		t.Errorf("%d %q, after %d requests", resp.StatusCode, body, asked.Load())
	}
	if resp, body := g.Get("/packed", "If-None-Match: W/"+tag); resp.StatusCode != 304 || body != "" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	for _, path := range []string{"/packed", "/lines"} {
		if resp, body := g.Get(path, "Accept-Encoding: gzip"); resp.StatusCode != 200 || resp.Header.Get("Content-Encoding") != "gzip" || len(body) > 1000 {
			t.Errorf("%s: %d %v, %d bytes", path, resp.StatusCode, resp.Header, len(body))
		}
	}
	if resp, body := g.Do("HEAD", "/packed", ""); resp.StatusCode != 200 || body != "" || resp.Header.Get("ETag") != tag || resp.ContentLength < 5000 {
		t.Errorf("HEAD: %d %q %v", resp.StatusCode, body, resp.Header)
	}
}

// TestATrailerThatIsNotNeeded: what was announced and has nothing to tell does not keep a stream open.
func TestATrailerThatIsNotNeeded(t *testing.T) {
	g := gatewaytest.New(t, services(t, map[string]http.HandlerFunc{"echo": echo})+`
routes:
  - {match: /, aggregate: {a: {call: echo, pick: [asked]}, b: {call: 'echo?of={a.asked}', pick: [asked], optional: true}}}
`)
	for _, client := range []*http.Client{g.Client, http2(t)} {
		resp, err := client.Get(g.URL + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != `{"a":{"asked":"GET /"},"b":{"asked":"GET /?of=GET+%2F"}}` || len(resp.Trailer["Cardea-Partial"]) > 0 {
			t.Errorf("%s: %s, %v, %v", resp.Proto, body, err, resp.Trailer)
		}
	}
}

// http2 is a client that speaks nothing else.
func http2(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// TestHTTP2 has many requests on one connection, and a trailer.
func TestHTTP2(t *testing.T) {
	upstreams := services(t, map[string]http.HandlerFunc{"echo": echo, "bad": func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(500)
	}})
	g := gatewaytest.New(t, upstreams+`
routes:
  - match: /{id}
    aggregate: {a: {call: 'echo/{id}', pick: [asked]}, b: {call: 'bad/{a.asked}', optional: true}}
`)
	client := http2(t)
	var group sync.WaitGroup
	for k := range 100 {
		group.Go(func() {
			resp, err := client.Get(fmt.Sprintf("%s/%d", g.URL, k))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			want := fmt.Sprintf(`{"a":{"asked":"GET /%d"},"b":null}`, k)
			if told := resp.Header.Get("Cardea-Partial") + resp.Trailer.Get("Cardea-Partial"); err != nil || resp.ProtoMajor != 2 || string(body) != want || told != "b;status=500" {
				t.Errorf("%s %s %v, partial %q", resp.Proto, body, err, told)
			}
		})
	}
	group.Wait()
}
