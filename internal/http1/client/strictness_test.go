package client

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/internal/http1/http1test"
)

// judge has a client read an answer that comes in pieces.
func judge(t testing.TB, method string, pieces [][]byte) (http1test.Verdict, *http1test.Canned, *http.Response) {
	nc := &http1test.Canned{Pieces: pieces}
	c := NewConn(nc, Options{MaxHeader: 4096})
	ended := 0
	c.o.Done = func() { ended++ }
	var got http1test.Verdict
	resp, err := c.RoundTrip(context.Background(), http1test.Outgoing(method, "/", nil), func(int, http.Header) error { return nil })
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		got.Status, got.Body = resp.StatusCode, string(body)
		if _, again := resp.Body.Read(make([]byte, 1)); err != nil && again != err {
			t.Errorf("after %v comes %v", err, again)
		}
		first, second := resp.Body.Close(), resp.Body.Close()
		if first != nil || second != nil {
			t.Error("it cannot be closed")
		}
	}
	if err != nil {
		e := failure(t, err)
		got.Kind, got.Phase = e.Kind.String(), [...]string{WritePhase: "write", HeaderPhase: "header", BodyPhase: "body"}[e.Phase]
		if !e.Sent || e.Reused || e.BodyRead || e.Timeout {
			t.Errorf("got %+v", e)
		}
	}
	if got.Reuse = c.Reusable(); got.Reuse == nc.Closed {
		t.Errorf("reusable: %v, closed: %v", got.Reuse, nc.Closed)
	}
	if ended != 1 {
		t.Errorf("the exchange ended %d times", ended)
	}
	if c.in.Peek() != nil {
		t.Error("a buffer is held")
	}
	return got, nc, resp
}

func TestAnswers(t *testing.T) {
	for _, c := range http1test.Answers() {
		t.Run(c.Name, func(t *testing.T) {
			got, _, _ := judge(t, c.Method, [][]byte{[]byte(c.Answer)})
			if d := cmp.Diff(c.Want, got); d != "" {
				t.Error(d)
			}
			for seed := range uint64(20) {
				pieces := http1test.Split([]byte(c.Answer), seed)
				got, _, _ = judge(t, c.Method, pieces)
				want := c.Want
				if !want.Reuse && want.Kind == "" { // surplus bytes may not have come
					want.Reuse = got.Reuse
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("in pieces of seed %d: %s", seed, d)
				}
			}
		})
	}
}
