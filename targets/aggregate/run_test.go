package aggregate

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"cardea.dev/cardea/filter"
)

// TestOneGoroutineEvaluates: whatever is under way, the templates of calls are evaluated one at a time, and never on the exchange of the answer.
func TestOneGoroutineEvaluates(t *testing.T) {
	a, env, err := made(t, `{a: {call: users, set: {x: "{query.q}"}}, b: {call: orders, set: {x: "{query.q}"}}, l: {each: '[1, 2, 3, 4, 5, 6, 7, 8]', call: 'users/{item}', set: {x: "{item}"}}, m: {each: '[1, 2, 3]', call: 'users/{b.x}', set: {x: "{item}"}}}`,
		func(*filter.Exchange, *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: 2, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequest("GET", "http://gateway/home?q=1", nil)
	ex := &filter.Exchange{Request: r, Route: env.Route, ID: "1"}
	ex.Prepare(env.Slots())
	var busy, together, times atomic.Int64
	for _, s := range a.steps {
		lookup := s.sets[0]
		s.sets[0] = func(at *filter.Exchange) (any, bool) {
			if at == ex {
				t.Error("it is evaluated on the exchange of the answer")
			}
			if busy.Add(1) > 1 {
				together.Add(1)
			}
			for range 100 {
				runtime.Gosched() // whoever could come at the same time would
			}
			defer busy.Add(-1)
			times.Add(1)
			return lookup(at)
		}
	}
	resp, err := a.Serve(ex)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	want := `{"a":{"x":"1"},"b":{"x":"1"},"l":[{"x":1},{"x":2},{"x":3},{"x":4},{"x":5},{"x":6},{"x":7},{"x":8}],"m":[{"x":1},{"x":2},{"x":3}]}`
	if err != nil || string(got) != want || times.Load() != 13 || together.Load() > 0 {
		t.Errorf("%s, %v; evaluated %d times, %d together", got, err, times.Load(), together.Load())
	}
}

// TestOnlyWhatMayBeTheSameIsCompared: calls whose paths begin otherwise never ask for the same.
func TestOnlyWhatMayBeTheSameIsCompared(t *testing.T) {
	for text, want := range map[string]bool{
		`{a: users/x, b: users/y}`:                                 false,
		`{a: users/x, b: orders/x}`:                                false,
		`{a: "users/x/{query.q}", b: users/y/z}`:                   false,
		`{a: users/x, b: POST users/x}`:                            false,
		`{a: users/x, b: users/x}`:                                 true,
		`{a: users?q=1, b: users/?q=1}`:                            true,
		`{a: "users/{query.q}", b: users/y}`:                       true,
		`{a: "users/{query.q}", b: "users/x/{query.r}"}`:           true,
		`{a: {each: "[1, 2]", call: "users/{item}"}, b: orders/x}`: true,
	} {
		a, _, err := made(t, text, nil)
		if err != nil || a.steps[0].shares != want {
			t.Errorf("%s: %v, %v", text, a.steps[0].shares, err)
		}
	}
}
