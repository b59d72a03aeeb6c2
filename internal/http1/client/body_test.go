package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/http1/http1test"
)

// A body may be closed at any time, and that never harms the next exchange of its connection.
func TestBodyClosedWhileRead(t *testing.T) {
	t.Run("that waits", func(t *testing.T) {
		c := client(t, Options{}, func(_ int, c net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(c, http1test.OK+"Content-Length: 5\r\n\r\nhe")
			io.Copy(io.Discard, r)
		})
		resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(20*time.Millisecond, func() { resp.Body.Close() })
		if body, err := io.ReadAll(resp.Body); string(body) != "he" || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("got %q, %v", body, err)
		}
		if !c.Closed() {
			t.Error("the connection is open")
		}
	})
	t.Run("at the end", func(t *testing.T) {
		noLeaks(t)
		address := http1test.Endpoint(t, answers(http1test.OK+"Content-Length: 5\r\n\r\nhello"))
		c := dialClient(t, address, Options{})
		for range 2000 {
			if !c.Reusable() {
				c = dialClient(t, address, Options{})
			}
			resp, err := c.RoundTrip(context.Background(), http1test.Outgoing("GET", "/", nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() { resp.Body.Close() })
			io.Copy(io.Discard, resp.Body)
			wg.Wait()
			resp.Body.Close()
		}
	})
	t.Run("then read", func(t *testing.T) {
		c := client(t, Options{}, answers(http1test.OK+"Content-Length: 5\r\n\r\nhello"))
		resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 5)); n != 0 || err != http.ErrBodyReadAfterClose {
			t.Errorf("got %d, %v", n, err)
		}
		exchange(t, c, http1test.Outgoing("GET", "/", nil))
	})
}

func TestBodyKnowsWhatIsThere(t *testing.T) {
	for _, p := range []struct {
		name, answer string
		want         int
	}{
		{"length", http1test.OK + "Content-Length: 10\r\n\r\nhello", 4},
		{"length and surplus", http1test.OK + "Content-Length: 5\r\n\r\nhello and more", 4},
		{"chunk", http1test.OK + "Transfer-Encoding: chunked\r\n\r\na\r\nhello", 4},
		{"until it closes", http1test.OK + "\r\nhello", 4},
	} {
		t.Run(p.name, func(t *testing.T) {
			nc := &http1test.Canned{Pieces: [][]byte{[]byte(p.answer)}}
			resp, err := NewConn(nc, Options{}).RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Read(make([]byte, 1))
			if got := resp.Body.(buffered).Buffered(); got != p.want {
				t.Errorf("got %d, want %d", got, p.want)
			}
			resp.Body.Close()
			if got := resp.Body.(buffered).Buffered(); got != 0 {
				t.Errorf("then %d", got)
			}
		})
	}
}

// A long body goes from connection to connection without being read here.
func TestBodyIsSpliced(t *testing.T) {
	noLeaks(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 128<<10)
	respond := func(cut int) func(int, net.Conn, *bufio.Reader) {
		return func(_ int, c net.Conn, r *bufio.Reader) {
			for http1test.TakeRequest(r) != nil {
				io.WriteString(c, http1test.OK+"Content-Length: 2097152\r\n\r\n")
				c.Write(data[:len(data)/2])
				time.Sleep(30 * time.Millisecond)
				c.Write(data[len(data)/2 : len(data)-cut])
				if cut > 0 {
					return
				}
			}
		}
	}
	sums := make(chan [32]byte, 10)
	sink := http1test.Endpoint(t, func(_ int, c net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		sums <- sha256.Sum256(all)
	})
	copyTo := func(c *Conn, ctx context.Context, begins func()) (int64, error) {
		to, err := net.Dial("tcp", sink)
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		resp, err := c.RoundTrip(ctx, http1test.Outgoing("GET", "/", nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		begins()
		return io.Copy(to, resp.Body)
	}
	ctx, _ := wayward(t)
	c := dialClient(t, http1test.Endpoint(t, respond(0)), Options{Idle: time.Second})
	for range 3 {
		n, err := copyTo(c, ctx, func() {})
		if n != int64(len(data)) || err != nil || <-sums != sha256.Sum256(data) || !c.Reusable() {
			t.Fatalf("got %d, %v, reusable: %v", n, err, c.Reusable())
		}
	}
	c = dialClient(t, http1test.Endpoint(t, respond(1)), Options{})
	n, err := copyTo(c, ctx, func() {})
	if d := cmp.Diff(Error{Phase: BodyPhase, Kind: Truncated, Sent: true}, failure(t, err)); d != "" || n != int64(len(data)-1) {
		t.Error(n, d)
	}
	<-sums
	stuck := func(_ int, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, http1test.OK+"Content-Length: 2097152\r\n\r\nhello")
		io.Copy(io.Discard, r)
	}
	c = dialClient(t, http1test.Endpoint(t, stuck), Options{Idle: 30 * time.Millisecond})
	n, err = copyTo(c, ctx, func() {})
	if d := cmp.Diff(Error{Phase: BodyPhase, Kind: TimedOut, Timeout: true, Sent: true}, failure(t, err)); d != "" || n != 5 {
		t.Error(n, d)
	}
	<-sums
	c = dialClient(t, http1test.Endpoint(t, stuck), Options{})
	cause := errors.New("the client left")
	ctx, cancel := wayward(t)
	_, err = copyTo(c, ctx, func() { time.AfterFunc(30*time.Millisecond, func() { cancel(cause) }) })
	if d := cmp.Diff(Error{Phase: BodyPhase, Kind: Canceled, Sent: true}, failure(t, err)); d != "" || !errors.Is(err, cause) {
		t.Error(d)
	}
	<-sums
	// The side that is copied to breaks.
	c = dialClient(t, http1test.Endpoint(t, respond(0)), Options{})
	to, err := net.Dial("tcp", sink)
	if err != nil {
		t.Fatal(err)
	}
	to.(*net.TCPConn).CloseWrite()
	resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	var own *Error
	if _, err = io.Copy(to, resp.Body); err == nil || errors.As(err, &own) {
		t.Errorf("got %v", err)
	}
	if resp.Body.Close() != nil || !c.Closed() {
		t.Error("the connection is open")
	}
	to.Close()
	<-sums
}

func TestBodyIsCopied(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, answer := range map[string]string{
		"length": http1test.OK + "Content-Length: 100000\r\n\r\n" + long,
		"chunks": http1test.OK + "Transfer-Encoding: chunked\r\n\r\n186A0\r\n" + long + "\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, Options{}, answers(answer))
			for range 3 {
				resp, err := c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil)
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				if n, err := io.Copy(&got, struct{ io.Reader }{resp.Body}); n != 100_000 || err != nil || got.String() != long {
					t.Errorf("got %d, %v", n, err)
				}
				if resp, err = c.RoundTrip(t.Context(), http1test.Outgoing("GET", "/", nil), nil); err != nil {
					t.Fatal(err)
				}
				got.Reset()
				if n, err := resp.Body.(io.WriterTo).WriteTo(&got); n != 100_000 || err != nil || got.String() != long {
					t.Errorf("got %d, %v", n, err)
				}
			}
		})
	}
}
