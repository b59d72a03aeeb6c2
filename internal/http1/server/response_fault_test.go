package server

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/http1test"
)

var errOrigin = errors.New("the origin broke")

// breaking is a body that gives some bytes and then fails.
type breaking struct{ io.Reader }

func (b breaking) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = errOrigin
	}
	return n, err
}

func (breaking) Close() error { return nil }

func TestBodiesThatBreakOff(t *testing.T) {
	result := make(chan error, 1)
	address := serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		length := int64(5)
		if r.URL.Path == "/unknown" {
			length = -1
		}
		_, err := w.(ResponseSender).WriteResponse(&http.Response{StatusCode: 200, ContentLength: length, Body: breaking{strings.NewReader("ab")}})
		result <- err
	})
	for path, want := range map[string]string{"/known": "200 ab broken", "/unknown": "200 chunked ab broken"} {
		c := dial(t, address)
		c.send("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path).expect(want)
		c.ended()
		if err := <-result; err != errOrigin {
			t.Errorf("%s: %v", path, err)
		}
	}
	c := dial(t, address) // the end of the connection would be the end of the body: it must be a reset
	c.send("GET /unknown HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q, %v", b, err)
	}
	<-result
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

func TestClientsThatLeaveInTheMiddle(t *testing.T) {
	for name, length := range map[string]int64{"known": 1 << 40, "unknown": -1} {
		t.Run(name, func(t *testing.T) {
			result := make(chan error, 1)
			c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
				_, err := w.(ResponseSender).WriteResponse(&http.Response{StatusCode: 200, ContentLength: length, Body: endless{}})
				result <- err
			}))
			c.send(http1test.Get)
			c.Read(make([]byte, 10))
			c.Close()
			var left *WriteError
			if err := <-result; !errors.As(err, &left) || left.Unwrap() == nil || left.Error() == "" {
				t.Errorf("%v is no WriteError", err)
			}
		})
	}
}

func TestOrderlyEnds(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Close, X-Hop")
		io.WriteString(w, "ab")
	}))
	c.send(http1test.Get + http1test.Get).expect("200 close ab")
	c.ended()
	c = dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ab")
		http.NewResponseController(w).Flush()
		w.(ResponseSender).Abort()
	}))
	c.send(http1test.Get).expect("200 chunked ab broken")
	c.ended()
	c = dial(t, serve(t, &Server{}, func(http.ResponseWriter, *http.Request) { panic("oops") }))
	c.send(http1test.Get)
	c.ended()
}

func TestMoreThanWasAnnounced(t *testing.T) {
	result := make(chan error, 1)
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.(ResponseSender).WriteResponse(&http.Response{StatusCode: 200, ContentLength: 2, Body: io.NopCloser(strings.NewReader("abc"))})
		result <- err
	}))
	c.send(http1test.Get).expect("200 ab")
	c.ended()
	if err := <-result; err != http.ErrContentLength {
		t.Error(err)
	}
}

func TestWriteDeadlineOfAHandler(t *testing.T) {
	result := make(chan error, 1)
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		if err := errors.Join(control.EnableFullDuplex(), control.SetWriteDeadline(time.Now().Add(50*time.Millisecond))); err != nil {
			panic(err)
		}
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				result <- err
				return
			}
		}
	}))
	begun := time.Now()
	c.send(http1test.Get)
	if err := <-result; err == nil || time.Since(begun) > 10*time.Second {
		t.Error(err)
	}
}
