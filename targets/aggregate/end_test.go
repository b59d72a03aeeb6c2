package aggregate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// service answers /wait when it is told to, or when nobody wants that any more, and all else at once.
type service struct {
	answers map[string]string // by path
	told    chan struct{}
	gone    chan struct{} // nobody wanted /wait any more
}

func (s *service) answer(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
	h := http.Header{"Content-Type": {"application/json"}}
	if r.URL.Path == "/wait" {
		h["Vary"] = []string{"X-Waited"}
		select {
		case <-s.told:
		case <-r.Context().Done():
			close(s.gone)
			return nil, context.Cause(r.Context())
		}
	}
	text := s.answers[r.URL.Path]
	if text == "" {
		text = "{}"
	}
	return &http.Response{StatusCode: 200, ContentLength: int64(len(text)), Header: h, Body: io.NopCloser(strings.NewReader(text))}, nil
}

// madeFor is a target on a service, and an exchange for it.
func madeFor(t *testing.T, s *service, method, text string) (*aggregate, *filter.Exchange) {
	t.Helper()
	s.told, s.gone = make(chan struct{}), make(chan struct{})
	a, env, err := made(t, text, s.answer)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), method, "http://gateway/home", nil)
	ex := &filter.Exchange{Request: r, Route: env.Route, ID: "1"}
	ex.Prepare(env.Slots())
	return a, ex
}

// TestAPanicEndsTheCalls: where making the head panics, nobody else would end those that are under way.
func TestAPanicEndsTheCalls(t *testing.T) {
	s := &service{}
	a, ex := madeFor(t, s, "GET", `{a: users, b: {call: users/wait, optional: true}, headers: {x-a: "{a.x}"}}`)
	a.headers[0].value = func(*filter.Exchange) string { panic("it does") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is not the engine's to tell of")
			}
		}()
		_, _ = a.Serve(ex)
	}()
	select {
	case <-s.gone:
	default:
		t.Error("the call is still under way")
	}
}

// TestWhatEndsWhileTheHeadIsMade: an answer is stored by what its head says only if that knew all calls.
func TestWhatEndsWhileTheHeadIsMade(t *testing.T) {
	s := &service{}
	a, ex := madeFor(t, s, "GET", `{a: users, b: {call: users/wait, optional: true}, headers: {cache-control: "public, max-age=60"}}`)
	a.headers[0].value = func(ex *filter.Exchange) string {
		close(s.told)
		<-a.at.Get(ex).results[1].ready
		return "public, max-age=60"
	}
	resp, err := a.Serve(ex)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Cache-Control") != "no-store" && resp.Header.Get("Vary") != "X-Waited" {
		t.Errorf("%v", resp.Header)
	}
}

// TestFailedCallsGiveMemoryBack: what is left is the same as before, but for the answer.
func TestFailedCallsGiveMemoryBack(t *testing.T) {
	for name, text := range map[string]string{
		"a long one that is not JSON": `{a: {call: users/long, optional: true}}`,
		"one that is held":            `{a: {call: users/long, optional: true, pick: [x]}, compose: merge}`,
		"a short one":                 `{a: {call: users/short, optional: true}}`,
		"a loop":                      `{a: {each: {in: "[1, 2]", parallel: 1}, call: POST users/good, optional: true}, max_memory: 450KiB, max_part: 1MiB}`,
	} {
		t.Run(name, func(t *testing.T) {
			a, ex := madeFor(t, &service{answers: map[string]string{
				"/long": "[\x01" + strings.Repeat(" ", 100_000) + "]", "/short": `[1`, "/good": `["` + strings.Repeat("x", 140_000) + `"]`,
			}}, "GET", text)
			resp, err := a.Serve(ex)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			r := a.at.Get(ex).run
			if taken := a.maxMemory - r.memory.left.Load(); taken < 0 || taken > 4<<10 || err != nil || r.results[0].state != broken {
				t.Errorf("%.60s, %v: %d bytes are taken still, %v", b, err, taken, r.results[0].err)
			}
		})
	}
}

// TestCallsThatNobodyWaitsFor: of a complete answer nobody says that the client has left.
func TestCallsThatNobodyWaitsFor(t *testing.T) {
	for method, text := range map[string]string{
		"GET":  `{a: users/good, b: {call: users/wait, optional: true, hide: true}}`,
		"HEAD": `{a: users/good, b: {call: users/wait, optional: true}}`,
	} {
		s := &service{}
		a, ex := madeFor(t, s, method, text)
		resp, err := a.Serve(ex)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			t.Error(err)
		}
		<-s.gone
		if c := ex.Calls[1]; c.Outcome != filter.CallCancelled || c.Code != "" || c.Why != errUnneeded.Error() {
			t.Errorf("%s: %s %s %q", method, c.Outcome, c.Code, c.Why)
		}
	}
}
