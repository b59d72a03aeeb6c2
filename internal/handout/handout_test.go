package handout

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

func TestAnswer(t *testing.T) {
	resp := &http.Response{
		StatusCode: 200, Header: http.Header{"X-A": {"1"}}, ContentLength: 4, Trailer: http.Header{"X-T": nil}, Body: io.NopCloser(strings.NewReader("text")),
	}
	own := &filter.Exchange{Upstream: "u", Fault: "delay", Attempts: []filter.Attempt{{Upstream: "u", Status: 200}}}
	a := Of(own, resp)
	own.Attempts[0].Status = 0 // the exchange is used again
	leader, other := &filter.Exchange{Request: &http.Request{}}, &filter.Exchange{Request: &http.Request{}}
	a.Tell(leader, true)
	a.Tell(other, false)
	if leader.Upstream != "u" || other.Upstream != "u" || leader.Fault != "delay" || len(leader.Attempts) != 1 || leader.Attempts[0].Status != 200 || len(other.Attempts) != 0 {
		t.Errorf("the leader: %+v, another: %+v", leader, other)
	}
	first, second := a.For(leader), a.For(other)
	first.Header.Set("X-A", "2")
	first.Trailer["X-T"] = []string{"mine"}
	if second.Header.Get("X-A") != "1" || len(second.Trailer["X-T"]) != 0 || second.ContentLength != 4 || second.Request != other.Request {
		t.Errorf("what one does to its answer, another sees: %+v", second)
	}
	resp.Trailer = http.Header{"X-T": {"end"}}
	body := a.Body()
	if got, err := io.ReadAll(body); string(got) != "text" || err != nil || body.N != 4 {
		t.Errorf("%q, %d bytes, %v", got, body.N, err)
	}
	if !slices.Equal(a.Trailer["X-T"], []string{"end"}) {
		t.Errorf("the trailer is %v", a.Trailer)
	}
}

func TestNoAnswer(t *testing.T) {
	a := Of(&filter.Exchange{Upstream: "u", Err: filter.Reject(filter.UpstreamTimeout, "")}, nil)
	var ex filter.Exchange
	a.Tell(&ex, false)
	if ex.Upstream != "u" || a.Err == nil || a.Response != nil {
		t.Errorf("%+v, told %+v", a, &ex)
	}
}
