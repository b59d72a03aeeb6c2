package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestFraming(t *testing.T) {
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		method  string
		want    string
		length  string
	}{
		"small": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ab") }, "GET", "200 ab", "2"},
		"empty": {func(http.ResponseWriter, *http.Request) {}, "GET", "200", "0"},
		"flushed": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			flush(w)
			io.WriteString(w, "b")
		}, "GET", "200 chunked ab", ""},
		"large": {func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				w.Write([]byte(strings.Repeat("x", 3000)))
			}
		}, "GET", "200 chunked " + strings.Repeat("x", 9000), ""},
		"large in one": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("x", 100000))) }, "GET", "200 chunked " + strings.Repeat("x", 100000), ""},
		"length given": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9000")
			for range 3 {
				w.Write([]byte(strings.Repeat("x", 3000)))
			}
		}, "GET", "200 " + strings.Repeat("x", 9000), "9000"},
		"too short": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "ab")
		}, "GET", "200 ab broken", "9"},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1")
			io.WriteString(w, "a")
			if _, err := io.WriteString(w, "b"); err != http.ErrContentLength {
				panic(err)
			}
		}, "GET", "200 a", "1"},
		"HEAD":                {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ab") }, "HEAD", "200", "2"},
		"HEAD without a body": {func(http.ResponseWriter, *http.Request) {}, "HEAD", "200", ""},
		"HEAD with a length":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "7") }, "HEAD", "200", "7"},
		"204":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "GET", "204", ""},
		"204 with a body":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204); io.WriteString(w, "a") }, "GET", "204", ""},
		"304 with a length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "7")
			w.WriteHeader(304)
		}, "GET", "304", "7"},
		"handler's own chunking": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Transfer-Encoding", "chunked") }, "GET", "200", "0"},
		"abort": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "ab")
			flush(w)
			panic(http.ErrAbortHandler)
		}, "GET", "200 chunked ab broken", ""},
		"ReadFrom": {func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, strings.NewReader("ab")) }, "GET", "200 ab", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, serve(t, &Server{}, test.handler))
			resp := c.send(test.method+" / HTTP/1.1\r\nHost: a\r\n\r\n").expectFor(test.method, test.want)
			if got := resp.Header.Get("Content-Length"); got != test.length {
				t.Errorf("Content-Length: %q, want %q", got, test.length)
			}
			if _, err := http.ParseTime(resp.Header.Get("Date")); err != nil {
				t.Error(err)
			}
			if strings.Contains(test.want, "broken") {
				c.ended()
			} else {
				c.send(test.method+" / HTTP/1.1\r\nHost: a\r\n\r\n").expectFor(test.method, test.want)
			}
		})
	}
}

func TestSmallResponseLeavesInOneWrite(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"written": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1000)) },
		"whole": func(w http.ResponseWriter, _ *http.Request) {
			w.(ResponseSender).WriteResponse(&http.Response{
				StatusCode: 200, Header: http.Header{"X": {"y"}}, ContentLength: 1000, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))),
			})
		},
		"whole, trailers": func(w http.ResponseWriter, _ *http.Request) {
			w.(ResponseSender).WriteResponse(&http.Response{
				StatusCode: 200, ContentLength: 1000, Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))), Trailer: http.Header{"X": {"y"}},
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Server{Handler: handler}
			here, there := net.Pipe() // a write is a read
			go s.ServeConn(there, []byte(http1test.Get))
			defer s.Close()
			buf := make([]byte, 8192)
			n, err := here.Read(buf)
			if err != nil || strings.Count(string(buf[:n]), "x") != 1000 {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		})
	}
}

func TestTrailers(t *testing.T) {
	address := serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announced" {
			w.Header().Set("Trailer", "X-A, Content-Length")
		}
		io.Copy(w, r.Body)
		if r.URL.Path == "/announced" {
			w.Header().Set("X-A", r.Trailer.Get("X-In"))
			return
		}
		w.Header().Set(http.TrailerPrefix+"X-A", r.Trailer.Get("X-In"))
	})
	for _, path := range []string{"/announced", "/prefix"} {
		for _, announced := range []string{"", "Trailer: X-In\r\n"} {
			c := dial(t, address)
			resp := c.send("POST %s HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-In: in\r\nAuthorization: x\r\n\r\n", path, announced).
				expect("200 chunked ab")
			if got := resp.Trailer.Get("X-A"); got != "in" {
				t.Errorf("%s: trailers %v", path, resp.Trailer)
			}
		}
	}
}

