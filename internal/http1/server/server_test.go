package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/internal/http1/http1test"
)

const chunkedHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
	fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, b)
}

func TestKeepAlive(t *testing.T) {
	c := dial(t, serve(t, &Server{}, echo))
	for range 3 {
		c.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab").expect("200 POST /x ab")
	}
	c.send("GET /y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("200 close GET /y ")
	c.ended()
}

func TestHTTP10(t *testing.T) {
	address := serve(t, &Server{}, echo)
	c := dial(t, address)
	c.send("GET /x HTTP/1.0\r\n\r\n").expect("200 close GET /x ")
	c.ended()
	c = dial(t, address)
	resp := c.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("200 GET /x ")
	if got := resp.Header.Get("Connection"); got != "keep-alive" {
		t.Errorf("Connection: %q", got)
	}
	c.send("GET /y HTTP/1.0\r\n\r\n").expect("200 close GET /y ")
	c.ended()
}

func TestHTTP10OfUnknownLengthEndsWithTheConnection(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	}))
	c.send("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("200 close ab")
	c.ended()
}

func TestPipelining(t *testing.T) {
	c := dial(t, serve(t, &Server{}, echo))
	var all strings.Builder
	for i := range 500 {
		fmt.Fprintf(&all, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", i)
	}
	go c.send("%s", all.String())
	for i := range 500 {
		c.expect(fmt.Sprintf("200 POST /%d x", i))
	}
}

func TestFirstBytesOfSniffing(t *testing.T) {
	s := &Server{Handler: http.HandlerFunc(echo)}
	here, there := net.Pipe()
	go s.ServeConn(there, []byte("GET /x HT"))
	defer s.Close()
	go io.WriteString(here, "TP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(here), nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
}

func TestContinue(t *testing.T) {
	address := serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		echo(w, r)
	})
	c := dial(t, address)
	c.send("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").expect("100")
	c.send("ab").expect("200 POST /x ab")
	c.send("POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").expect("403 close")
	c.ended()
}

func TestHijack(t *testing.T) {
	s := &Server{}
	c := dial(t, serve(t, s, func(w http.ResponseWriter, _ *http.Request) {
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer nc.Close()
		if s.Connections() != 0 {
			panic("the server still knows the connection")
		}
		b := make([]byte, rw.Reader.Buffered())
		io.ReadFull(rw, b)
		nc.Write(b)
		io.Copy(nc, nc)
	}))
	c.send(http1test.Get + "early").send("late")
	c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "earlylate" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestHijackAfterWatching(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		r.Context().Done()
		time.Sleep(150 * time.Millisecond) // until the client is watched
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer nc.Close()
		b := make([]byte, 5)
		io.ReadFull(rw, b)
		nc.Write(b)
	}))
	c.send(http1test.Get)
	time.Sleep(100 * time.Millisecond)
	c.send("early")
	if got, err := io.ReadAll(c); string(got) != "early" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnreadBodies(t *testing.T) {
	address := serve(t, &Server{DrainTimeout: 100 * time.Millisecond}, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ab") })
	c := dial(t, address)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde").expect("200 ab")
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n").expect("200 ab")
	go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n"+strings.Repeat("x", 600000))
	c.expect("200 close ab")
	c.ended()
	c = dial(t, address) // it never sends the rest
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").expect("200 ab")
	c.ended()
}

func TestEarlyResponseWhileTheBodyIsComing(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "early ")
		w.(http.Flusher).Flush()
		io.Copy(w, r.Body)
	}))
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
	line, _ := c.r.Peek(15)
	if string(line) != "HTTP/1.1 200 OK" {
		t.Fatalf("%q", line)
	}
	c.send("late").expect("200 chunked early late")
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").expect("200 chunked early ")
}

