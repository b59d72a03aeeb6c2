//go:build linux

package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPercentile(t *testing.T) {
	numbers := func(n int) (all []int) {
		for i := range n {
			all = append(all, i+1)
		}
		return all
	}
	for _, c := range []struct {
		samples []int
		share   float64
		want    int
	}{
		{numbers(1), 0.5, 1},
		{numbers(1), 0.999, 1},
		{numbers(2), 0.5, 1},
		{numbers(3), 0.5, 2},
		{numbers(10), 0.99, 10},
		{numbers(100), 0.99, 99},
		{numbers(101), 0.99, 100},
		{numbers(1000), 0.999, 999},
		{numbers(100), 0, 1},
		{numbers(100), 1, 100},
	} {
		if got := percentile(c.samples, c.share); got != c.want {
			t.Errorf("of %d samples %g%% are at most %d, want %d", len(c.samples), 100*c.share, got, c.want)
		}
	}
}

func TestLatencyOf(t *testing.T) {
	var samples []time.Duration
	for i := range 1000 {
		samples = append(samples, time.Duration(1000-i)*time.Microsecond)
	}
	want := Latency{500 * time.Microsecond, 990 * time.Microsecond, 999 * time.Microsecond, time.Millisecond}
	if got := latencyOf(samples); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := latencyOf(nil); got != (Latency{}) {
		t.Errorf("got %+v of nothing", got)
	}
}

func TestResponse(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  5\r\n\r\nhello"
	for name, c := range map[string]struct{ text, err string }{
		"good":        {good, ""},
		"too long":    {good + "!", "1 bytes after the answer"},
		"status":      {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", "502 Bad Gateway"},
		"length":      {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!", "Content-Length 6, want 5"},
		"no length":   {"HTTP/1.1 200 OK\r\n\r\nhello", "without Content-Length"},
		"old version": {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, piece := range []int{1, 7, len(c.text)} {
				complete, err := inPieces(&response{want: 5}, c.text, piece)
				switch {
				case c.err == "" && (err != nil || !complete):
					t.Errorf("in pieces of %d: complete %v, error %v", piece, complete, err)
				case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
					t.Errorf("in pieces of %d: error %v, want %q", piece, err, c.err)
				}
			}
		})
	}
}

func inPieces(r *response, text string, size int) (complete bool, err error) {
	for rest := []byte(text); len(rest) > 0 && err == nil; {
		n := min(size, len(rest))
		complete, err = r.feed(rest[:n])
		rest = rest[n:]
	}
	return complete, err
}

// The clock of a test: so much processor time was used as there were calls.
func countingClock() Clock {
	calls := time.Duration(0)
	return func([]int) (total, system time.Duration, err error) {
		calls++
		return calls * time.Second, calls * time.Second / 4, nil
	}
}

func TestRun(t *testing.T) {
	var conns atomic.Int64
	seen := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case seen <- fmt.Sprintf("%s %s %d %v", r.Method, r.Host, len(body), r.Close):
		default:
		}
		if r.URL.Path != "/a" && r.URL.Path != "/b" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	job := Job{
		Address: server.Listener.Addr().String(), Paths: []string{"/a", "/b"}, Want: 5, Connections: 3,
		Warmup: 10 * time.Millisecond, Time: 50 * time.Millisecond,
	}
	for name, c := range map[string]struct {
		change func(*Job)
		saw    string
	}{
		"closed loop":                    {func(*Job) {}, "GET bench.example 0 false"},
		"closed loop, streams":           {func(j *Job) { j.Streams = true }, "GET bench.example 0 false"},
		"closed loop, reconnect":         {func(j *Job) { j.Reconnect = true }, "GET bench.example 0 true"},
		"closed loop, streams reconnect": {func(j *Job) { j.Streams, j.Reconnect = true, true }, "GET bench.example 0 true"},
		"closed loop, large upload":      {func(j *Job) { j.Upload = 8 << 20 }, "POST bench.example 8388608 false"},
		"open loop":                      {func(j *Job) { j.Rate = 1000 }, "GET bench.example 0 false"},
		"open loop, streams":             {func(j *Job) { j.Rate, j.Streams = 1000, true }, "GET bench.example 0 false"},
		"open loop, reconnect":           {func(j *Job) { j.Rate, j.Reconnect = 500, true }, "GET bench.example 0 true"},
	} {
		t.Run(name, func(t *testing.T) {
			job := job
			c.change(&job)
			conns.Store(0)
			select {
			case <-seen:
			default:
			}
			got, err := Run(job, countingClock())
			for err != nil && strings.Contains(err.Error(), "no request was answered") && job.Time < time.Minute {
				job.Time *= 4 // the machine is busy
				conns.Store(0)
				got, err = Run(job, countingClock())
			}
			if err != nil || got.Errors > 0 {
				t.Fatalf("%v, %d errors: %s", err, got.Errors, got.Error)
			}
			if got.Requests == 0 || got.Elapsed < job.Time || got.Latency.P50 <= 0 || got.Latency.Max < got.Latency.P999 {
				t.Errorf("result %+v", got)
			}
			if got.CPU != time.Second || got.System != time.Second/4 {
				t.Errorf("processor time %v, system %v", got.CPU, got.System)
			}
			if job.Reconnect == (conns.Load() <= 3) {
				t.Errorf("%d connections for %d requests", conns.Load(), got.Requests)
			}
			if saw := <-seen; saw != c.saw {
				t.Errorf("the server saw %q, want %q", saw, c.saw)
			}
		})
	}
	t.Run("wrong answers", func(t *testing.T) {
		for _, streams := range []bool{false, true} {
			job := job
			job.Paths, job.Streams = []string{"/a", "/missing"}, streams
			got, err := Run(job, countingClock())
			if err != nil || got.Errors != 3 || !strings.Contains(got.Error, "404 Not Found") {
				t.Errorf("streams %v: %v, result %+v", streams, err, got)
			}
		}
	})
}

func TestRunTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%x", r.TLS.Version)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	job := Job{
		Address: server.Listener.Addr().String(), Paths: []string{"/"}, Want: 3, Connections: 2, Roots: string(roots), Time: 50 * time.Millisecond,
	}
	// The server's certificate is for example.com and its subdomains, so its name does not fit: that it is checked shows so.
	if _, err := Run(job, countingClock()); err == nil || !strings.Contains(err.Error(), ServerName) {
		t.Errorf("error %v, want one about %s", err, ServerName)
	}
	job.Roots = "none"
	if _, err := Run(job, countingClock()); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("error %v, want one about PEM", err)
	}
}

// Latency in an open loop counts from when a request was due. A server that stands still once must therefore show in all the
// requests of that time, not in the one that it kept waiting.
func TestOpenLoopCountsWaiting(t *testing.T) {
	const pause = 100 * time.Millisecond
	for _, streams := range []bool{false, true} {
		var requests atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if requests.Add(1) == 50 {
				time.Sleep(pause)
			}
			_, _ = io.WriteString(w, "hello")
		}))
		got, err := Run(Job{
			Address: server.Listener.Addr().String(), Paths: []string{"/"}, Want: 5, Connections: 1, Streams: streams,
			Rate: 500, Time: 400 * time.Millisecond,
		}, countingClock())
		server.Close()
		if err != nil || got.Errors > 0 || requests.Load() < 50 {
			t.Fatalf("streams %v: %v, %s, %d requests", streams, err, got.Error, requests.Load())
		}
		// 50 of 200 requests were due while it stood still; 1 % of all is 2, which waited for about all of it.
		if got.Latency.P99 < pause*8/10 {
			t.Errorf("streams %v: 99%% waited %v at most, want about %v", streams, got.Latency.P99, pause)
		}
	}
}

func TestServe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()
	var in, out bytes.Buffer
	for _, job := range []Job{
		{Address: server.Listener.Addr().String(), Paths: []string{"/"}, Want: 5, Connections: 1, Time: 300 * time.Millisecond},
		{Address: "nowhere", Paths: []string{"/"}, Want: 5, Connections: 1, Time: time.Millisecond},
		{},
	} {
		if err := json.NewEncoder(&in).Encode(job); err != nil {
			t.Fatal(err)
		}
	}
	if err := Serve(&in, &out, countingClock()); err != nil {
		t.Fatal(err)
	}
	var failures []bool
	for d := json.NewDecoder(&out); d.More(); {
		var r Reply
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		failures = append(failures, r.Failed != "" && r.Result == Result{})
	}
	if diff := cmp.Diff([]bool{false, true, true}, failures); diff != "" {
		t.Error(diff)
	}
	if err := Serve(strings.NewReader("{"), io.Discard, countingClock()); err == nil {
		t.Error("no error for half a job")
	}
}

// Users come in turn, with each path.
func TestUsers(t *testing.T) {
	job := Job{Paths: []string{"/a", "/b"}, Users: 5}
	var got []string
	for _, text := range job.texts() {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.URL.Path+" "+r.Header.Get("X-User"))
	}
	if diff := cmp.Diff([]string{"/a user-0", "/b user-1", "/a user-2", "/b user-3", "/a user-4"}, got); diff != "" {
		t.Error(diff)
	}
	job.Users = 0
	if text := string(job.texts()[1]); !strings.HasPrefix(text, "GET /b ") || strings.Contains(text, "X-User") {
		t.Errorf("without users: %s", text)
	}
}