func TestInterimResponses(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 2 {
			w.Header().Set("Link", fmt.Sprint(i))
			w.WriteHeader(http.StatusEarlyHints)
		}
		w.Header().Del("Link")
		io.WriteString(w, "ab")
	}))
	c.send(http1test.Get)
	for i := range 2 {
		if resp := c.expect("103"); resp.Header.Get("Link") != fmt.Sprint(i) {
			t.Errorf("Link: %v", resp.Header)
		}
	}
	c.expect("200 ab")
}

func TestWriteResponse(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 100000)
	for name, test := range map[string]struct {
		resp   func() *http.Response
		method string
		want   string
	}{
		"length":         {func() *http.Response { return response200(2, "ab") }, "GET", "200 ab"},
		"large":          {func() *http.Response { return response200(int64(len(large)), large) }, "GET", "200 " + large},
		"unknown":        {func() *http.Response { return response200(-1, "ab") }, "GET", "200 chunked ab"},
		"large, unknown": {func() *http.Response { return response200(-1, large) }, "GET", "200 chunked " + large},
		"not said":       {func() *http.Response { return response200(0, "ab") }, "GET", "200 chunked ab"},
		"empty":          {func() *http.Response { return response200(0, "") }, "GET", "200"},
		"short":          {func() *http.Response { return response200(5, "ab") }, "GET", "200 ab broken"},
		"HEAD":           {func() *http.Response { return response200(5, "") }, "HEAD", "200"},
		"no body":        {func() *http.Response { return &http.Response{StatusCode: 304} }, "GET", "304"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Own", "1")
				w.(ResponseSender).WriteResponse(test.resp())
			}))
			resp := c.send(test.method+" / HTTP/1.1\r\nHost: a\r\n\r\n").expectFor(test.method, test.want)
			if resp.Header.Get("X-Own") != "1" {
				t.Errorf("%v", resp.Header)
			}
		})
	}
}

func response200(length int64, body string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"X-Own": {"2"}}, ContentLength: length, Body: io.NopCloser(strings.NewReader(body))}
}

func TestHeaderInjection(t *testing.T) {
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X"] = []string{"a\r\nEvil: b"}
		w.Header()["Bad\r\nEvil"] = []string{"c"}
	}))
	if resp := c.send(http1test.Get).expect("200"); resp.Header.Get("Evil") != "" || resp.Header.Get("X") != "a  Evil: b" {
		t.Errorf("%v", resp.Header)
	}
}

func (b fileBody) WriteTo(w io.Writer) (int64, error) {
	return w.(io.ReaderFrom).ReadFrom(io.LimitReader(b.Conn, 1<<20))
}

func TestLargeBodyFromConnectionToConnection(t *testing.T) {
	origin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	go func() { // ends with the listener
		for {
			c, err := origin.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, strings.Repeat("0123456789abcdef", 1<<16))
			c.Close()
		}
	}()
	c := dial(t, serve(t, &Server{}, func(w http.ResponseWriter, r *http.Request) {
		from, err := net.Dial("tcp", origin.Addr().String())
		if err != nil {
			panic(err)
		}
		defer from.Close()
		if r.URL.Path == "/copy" {
			w.Header().Set("Content-Length", fmt.Sprint(1<<20))
			io.Copy(w, from)
			return
		}
		n, err := w.(ResponseSender).WriteResponse(&http.Response{StatusCode: 200, ContentLength: 1 << 20, Body: fileBody{from}})
		if n != 1<<20 || err != nil {
			panic(fmt.Sprint(n, err))
		}
	}))
	want := "200 " + strings.Repeat("0123456789abcdef", 1<<16)
	c.send(http1test.Get).expect(want)
	c.send("GET /copy HTTP/1.1\r\nHost: a\r\n\r\n").expect(want)
}
