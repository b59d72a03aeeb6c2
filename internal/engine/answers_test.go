package engine_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine"
)

func TestProblem(t *testing.T) {
	ex := &filter.Exchange{ID: "1"}
	e := filter.Reject(filter.UpstreamConnectFailed, "")
	problem := func(status int, title, detail string) engine.Problem {
		return engine.Problem{Type: "about:blank", Status: status, Title: title, Detail: detail, Code: filter.UpstreamConnectFailed, RequestID: "1"}
	}
	const detail = "The service could not be reached."
	for _, test := range []struct {
		answer engine.Answer
		want   engine.Problem
	}{
		{engine.Answer{}, problem(502, "Bad gateway", detail)},
		{engine.Answer{Status: 502, Detail: "d"}, problem(502, "Bad gateway", "d")},
		{engine.Answer{Status: 503}, problem(503, "Service Unavailable", detail)}, // a title goes with its status
		{engine.Answer{Status: 503, Title: "t"}, problem(503, "t", detail)},
		{engine.Answer{Status: 599}, problem(599, "Bad gateway", detail)}, // which has no name
	} {
		if diff := cmp.Diff(test.want, test.answer.Problem(ex, e)); diff != "" {
			t.Errorf("%+v:\n%s", test.answer, diff)
		}
	}
}
