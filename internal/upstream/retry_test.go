package upstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/porttest"
)

// dead returns the URL of an address where nothing listens.
func dead(t testing.TB) string {
	return "http://" + porttest.Address(t)
}

// breaks returns the URL of a service that reads a request and closes the connection.
func breaks(t testing.TB, hits *atomic.Int64) string {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		hits.Add(1)
		panic(http.ErrAbortHandler)
	})
	return b.URL
}

func TestRetries(t *testing.T) {
	good := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %d", len(text))
	})
	busy := newBackend(t, says(503, "busy"))
	var hits atomic.Int64
	reset, gone := breaks(t, &hits), dead(t)
	large := strings.Repeat("x", 100<<10)
	only := func(name string) func(*config.Upstream) {
		return func(u *config.Upstream) { u.Retry.On = []config.RetryOn{{Failure: name}} }
	}
	for _, c := range []struct {
		name         string
		bad          string
		change       func(*config.Upstream)
		method, body string
		want         result // when the bad endpoint comes first
	}{
		{"GET, not sent", gone, nil, "GET", "", result{200, "got 0", "", 2}},
		{"POST, not sent", gone, nil, "POST", "12345", result{200, "got 5", "", 2}},
		{"large POST, not sent", gone, nil, "POST", large, result{200, "got 102400", "", 2}},
		{"GET, broken off", reset, nil, "GET", "", result{200, "got 0", "", 2}},
		{"PUT, broken off", reset, nil, "PUT", "12345", result{200, "got 5", "", 2}},
		{"POST, broken off", reset, nil, "POST", "12345", result{Code: filter.UpstreamReset, Tries: 1}},
		{"POST without body, broken off", reset, nil, "POST", "", result{Code: filter.UpstreamReset, Tries: 1}},
		{"large PUT, broken off", reset, nil, "PUT", large, result{Code: filter.UpstreamReset, Tries: 1}},
		{"large PUT, broken off, kept", reset, func(u *config.Upstream) { u.Retry.MaxBody = 1 << 20 }, "PUT", large, result{200, "got 102400", "", 2}},
		{"POST that may be repeated, broken off", reset, func(u *config.Upstream) { u.Retry.Methods = []string{"POST"} }, "POST", "12345", result{200, "got 5", "", 2}},
		{"GET, 503", busy.URL, nil, "GET", "", result{200, "got 0", "", 2}},
		{"PUT, 503", busy.URL, nil, "PUT", "12345", result{200, "got 5", "", 2}},
		{"POST, 503", busy.URL, nil, "POST", "12345", result{503, "busy", "", 1}},
		{"GET, 503, not named", busy.URL, only("reset"), "GET", "", result{503, "busy", "", 1}},
		{"GET, broken off, not named", reset, only("timeout"), "GET", "", result{Code: filter.UpstreamReset, Tries: 1}},
		{"GET, not sent, not named", gone, only("timeout"), "GET", "", result{Code: filter.UpstreamConnectFailed, Tries: 1}},
		{"off", busy.URL, func(u *config.Upstream) { u.Retry.Off = true }, "GET", "", result{503, "busy", "", 1}},
		{"no times", gone, func(u *config.Upstream) { u.Retry.Times = 0 }, "GET", "", result{Code: filter.UpstreamConnectFailed, Tries: 1}},
		{"no budget", busy.URL, func(u *config.Upstream) { u.Retry.Budget = config.RetryBudget{} }, "GET", "", result{503, "busy", "", 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newCluster(t, func(u *config.Upstream) {
				u.Eject.Off = true
				if c.change != nil {
					c.change(u)
				}
			}, c.bad, good.URL)
			seen := map[result]int{}
			for range 4 { // in turn: each endpoint is the first of two
				seen[do(cl, request(c.method, c.body))]++
			}
			ok := result{200, fmt.Sprintf("got %d", len(c.body)), "", 1}
			if seen[ok] != 2 || seen[c.want] != 2 {
				t.Errorf("got %v, want twice %+v and twice %+v", seen, ok, c.want)
			}
		})
	}
}

