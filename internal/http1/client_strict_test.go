package http1

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// judge has a client read an answer that comes in pieces.
func judge(t testing.TB, method string, pieces [][]byte) (verdict, *canned, *http.Response) {
	nc := &canned{pieces: pieces}
	c := NewClientConn(nc, ClientOptions{MaxHeader: 4096})
	ended := 0
	c.o.Done = func() { ended++ }
	var got verdict
	resp, err := c.RoundTrip(context.Background(), outgoing(method, "/", nil), func(int, http.Header) error { return nil })
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
		got.Kind, got.Phase = e.Kind.String(), e.Phase
		if !e.Sent || e.Reused || e.BodyRead || e.Timeout {
			t.Errorf("got %+v", e)
		}
	}
	if got.Reuse = c.Reusable(); got.Reuse == nc.closed {
		t.Errorf("reusable: %v, closed: %v", got.Reuse, nc.closed)
	}
	if ended != 1 {
		t.Errorf("the exchange ended %d times", ended)
	}
	if c.in.Peek() != nil {
		t.Error("a buffer is held")
	}
	return got, nc, resp
}

func TestClientAnswers(t *testing.T) {
	for _, c := range answerCases() {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := judge(t, c.method, [][]byte{[]byte(c.answer)})
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			for seed := range uint64(20) {
				pieces := split([]byte(c.answer), seed)
				got, _, _ = judge(t, c.method, pieces)
				want := c.want
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
