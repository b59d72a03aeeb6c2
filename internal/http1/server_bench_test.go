package http1

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const browserRequest = "GET /orders/7?full=1 HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz\r\n" +
	"X-Custom-Thing: 1\r\nConnection: keep-alive\r\n\r\n"

// roundTrips returns a function that makes one request on a connection that stays.
func roundTrips(t testing.TB, address string) func() {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	request, buf := []byte(browserRequest), make([]byte, 8192)
	return func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < 1024 || !bytes.Contains(buf[:n], headEnd); {
			m, err := c.Read(buf[n:])
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
}

var serverAnswer = bytes.Repeat([]byte("x"), 1024)

func serveAnswer(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = serverAnswerType
	w.Header()["Content-Length"] = serverAnswerLength
	w.Write(serverAnswer)
}

var serverAnswerType, serverAnswerLength = []string{"text/plain"}, []string{"1024"}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		most    float64
	}{
		"written":       {serveAnswer, 2},
		"Done is asked": {func(w http.ResponseWriter, r *http.Request) { r.Context().Done(); serveAnswer(w, r) }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			trip := roundTrips(t, serve(t, &Server{}, test.handler))
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
		trip := roundTrips(b, serve(b, &Server{}, serveAnswer))
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
		s := &http.Server{Handler: http.HandlerFunc(serveAnswer)}
		go s.Serve(l)
		defer s.Close()
		trip := roundTrips(b, l.Addr().String())
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
}

func BenchmarkRequestHead(b *testing.B) {
	l := Limits{}.OrDefaults()
	var h Head
	in := []byte(browserRequest)
	buf := make([]byte, len(in))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		if bad := parseRequestHead(&h, buf, &l); bad != nil {
			b.Fatal(bad)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	l := Limits{}.OrDefaults()
	for _, size := range []int{1, 100, 32 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			one := fmt.Sprintf("%x\r\n%s\r\n", size, strings.Repeat("x", size))
			in := []byte(strings.Repeat(one, max(1, 100000/len(one))) + "0\r\n\r\n")
			buf := make([]byte, 32<<10)
			src := bytes.NewReader(in)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				src.Reset(in)
				var r Reader
				r.Attach(src)
				var body BodyReader
				body.Begin(&r, Chunked, -1, &l)
				for {
					if _, err := body.Read(buf); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				r.Drop()
			}
		})
	}
}

// TestIdleConnectionsHoldLittle opens connections, makes a request on each, and weighs what the server's half keeps. The connections
// come from a pipe of sockets, of which this process holds both ends: the other end's share is weighed first, and taken away.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("it weighs memory")
	}
	const n = 2000
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &Server{Handler: http.HandlerFunc(serveAnswer), Log: slog.New(slog.DiscardHandler)}
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
		io.WriteString(c, browserRequest)
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
