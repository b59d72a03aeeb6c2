package client

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/http1/http1test"
)

// FuzzResponse compares with net/http: what is accepted here must be the same there, up to where the message ends.
func FuzzResponse(f *testing.F) {
	for i, c := range http1test.Answers() {
		f.Add([]byte(c.Answer), uint64(i), c.Method == "HEAD")
	}
	f.Add([]byte(http1test.OK+"Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n3;q=\"a;b\"\r\nabc\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"), uint64(3), false)
	f.Add([]byte(http1test.OK+"set-cookie: a\r\nSet-Cookie: b\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\nx"), uint64(4), false)
	f.Fuzz(func(t *testing.T, answer []byte, seed uint64, head bool) {
		if len(answer) > 4<<10 {
			return
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		compare(t, method, answer, seed)
	})
}

func compare(t *testing.T, method string, answer []byte, seed uint64) {
	got, nc, resp := judge(t, method, http1test.Split(answer, seed))
	if got.Kind != "" {
		return
	}
	rest := bytes.NewReader(answer)
	r := bufio.NewReader(rest)
	req := http1test.Outgoing(method, "/", nil)
	var want *http.Response
	for {
		var err error
		if want, err = http.ReadResponse(r, req); err != nil {
			t.Fatalf("accepted: %+v; net/http: %v", got, err)
		}
		if want.StatusCode >= 200 {
			break
		}
	}
	body, err := io.ReadAll(want.Body)
	if err != nil {
		t.Fatalf("accepted: %+v; net/http reads %q, %v", got, body, err)
	}
	if d := cmp.Diff(http1test.Verdict{Status: want.StatusCode, Body: string(body), Reuse: got.Reuse}, got); d != "" {
		t.Error(d)
	}
	if want.Close { // net/http takes it out
		delete(want.Header, "Connection")
		delete(resp.Header, "Connection")
	}
	if d := cmp.Diff(want.Header, resp.Header); d != "" {
		t.Error(d)
	}
	if want.ContentLength != resp.ContentLength || want.Close && got.Reuse || strings.TrimSpace(want.Status) != strings.TrimSpace(resp.Status) {
		t.Errorf("length %d, want %d; close %v; status %q, want %q", resp.ContentLength, want.ContentLength, want.Close, resp.Status, want.Status)
	}
	for name, values := range resp.Trailer {
		if d := cmp.Diff(want.Trailer[name], values); d != "" {
			t.Errorf("trailer %s: %s", name, d)
		}
	}
	if end := len(answer) - rest.Len() - r.Buffered(); got.Reuse && end != nc.Given {
		t.Errorf("the message ends at %d, for net/http at %d", nc.Given, end)
	}
}
