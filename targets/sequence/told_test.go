package sequence

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// TestWhyAStepFailed: the client is told what it may know of why, and operators find the step among the calls that failed, also where it is one that only reads.
func TestWhyAStepFailed(t *testing.T) {
	answer := func(kind, text string) func(*filter.Exchange, *http.Request) (*http.Response, error) {
		return func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
		}
	}
	for name, test := range map[string]struct {
		answer      func(*filter.Exchange, *http.Request) (*http.Response, error)
		detail, why string
	}{
		"HTML":     {answer("text/html", "<p>"), `The step "read" failed: it did not get what it should. What had been done was undone.`, "the answer is text/html, and should be JSON"},
		"cut":      {answer("application/json", `{"a":`), `The step "read" failed: it did not get what it should. What had been done was undone.`, "the document ends too early, in /a, at byte 5"},
		"too long": {answer("application/json", `"`+strings.Repeat("a", 2<<10)+`"`), `The step "read" failed: it did not get what it should. What had been done was undone.`, "the answer is longer than `max_part`"},
		"not there": {func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return nil, filter.Reject(filter.UpstreamConnectFailed, "").Because(errors.New("secret"))
		}, `The step "read" failed. The service could not be reached. What had been done was undone.`, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			env := filtertest.NewEnv(t, "x", filtertest.Upstream("u", func(ex *filter.Exchange, r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/read" {
					return test.answer(ex, r)
				}
				return made(`{"id":"7"}`), nil
			}))
			s := newTarget(t, env, `sequence: {a: {call: POST u/a, on_error: "DELETE u/a/{a.id}"}, read: u/read, max_part: 1KiB}`)
			ex := exchange(env, "POST", "{}")
			_, err := s.Serve(ex)
			var e *filter.Error
			if !errors.As(err, &e) || e.Detail != test.detail || !strings.Contains(e.Error(), test.why) {
				t.Fatalf("got %v", err)
			}
			for _, c := range ex.Calls {
				if c.Name == "read" && (c.Outcome != filter.CallFails || !strings.Contains(c.Why, test.why)) {
					t.Errorf("recorded %s: %s", c.Outcome, c.Why)
				}
			}
		})
	}
}