func TestLastAnswerIsTheClients(t *testing.T) {
	var n atomic.Int64
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		says(503, fmt.Sprintf("busy %d", n.Add(1)))(w, r)
	})
	c := newCluster(t, func(u *config.Upstream) { u.Eject.Off = true }, b.URL)
	if got, want := do(c, get()), (result{503, "busy 3", "", 3}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// An endpoint that dies under load is no client's concern.
func TestEndpointDiesUnderLoad(t *testing.T) {
	backends := []*backend{newBackend(t, says(200, "ok")), newBackend(t, says(200, "ok")), newBackend(t, says(200, "ok"))}
	c := newCluster(t, nil, backends[0].URL, backends[1].URL, backends[2].URL)
	var wg sync.WaitGroup
	var sent atomic.Int64
	results := make(chan result, 10000)
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if sent.Add(1) == 400 {
					backends[1].CloseClientConnections()
					backends[1].Listener.Close()
					backends[1].CloseClientConnections()
				}
				results <- do(c, request("PUT", "some body"))
			}
		})
	}
	wg.Wait()
	close(results)
	retried := 0
	for r := range results {
		if r.Status != 200 || r.Body != "ok" {
			t.Fatalf("a client got %+v", r)
		}
		if r.Tries > 1 {
			retried++
		}
	}
	if retried == 0 || retried > 200 {
		t.Errorf("%d requests were tried again", retried)
	}
	if s := c.Status(); s.Available != 2 || s.InFlight != 0 {
		t.Errorf("at the end: %+v", s)
	}
}

// A service that closes its connections whenever it likes is no client's concern: a request that met such a connection is sent again at
// once, over one that is new.
func TestConnectionsClosedInBetween(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the second request, or with the connection
				defer nc.Close()
				r := bufio.NewReader(nc)
				if _, err := http.ReadRequest(r); err == nil {
					io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					_, _ = http.ReadRequest(r)
				}
			}()
		}
	}()
	c := newCluster(t, func(u *config.Upstream) {
		u.Retry.Times, u.Retry.Backoff, u.Retry.MaxBackoff, u.Retry.Budget.Off = 1, config.Duration(time.Hour), config.Duration(time.Hour), true
		u.Timeout.Request = config.Duration(10 * time.Second) // too short for a pause
	}, "http://"+l.Addr().String())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got := do(c, get()); got.Status != 200 || got.Body != "ok" {
					t.Errorf("a client got %+v", got)
				}
			}
		})
	}
	wg.Wait()
}

// However often a service fails, the budget keeps what it is sent within a fifth of what clients ask.
func TestBudgetBoundsRetries(t *testing.T) {
	b := newBackend(t, says(503, "busy"))
	c := newCluster(t, func(u *config.Upstream) {
		u.Eject.Off = true
		u.Retry.Budget.Min = config.Rate{Count: 1, Per: time.Second} // ten in the window
	}, b.URL)
	const n = 500
	for range n {
		if got := do(c, get()); got.Status != 503 {
			t.Fatalf("%+v", got)
		}
	}
	if hits := b.hits.Load(); hits < n*115/100 || hits > n*120/100+10 {
		t.Errorf("for %d requests %d were sent", n, hits)
	}
}

// A body that is in memory is repeated however large it is.
func TestBodyInMemory(t *testing.T) {
	var hits atomic.Int64
	good := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	c := newCluster(t, func(u *config.Upstream) { u.Eject.Off = true }, breaks(t, &hits), good.URL)
	for range 2 {
		req, _ := http.NewRequest("PUT", "http://x/", bytes.NewReader(make([]byte, 1<<20)))
		if got := do(c, req); got.Body != "1048576" {
			t.Errorf("%+v", got)
		}
	}
	if hits.Load() != 1 {
		t.Errorf("%d tries broke off", hits.Load())
	}
}
