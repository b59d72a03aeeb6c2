package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestTimeouts(t *testing.T) {
	s := &Server{HeaderTimeout: 300 * time.Millisecond, IdleTimeout: 350 * time.Millisecond, BodyTimeout: 300 * time.Millisecond}
	address := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); errors.Is(err, os.ErrDeadlineExceeded) {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	})
	dial(t, address).ended() // says nothing
	c := dial(t, address).send("GET / HTTP/1.1\r\nHo")
	c.expect("408 close 408 Request Timeout: the head of the request was too long in coming\n")
	c.ended()
	c = dial(t, address).send(http1test.Get)
	c.expect("200")
	c.ended() // idle
	c = dial(t, address).send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
	c.expect("408")
	c.ended()
}

func TestSlowHeadIsCutInTime(t *testing.T) {
	address := serve(t, &Server{HeaderTimeout: 100 * time.Millisecond}, echo)
	c := dial(t, address)
	begun := time.Now()
	go func() { // ends with the connection
		for _, b := range []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 1000)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	c.expect("408 close 408 Request Timeout: the head of the request was too long in coming\n")
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	c.Close()
}

func TestClientThatTakesNothing(t *testing.T) {
	result := make(chan error, 1)
	c := dial(t, serve(t, &Server{WriteTimeout: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				result <- err
				return
			}
		}
	}))
	c.send(http1test.Get)
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestHandlersDeadlines(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		time.AfterFunc(20*time.Millisecond, func() { http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) })
		if _, err := r.Body.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			panic(err)
		}
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	c.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
	time.Sleep(60 * time.Millisecond)
	c.send("ab").expect("200 ab")
	c.send(http1test.Get).expect("200") // the deadline is forgotten
}

func TestContext(t *testing.T) {
	const long = "GET /long HTTP/1.1\r\nHost: a\r\n\r\n"
	entered, ended := make(chan struct{}, 10), make(chan error, 10)
	half := &Server{KeepOnHalfClose: true}
	handler := func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if ctx.Value(http.LocalAddrContextKey) == nil {
			panic("no local address")
		}
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		patience := 300 * time.Millisecond
		if r.URL.Path == "/long" { // whose client leaves
			patience = time.Minute
			entered <- struct{}{}
		}
		select {
		case <-child.Done():
			ended <- ctx.Err()
		case <-time.After(patience):
			ended <- nil
		}
		io.WriteString(w, "ab")
	}
	address, patient := serve(t, &Server{}, handler), serve(t, half, handler)
	t.Run("leaves", func(t *testing.T) {
		dial(t, address).send(long).Close()
		if err := <-ended; err != context.Canceled {
			t.Error(err)
		}
	})
	t.Run("resets", func(t *testing.T) {
		<-entered // of who left before
		c := dial(t, patient).send(long)
		c.SetLinger(0)
		<-entered
		c.Close()
		if err := <-ended; err != context.Canceled {
			t.Error(err)
		}
	})
	t.Run("stays", func(t *testing.T) {
		c := dial(t, address).send(http1test.Get)
		c.expect("200 ab")
		c.send(http1test.Get).expect("200 ab")
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	t.Run("sends the next request", func(t *testing.T) {
		c := dial(t, address).send(http1test.Get)
		time.Sleep(120 * time.Millisecond)
		c.send(http1test.Get + http1test.Get)
		for range 3 {
			c.expect("200 ab")
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("half-closed", func(t *testing.T) {
		c := dial(t, patient).send(http1test.Get)
		c.CloseWrite()
		c.expect("200 ab")
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Run("half-closed, not patient", func(t *testing.T) {
		c := dial(t, address).send(long)
		c.CloseWrite()
		c.expect("200 ab")
		if err := <-ended; err != context.Canceled {
			t.Error(err)
		}
	})
}

func TestContextEndsWithTheHandler(t *testing.T) {
	kept := make(chan context.Context, 1)
	called := make(chan struct{})
	c := dial(t, serve(t, &Server{}, func(_ http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(called) })
		stop := context.AfterFunc(r.Context(), func() { panic("stopped") })
		stop()
		kept <- r.Context()
	}))
	c.send(http1test.Get).expect("200")
	<-called
	if err := (<-kept).Err(); err != context.Canceled {
		t.Error(err)
	}
}

func TestHalfClosedClientGetsItsAnswer(t *testing.T) {
	c := dial(t, serve(t, &Server{}, echo))
	c.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
	c.CloseWrite()
	c.expect("200 POST /x ab")
	c.ended()
}

func TestShutdown(t *testing.T) {
	s := &Server{}
	entered, leave := make(chan struct{}), make(chan struct{})
	address := serve(t, s, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-leave
		}
		io.WriteString(w, "ab")
	})
	idle, busy := dial(t, address), dial(t, address)
	idle.send(http1test.Get).expect("200 ab")
	busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Error(err)
	}
	idle.ended()
	close(leave)
	busy.expect("200 close ab")
	busy.ended()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	dial(t, address).ended()
}

func TestConnState(t *testing.T) {
	var mu sync.Mutex
	var states []http.ConnState
	closed := make(chan struct{})
	c := dial(t, serve(t, &Server{ConnState: func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, s)
		if s == http.StateClosed {
			close(closed)
		}
	}}, echo))
	c.send(http1test.Get).expect("200 GET / ")
	c.Close()
	<-closed
	if got := fmt.Sprint(states); got != "[new active idle closed]" {
		t.Error(got)
	}
}
