package server

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestAllocations(t *testing.T) {
	if http1test.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		most    float64
	}{
		"written":       {http1test.Answer, 2},
		"Done is asked": {func(w http.ResponseWriter, r *http.Request) { r.Context().Done(); http1test.Answer(w, r) }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			trip := http1test.RoundTrips(t, serve(t, &Server{}, test.handler))
			trip()
			if got := testing.AllocsPerRun(2000, trip); got > test.most {
				t.Errorf("%v allocations per request, want at most %v", got, test.most)
			} else {
				t.Logf("%v allocations per request", got)
			}
		})
	}
}

func BenchmarkKeepAlive(b *testing.B) {
	b.Run("http1", func(b *testing.B) {
		trip := http1test.RoundTrips(b, serve(b, &Server{}, http1test.Answer))
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
	b.Run("net-http", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := &http.Server{Handler: http.HandlerFunc(http1test.Answer)}
		go s.Serve(l)
		defer s.Close()
		trip := http1test.RoundTrips(b, l.Addr().String())
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
}

// TestIdleConnectionsHoldLittle opens connections, makes a request on each, and weighs what the server's half keeps. The connections
// come from a pipe of sockets, of which this process holds both ends: the other end's share is weighed first, and taken away.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	if http1test.RaceEnabled || testing.Short() {
		t.Skip("it weighs memory")
	}
	const n = 2000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &Server{Handler: http.HandlerFunc(http1test.Answer), Log: slog.New(slog.DiscardHandler)}
	defer s.Close()
	clients, served := make([]net.Conn, n), make([]net.Conn, n)
	for i := range n {
		if clients[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Skip(err) // too few files
		}
		defer clients[i].Close()
		if served[i], err = l.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	before := weigh()
	var ended atomic.Int64
	for i := range n {
		go func() {
			s.ServeConn(served[i], nil)
			ended.Add(1)
		}()
	}
	buf := make([]byte, 8192)
	for _, c := range clients {
		io.WriteString(c, http1test.BrowserRequest)
		for m := 0; m < 1024; {
			k, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			m += k
		}
	}
	time.Sleep(50 * time.Millisecond) // until all wait again
	each := float64(weigh()-before) / n
	t.Logf("%.0f bytes for each idle connection", each)
	if each > 6<<10 {
		t.Errorf("an idle connection holds %.0f bytes, want at most 6 KiB", each)
	}
}

// weigh returns the bytes of heap and stacks in use.
func weigh() int64 {
	for range 4 { // each shrinks stacks once, and pools age
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
