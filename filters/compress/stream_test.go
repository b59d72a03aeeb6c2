package compress

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestEventsArriveOneByOne goes through two real servers: the next event is sent only when the one before has arrived.
func TestEventsArriveOneByOne(t *testing.T) {
	for _, algorithm := range []string{"gzip", "br", "zstd"} {
		t.Run(algorithm, func(t *testing.T) {
			arrived := make(chan bool)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				for i := range 5 {
					fmt.Fprintf(w, "data: %d\n", i)
					_ = http.NewResponseController(w).Flush()
					<-arrived
				}
			}))
			defer upstream.Close()
			gateway := httptest.NewServer(through(t, upstream.URL, "compress: {}"))
			defer gateway.Close()

			r, _ := http.NewRequest("GET", gateway.URL, nil)
			r.Header.Set("Accept-Encoding", algorithm)
			resp, err := gateway.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.Header.Get("Content-Encoding"); got != algorithm {
				t.Fatalf("the encoding is %q", got)
			}
			events := bufio.NewReader(decoder(t, algorithm, resp.Body))
			for i := range 5 {
				line, err := events.ReadString('\n')
				if want := fmt.Sprintf("data: %d\n", i); err != nil || line != want {
					t.Fatalf("got %q, %v, want %q", line, err, want)
				}
				arrived <- true
			}
			if rest, err := io.ReadAll(events); err != nil || len(rest) != 0 {
				t.Errorf("at the end: %q, %v", rest, err)
			}
		})
	}
}

// through passes requests on to an upstream, and its answers back through the policy.
func through(t *testing.T, upstream, text string) http.Handler {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, text)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := &filter.Exchange{Request: r, Route: env.Route, Original: filter.Original{Method: r.Method}}
		ex.Prepare(env.Slots())
		_ = f.Request(ex)
		out, _ := http.NewRequestWithContext(r.Context(), r.Method, upstream, nil)
		resp, err := transport.RoundTrip(out)
		if err != nil {
			panic(err)
		}
		ex.Response = resp
		_ = f.Response(ex)
		defer ex.Response.Body.Close()
		for name, values := range ex.Response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(ex.Response.StatusCode)
		buf := make([]byte, 32<<10)
		for {
			n, err := ex.Response.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = http.NewResponseController(w).Flush()
			if err == io.EOF {
				return
			}
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
}

// bursts gives its chunks one by one and says how many are there already.
type bursts struct {
	chunks []string
	ready  int
}

func (b *bursts) Buffered() int { return b.ready }
func (b *bursts) Close() error  { return nil }
func (b *bursts) Read(p []byte) (int, error) {
	if len(b.chunks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.chunks[0])
	b.chunks = b.chunks[1:]
	b.ready = max(0, b.ready-1)
	return n, nil
}

// countingEncoder counts flushes.
type countingEncoder struct {
	encoder
	flushes int
}

func (e *countingEncoder) Flush() error { e.flushes++; return e.encoder.Flush() }

func TestFlushes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		ready int
		known bool
		want  int
	}{
		{"each short read of a stream", 0, false, 3},
		{"not while more is there", 3, false, 1},
		{"never when the length is known", 0, true, 0},
	} {
		enc, _ := newEncoder["gzip"]("fast")
		counting := &countingEncoder{encoder: enc}
		env := filtertest.NewEnv(t, "pages")
		f := newFilter(t, env, "compress: gzip")
		resp := response(200, "", "Content-Type", "text/plain")
		resp.ContentLength = -1
		b := exchange(t, env, f, "GET", "gzip", resp).Response.Body.(*body)
		b.src, b.known = &bursts{[]string{"a", "b", "c"}, tt.ready}, tt.known
		b.c.pool = &pool{make: func() (encoder, error) { return counting, nil }}
		got, err := io.ReadAll(decoder(t, "gzip", b))
		if string(got) != "abc" || err != nil || counting.flushes != tt.want {
			t.Errorf("%s: %q, %v, %d flushes, want %d", tt.name, got, err, counting.flushes, tt.want)
		}
	}
}
