package engine

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// told is a target that does what a test says.
type told func(ex *filter.Exchange) (*http.Response, error)

func (f told) Serve(ex *filter.Exchange) (*http.Response, error) { return f(ex) }
func (told) Explain(*filter.Exchange) string                     { return "" }

// noted is a body that says when it is closed.
type noted struct {
	io.Reader
	close func()
}

func (n noted) Close() error { n.close(); return nil }

// TestWhatMendsAnExchangeThatHasFailed: it runs up to the last step that mends, and nothing is asked.
func TestWhatMendsAnExchangeThatHasFailed(t *testing.T) {
	late := filter.Reject(filter.UpstreamTimeout, "")
	for name, test := range map[string]struct {
		mends, has bool // there is a step that mends; it has an answer
		want       string
	}{
		"an answer":     {true, true, "request b, request c, mend c, response b, finish b, finish c"},
		"none":          {true, false, "request b, request c, mend c, finish b, finish c"},
		"nothing mends": {false, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var phases []string
			phase := func(name string) func(*filter.Exchange) error {
				return func(*filter.Exchange) error { phases = append(phases, name); return nil }
			}
			step := func(kind string) Step {
				return Step{Kind: kind, Filter: filter.Filter{
					Request: phase("request " + kind), Response: phase("response " + kind), Finish: func(*filter.Exchange) { phases = append(phases, "finish "+kind) },
				}}
			}
			c := step("c")
			c.Mends, c.Response = test.mends, func(ex *filter.Exchange) error {
				phases = append(phases, "mend c")
				if ex.Err != error(late) || ex.Response.StatusCode != http.StatusGatewayTimeout {
					t.Errorf("it is to mend %v, %d", ex.Err, ex.Response.StatusCode)
				}
				if test.has {
					ex.Response, ex.Err = &http.Response{StatusCode: 200}, nil
				}
				return nil
			}
			route := &Route{Steps: []Step{step("a"), step("b"), c, step("d")}, Target: told(func(*filter.Exchange) (*http.Response, error) {
				t.Error("the target is asked")
				return nil, late
			})}
			r, _ := http.NewRequestWithContext(context.Background(), "GET", "/", nil)
			resp, finish, err := route.Mend("a", slog.New(slog.DiscardHandler), &filter.Exchange{Request: r, Route: &route.Route}, late)
			finish()
			if got := strings.Join(phases, ", "); got != test.want {
				t.Errorf("got %s", got)
			}
			if test.has && (err != nil || resp.StatusCode != 200) || !test.has && (err != error(late) || resp != nil) {
				t.Errorf("%v, %v", resp, err)
			}
		})
	}
}

// TestTheRestOfARoute: the policies after one run as they do for a request of a client's, in all phases, whatever happens.
func TestTheRestOfARoute(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		at   string // where it happens: "request b", "response b", "target"
		what any    // an error; a text to panic with; an answer
		want string // the phases
		err  string
	}{
		"all goes well":       {"", nil, "request b, request c, target, response c, response b, finish b, finish c", ""},
		"a policy refuses":    {"request b", broken, "request b, finish b", "broken"},
		"a policy answers":    {"request b", &http.Response{}, "request b, response b, finish b", ""},
		"the target fails":    {"target", broken, "request b, request c, target, finish b, finish c", "broken"},
		"a response fails":    {"response c", broken, "request b, request c, target, response c, close, finish b, finish c", "broken"},
		"a policy panics":     {"request c", "oops", "request b, request c, finish b, finish c", "panic: oops"},
		"the target panics":   {"target", "oops", "request b, request c, target, finish b, finish c", "panic: oops"},
		"a response panics":   {"response b", "oops", "request b, request c, target, response c, response b, close, finish b, finish c", "panic: oops"},
		"the last one panics": {"finish b", "oops", "request b, request c, target, response c, response b, finish b, finish c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var phases []string
			do := func(ex *filter.Exchange, phase string) error {
				phases = append(phases, phase)
				if phase != test.at {
					return nil
				}
				switch what := test.what.(type) {
				case error:
					return what
				case *http.Response:
					ex.Response = what
				case string:
					panic(what)
				}
				return nil
			}
			step := func(kind string) Step {
				return Step{Kind: kind, Filter: filter.Filter{
					Request:  func(ex *filter.Exchange) error { return do(ex, "request "+kind) },
					Response: func(ex *filter.Exchange) error { return do(ex, "response "+kind) },
					Finish:   func(ex *filter.Exchange) { _ = do(ex, "finish "+kind) },
				}}
			}
			route := &Route{Steps: []Step{step("early"), step("a"), step("b"), {Kind: "nothing"}, step("c")}, Target: told(func(ex *filter.Exchange) (*http.Response, error) {
				if err := do(ex, "target"); err != nil {
					return nil, err
				}
				return &http.Response{Body: noted{strings.NewReader(""), func() { phases = append(phases, "close") }}}, nil
			})}
			r, _ := http.NewRequestWithContext(context.Background(), "GET", "/", nil)
			ex := &filter.Exchange{Request: r, Route: &route.Route}
			resp, finish, err := route.Rest("a", slog.New(slog.DiscardHandler), ex)
			finish()
			if got := strings.Join(phases, ", "); got != test.want {
				t.Errorf("got %s", got)
			}
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err || (resp == nil) != (err != nil) || (ex.Err != nil) != (err != nil) {
				t.Errorf("%v, %v", resp, err)
			}
			if slices.Contains(phases, "request a") {
				t.Error("it runs itself")
			}
		})
	}
}