// Whoever still sends when the answer is complete is told that the connection ends, however the answer was written, and though another
// goroutine waits for the body.
func TestEndOfTheConnectionIsAnnounced(t *testing.T) {
	fixed, chunked := "Content-Length: 600000\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
	write := func(w http.ResponseWriter) { io.WriteString(w, "no") }
	pass := func(w http.ResponseWriter) {
		w.(ResponseSender).WriteResponse(&http.Response{StatusCode: 200, ContentLength: 2, Body: io.NopCloser(strings.NewReader("no"))})
	}
	for name, answer := range map[string]func(http.ResponseWriter){"written": write, "passed on": pass} {
		for _, body := range []string{fixed, chunked} {
			t.Run(name, func(t *testing.T) {
				c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
					body, reading := r.Body, make(chan struct{})
					go func() { // ends with the handler
						body.Read(make([]byte, 2))
						close(reading)
						body.Read(make([]byte, 2))
					}()
					<-reading
					time.Sleep(10 * time.Millisecond) // until it waits
					answer(w)
				}))
				c.send("POST / HTTP/1.1\r\nHost: a\r\n" + body).expect("200 close no")
			})
		}
	}
}

// The trailer belongs to who reads the end of the body, though the handler returns just then.
func TestTrailerThatComesWithTheAnswer(t *testing.T) {
	var readers sync.WaitGroup
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		body, trailer, reading := r.Body, r.Trailer, make(chan struct{})
		readers.Go(func() {
			close(reading)
			if _, err := io.Copy(io.Discard, body); err == nil && trailer.Get("X-A") != "b" {
				t.Errorf("%v", trailer)
			}
		})
		<-reading
		io.WriteString(w, "ok")
	}))
	for range 2000 {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n2\r\nab\r\n0\r\nX-A: b\r\n\r\n").expect("200 ok")
	}
	readers.Wait()
}

func TestBodyReadAfterTheHandler(t *testing.T) {
	result := make(chan error, 1)
	c := dial(t, serve(t, &Server{}, func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		reading, body := make(chan struct{}), r.Body
		go func() { // ends when the body does
			b := make([]byte, 10)
			body.Read(b)
			close(reading)
			_, err := body.Read(b)
			result <- err
		}()
		<-reading
	}))
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab").expect("200")
	if err := <-result; err != http.ErrBodyReadAfterClose {
		t.Error(err)
	}
	c.send("1234567" + http1test.Get).expect("200") // the rest is read away, and the next request served
}

func TestRefusals(t *testing.T) {
	s := &Server{Refuse: func(_ net.Conn, e *http1.ParseError) []byte {
		return fmt.Appendf(nil, "HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 1\r\n\r\n!", e.Status)
	}}
	address := serve(t, s, echo)
	c := dial(t, address).send(http1test.Get)
	c.expect("200 GET / ")
	c.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" + strings.Repeat("x", 100000)).expect("400 close !")
	c.ended()
	c = dial(t, serve(t, &Server{}, echo)).send("GET / HTTP/3.0\r\n\r\n")
	c.expect("505 close 505 HTTP Version Not Supported: the version is not supported\n")
	c.ended()
}

func TestTinyChunks(t *testing.T) {
	reads := 0
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		total := 0
		for buf := make([]byte, 32<<10); ; {
			n, err := r.Body.Read(buf)
			total += n
			reads++
			if err != nil {
				fmt.Fprint(w, total, err == io.EOF)
				return
			}
		}
	}))
	go io.WriteString(c, chunkedHead+strings.Repeat("1\r\nx\r\n", 100000)+"0\r\n\r\n")
	c.expect("200 100000 true")
	if reads > 2000 {
		t.Errorf("100000 chunks were read in %d pieces", reads)
	}
	c.send(chunkedHead + strings.Repeat("1;a="+strings.Repeat("b", 100)+"\r\nx\r\n", 1000)).expect("200 close 182 false")
	c.ended()
}

// fileBody is a body that writes itself.
type fileBody struct{ net.Conn }
