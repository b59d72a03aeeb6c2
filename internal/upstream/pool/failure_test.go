package pool

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/porttest"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func TestFailuresBeforeTheHead(t *testing.T) {
	closedPort := func(t *testing.T) Target {
		return Target{Scheme: "http", Address: porttest.Address(t)}
	}
	says := func(answer string) func(*testing.T) Target {
		return func(t *testing.T) Target { return script(t, once(answer)) }
	}
	malformed := Error{Phase: Header, Kind: Malformed, Sent: true}
	cut := Error{Phase: Header, Kind: Reset, Sent: true}
	for _, c := range []struct {
		name string
		o    Options
		to   func(*testing.T) Target
		want Error
	}{
		{"refused", Options{}, closedPort, Error{Phase: Connect, Kind: Failed}},
		{"refused, HTTP/2", Options{Protocol: "h2c"}, closedPort, Error{Phase: Connect, Kind: Failed}},
		{"no such socket", Options{}, func(t *testing.T) Target { return Target{Address: "unix:/nowhere/s"} }, Error{Phase: Connect, Kind: Failed}},
		{"no such host", Options{}, func(t *testing.T) Target { return Target{Address: "nowhere.invalid:80"} }, Error{Phase: Resolve, Kind: Failed}},
		{"no port", Options{}, func(t *testing.T) Target { return Target{Address: "127.0.0.1"} }, Error{Phase: Connect, Kind: Failed}},
		{"TLS to plain", Options{}, func(t *testing.T) Target {
			to := says("HTTP/1.1 400 Bad\r\n\r\n")(t)
			to.Scheme = "https"
			return to
		}, Error{Phase: TLS, Kind: Failed}},
		{"TLS that never answers", Options{Connect: 200 * time.Millisecond}, func(t *testing.T) Target {
			to := script(t, func(_ int, _ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
			to.Scheme = "https"
			return to
		}, Error{Phase: TLS, Kind: TimedOut, Timeout: true}},
		{"no head in time", Options{FirstByte: 200 * time.Millisecond}, func(t *testing.T) Target {
			return script(t, func(_ int, _ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
		}, Error{Phase: Header, Kind: TimedOut, Timeout: true, Sent: true}},
		{"no head in time, HTTP/2", Options{FirstByte: 200 * time.Millisecond, Protocol: "h2c"}, func(t *testing.T) Target {
			to, _ := serve(t, false, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
			return to
		}, Error{Phase: Header, Kind: TimedOut, Timeout: true, Sent: true}},
		{"closed unanswered", Options{}, says(""), cut},
		{"reset unanswered", Options{}, func(t *testing.T) Target {
			return script(t, func(_ int, c net.Conn, r *bufio.Reader) { readRequest(r); reset(c) })
		}, cut},
		{"half a status line", Options{}, says("HTTP/1.1 20"), cut},
		{"half a head", Options{}, says("HTTP/1.1 200 OK\r\nContent-Le"), cut},
		{"garbage", Options{}, says("\x16\x03\x01 what?\r\n\r\n"), malformed},
		{"another protocol", Options{}, says("SSH-2.0-OpenSSH_9.2\r\n"), malformed},
		{"bad status", Options{}, says("HTTP/1.1 abc OK\r\n\r\n"), malformed},
		{"bad length", Options{}, says("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), malformed},
		{"two lengths", Options{}, says("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12"), malformed},
		{"unknown coding", Options{}, says("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), malformed},
		{"bad field", Options{}, says("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), malformed},
		{"switched unasked", Options{}, says("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), malformed},
		{
			"endless head",
			Options{MaxHeader: 4096},
			says("HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: aaaaaaaaaaaaaaaaaaaaaa\r\n", 1000) + "\r\n"),
			Error{Phase: Header, Kind: TooLarge, Sent: true},
		},
		{"endless interim answers", Options{}, says(strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", 200)), malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := open(t, c.o)
			info := &Info{Interim: func(int, http.Header) error { return nil }}
			_, err := p.RoundTrip(t.Context(), request("GET", "/", nil), c.to(t), info)
			if d := cmp.Diff(c.want, asError(t, err)); d != "" {
				t.Error(d)
			}
			if info.FirstByte != 0 {
				t.Errorf("got %+v", info)
			}
		})
	}
}

func TestHTTP2ToHTTP1(t *testing.T) {
	to := script(t, once("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"))
	_, err := open(t, Options{Protocol: "h2c"}).RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
	// It depends on whether the endpoint's first words came before or after the request.
	if e := asError(t, err); e.Kind != Malformed && (e.Kind != Reset || e.Sent) {
		t.Errorf("got %+v", e)
	}
}

func TestBrokenBodies(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\n"
	truncated := Error{Phase: Body, Kind: Truncated, Sent: true}
	malformed := Error{Phase: Body, Kind: Malformed, Sent: true}
	for _, c := range []struct {
		name, answer, body string
		want               Error
	}{
		{"short of its length", head + "Content-Length: 10\r\n\r\n12345", "12345", truncated},
		{"no last chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "12345", truncated},
		{"half a chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\n123", "123", truncated},
		{"no trailer's end", head + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n", "12345", truncated},
		{"bad chunk", head + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n", "12345", malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, to := open(t, Options{}), script(t, once(c.answer))
			resp, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if string(body) != c.body {
				t.Errorf("got %q", body)
			}
			if d := cmp.Diff(c.want, asError(t, err)); d != "" {
				t.Error(d)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); again != err {
				t.Errorf("then %v", again)
			}
		})
	}
	t.Run("until it closes", func(t *testing.T) {
		p, to := open(t, Options{}), script(t, once(head+"\r\n12345"))
		if got := get(t, p, to); got != "12345" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("reset", func(t *testing.T) {
		read := make(chan struct{})
		to := script(t, func(_ int, c net.Conn, r *bufio.Reader) {
			readRequest(r)
			io.WriteString(c, head+"\r\n12345")
			<-read
			reset(c)
		})
		resp, err := open(t, Options{}).RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.ReadFull(resp.Body, make([]byte, 5))
		close(read)
		_, err = io.ReadAll(resp.Body)
		if d := cmp.Diff(Error{Phase: Body, Kind: Reset, Sent: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
	t.Run("HTTP/2", func(t *testing.T) {
		to, _ := serve(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "12345")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		resp, err := open(t, Options{Protocol: "h2c"}).RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		if d := cmp.Diff(Error{Phase: Body, Kind: Reset, Sent: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
}

// The library would send a GET again by itself when a connection that was idle turns out to be closed. Here the caller decides.
func TestNothingIsSentTwice(t *testing.T) {
	var requests atomic.Int32
	to := script(t, func(n int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		requests.Add(1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		if readRequest(r) != nil {
			requests.Add(1)
		}
	})
	p := open(t, Options{})
	get(t, p, to)
	_, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
	if d := cmp.Diff(Error{Phase: Header, Kind: IdleClosed, Reused: true, Sent: true}, asError(t, err)); d != "" {
		t.Error(d)
	}
	if requests.Load() != 2 {
		t.Errorf("%d requests came", requests.Load())
	}
}

func TestClosedWhileIdle(t *testing.T) {
	var hang atomic.Pointer[net.Conn]
	to := script(t, func(n int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			hang.Store(&c)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
		}
	})
	p := open(t, Options{})
	for range 20 {
		get(t, p, to)
		(*hang.Load()).Close()
		eventually(t, "it is gone", func() bool { return p.Stats()[to.Address].Open == 0 })
	}
}

// Bytes that come with nobody waiting for them must never answer the next request.
func TestUnsolicitedAnswers(t *testing.T) {
	two := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	to := script(t, func(n int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			io.WriteString(c, two)
		}
	})
	p := open(t, Options{})
	for range 300 {
		resp, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
		if err != nil {
			if e := asError(t, err); e.Kind != IdleClosed || e.Sent {
				t.Fatalf("got %+v", e)
			}
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "good" {
			t.Fatalf("got %q, %v", body, err)
		}
	}
}

func TestGreetingIsNoAnswer(t *testing.T) {
	greeted := make(chan struct{})
	to := script(t, func(n int, c net.Conn, r *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		close(greeted)
		io.Copy(io.Discard, r)
	})
	p := open(t, Options{})
	h := p.host(key{Target: to})
	c, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	<-greeted
	_, failed := c.http1.RoundTrip(t.Context(), request("GET", "/", nil), nil)
	if d := cmp.Diff(Error{Phase: Write, Kind: IdleClosed}, asError(t, failed)); d != "" {
		t.Error(d)
	}
	if !c.http1.Closed() {
		t.Error("it was not closed for it")
	}
}

func TestEarlyRefusalIsHeard(t *testing.T) {
	to := script(t, func(n int, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
	})
	p := open(t, Options{})
	for range 20 {
		req := request("POST", "/", io.LimitReader(zeros{}, 16<<20))
		req.ContentLength = 16 << 20
		resp, body, _ := fetch(t, p, to, req)
		if resp.StatusCode != 413 || body != "big" {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestUploadFailures(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		broken := errors.New("the client broke off")
		for _, c := range []struct {
			name   string
			body   io.Reader
			length int64
			cause  error
		}{
			{"read error", io.MultiReader(strings.NewReader("abc"), failing{broken}), -1, broken},
			{"too short", strings.NewReader("abc"), 5, io.ErrUnexpectedEOF},
			{"too long", strings.NewReader("abc"), 2, errLonger},
		} {
			t.Run(c.name, func(t *testing.T) {
				req := request("POST", "/", c.body)
				req.ContentLength = c.length
				_, err := p.RoundTrip(t.Context(), req, to, nil)
				want := Error{Phase: Write, Kind: RequestBody, Sent: true, BodyRead: true}
				got := asError(t, err)
				got.Reused = false
				if d := cmp.Diff(want, got); d != "" || !errors.Is(err, c.cause) {
					t.Error(d, err)
				}
			})
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A client that sends nothing more must not keep the end of its exchange from being seen.
func TestStalledUploads(t *testing.T) {
	t.Run("the endpoint closes", func(t *testing.T) {
		to := script(t, func(n int, c net.Conn, r *bufio.Reader) { http.ReadRequest(r) })
		_, err := open(t, Options{}).RoundTrip(t.Context(), request("POST", "/", newNever(t)), to, nil)
		if d := cmp.Diff(Error{Phase: Header, Kind: Reset, Sent: true, BodyRead: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
	t.Run("the endpoint resets the stream", func(t *testing.T) {
		body := newNever(t)
		to, _ := serve(t, false, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			<-body.read
			panic(http.ErrAbortHandler)
		}))
		_, err := open(t, Options{Protocol: "h2c"}).RoundTrip(t.Context(), request("POST", "/", body), to, nil)
		if d := cmp.Diff(Error{Phase: Header, Kind: Reset, Sent: true, BodyRead: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		ctx, cancel := cancelWith(t)
		cause := errors.New("a deadline of the route")
		body := newNever(t)
		go func() { <-body.read; cancel(cause) }()
		_, err := p.RoundTrip(ctx, request("POST", "/", body), to, nil)
		if e := asError(t, err); e.Kind != Canceled || !e.BodyRead || !errors.Is(err, cause) {
			t.Errorf("got %+v", e)
		}
		p.o.Idle = 200 * time.Millisecond
		_, err = p.RoundTrip(t.Context(), request("POST", "/", newNever(t)), to, nil)
		if e := asError(t, err); e.Kind != RequestBody || !e.Timeout || e.Phase != Write {
			t.Errorf("got %+v", e)
		}
	})
}

func TestEndpointThatTakesNoBody(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		done := make(chan struct{})
		p, to := start(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
		defer close(done)
		p.o.Idle = 300 * time.Millisecond
		req := request("POST", "/", zeros{})
		_, err := p.RoundTrip(t.Context(), req, to, nil)
		if d := cmp.Diff(Error{Phase: Write, Kind: TimedOut, Timeout: true, Sent: true, BodyRead: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
}

func TestBodyStandsStill(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}))
		p.o.Idle = 250 * time.Millisecond
		resp, err := p.RoundTrip(t.Context(), request("GET", "/", nil), to, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(2 * p.o.Idle) // it is the reader that is slow: that does not count
		body, err := io.ReadAll(resp.Body)
		if string(body) != "xxx" {
			t.Errorf("got %q", body)
		}
		if d := cmp.Diff(Error{Phase: Body, Kind: TimedOut, Timeout: true, Sent: true}, asError(t, err)); d != "" {
			t.Error(d)
		}
	})
}

func TestCancelInTheMiddle(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		came, gone := make(chan struct{}), make(chan struct{}, 2)
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				io.WriteString(w, "x")
				w.(http.Flusher).Flush()
			} else {
				close(came)
			}
			<-r.Context().Done()
			gone <- struct{}{}
		}))
		for _, path := range []string{"/body", "/head"} {
			ctx, cancel := cancelWith(t)
			cause := errors.New("the client left")
			leave := func() { time.AfterFunc(30*time.Millisecond, func() { cancel(cause) }) }
			if path == "/head" {
				go func() { <-came; leave() }()
			}
			want := Error{Phase: Header, Kind: Canceled, Sent: true}
			resp, err := p.RoundTrip(ctx, request("GET", path, nil), to, nil)
			if path == "/body" {
				if err != nil {
					t.Fatal(err)
				}
				want.Phase = Body
				leave()
				_, err = io.ReadAll(resp.Body)
			}
			got := asError(t, err)
			got.Reused = false
			if d := cmp.Diff(want, got); d != "" || !errors.Is(err, cause) {
				t.Error(d, err)
			}
			<-gone // the endpoint sees it
		}
	})
}

func TestBadRequests(t *testing.T) {
	protocols(t, func(t *testing.T, start func(http.Handler) (*Pool, Target)) {
		p, to := start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
		req := request("GET", "/", nil)
		req.Header["X-A"] = []string{"a\r\nX-B: c"}
		_, err := p.RoundTrip(t.Context(), req, to, nil)
		if d := cmp.Diff(Error{Phase: Write, Kind: BadRequest}, asError(t, err)); d != "" {
			t.Error(d)
		}
		req.Header["X-A"] = nil
		fetch(t, p, to, req)
	})
}
