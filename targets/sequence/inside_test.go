package sequence

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

const two = `sequence:
  a: {call: POST u/a, body: {n: "{body.n}"}, on_error: "DELETE u/a/{a.id}"}
  b: {call: POST u/b, on_error: "DELETE u/b/{idempotency_key}"}
  undo: {backoff: 1ms, times: 1}
`

// exchange is a request for a target.
func exchange(env *filter.Env, method, body string) *filter.Exchange {
	r := httptest.NewRequest(method, "http://api.example.com/x", strings.NewReader(body))
	ex := &filter.Exchange{Request: r, Route: env.Route, ID: "id-1", Start: time.Now()}
	ex.Prepare(env.Slots())
	return ex
}

// made is an answer of an upstream.
func made(text string) *http.Response {
	return &http.Response{StatusCode: 201, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}
}

func newTarget(t testing.TB, env *filter.Env, text string) target.Target {
	t.Helper()
	s, err := Kind().Build(env, filtertest.Parse(t, text).Field("sequence"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPanics of whoever makes a call: what was done is undone, that step's perhaps, too.
func TestPanics(t *testing.T) {
	var calls []string
	env := filtertest.NewEnv(t, "x", filtertest.Upstream("u", func(ex *filter.Exchange, r *http.Request) (*http.Response, error) {
		calls = append(calls, r.Method+" "+r.URL.Path)
		ex.Attempts = append(ex.Attempts, filter.Attempt{Upstream: "u"})
		if r.URL.Path == "/b" {
			panic("oh")
		}
		if r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/b/") {
			panic("oh no")
		}
		return made(`{"id":"7"}`), nil
	}))
	_, err := newTarget(t, env, two).Serve(exchange(env, "POST", `{"n":1}`))
	var known *filter.Error
	if !errors.As(err, &known) || known.Code != filter.SequenceFailed || known.Header.Get(Told) != "a;state=undone, b;state=stuck" {
		t.Errorf("%v %v", err, known)
	}
	if got := strings.Join(calls, ", "); got != "POST /a, POST /b, DELETE /b/id-1-"+strings.TrimPrefix(calls[2], "DELETE /b/id-1-")+", DELETE /a/7" {
		t.Errorf("calls %s", got)
	}
}

// TestMetrics counts what came of sequences, of their steps, and of undoing them.
func TestMetrics(t *testing.T) {
	fail := false
	env := filtertest.NewEnv(t, "x", filtertest.Upstream("u", func(_ *filter.Exchange, r *http.Request) (*http.Response, error) {
		if fail && r.URL.Path == "/b" {
			return nil, filter.Reject(filter.UpstreamConnectFailed, "")
		}
		return made(`{"id":"7"}`), nil
	}))
	s := newTarget(t, env, two)
	_, _ = s.Serve(exchange(env, "POST", `{"n":1}`))
	fail = true
	_, _ = s.Serve(exchange(env, "POST", `{"n":1}`))
	got := func(name string, labels ...string) float64 {
		names := []string{"route", "result"}
		if len(labels) == 3 {
			names = []string{"route", "step", "result"}
		}
		help := map[string]string{
			"sequence_requests_total": "Sequences of calls, by how they ended.", "sequence_steps_total": "Steps of sequences, by what came of them.",
			"sequence_undone_total": "Steps of sequences that were to be undone, by what came of that.",
		}
		var m dto.Metric
		if err := env.Metrics.Counter(name, help[name], names...).WithLabelValues(labels...).Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	for _, want := range []struct {
		is   float64
		name string
		of   []string
	}{
		{1, "sequence_requests_total", []string{"x", "done"}},
		{1, "sequence_requests_total", []string{"x", "undone"}},
		{0, "sequence_requests_total", []string{"x", "stuck"}},
		{2, "sequence_steps_total", []string{"x", "a", "done"}},
		{1, "sequence_steps_total", []string{"x", "b", "done"}},
		{1, "sequence_steps_total", []string{"x", "b", "failed"}},
		{1, "sequence_undone_total", []string{"x", "a", "undone"}},
		{0, "sequence_undone_total", []string{"x", "b", "undone"}},
	} {
		if is := got(want.name, want.of...); is != want.is {
			t.Errorf("%s%q is %v, wanted %v", want.name, want.of, is, want.is)
		}
	}
}

func TestExplain(t *testing.T) {
	env := filtertest.NewEnv(t, "x", filtertest.Upstream("u", nil))
	got := newTarget(t, env, two+"  require_key: true\n").Explain(exchange(env, "POST", ""))
	want := "calls a (POST u/a, undone by DELETE u/a/{a.id}); then b (POST u/b, undone by DELETE u/b/{idempotency_key}); refused with 400: the request has no Idempotency-Key"
	if got != want {
		t.Errorf("%s", got)
	}
}

// TestMemoryOfKeys has bounds in time and number.
func TestMemoryOfKeys(t *testing.T) {
	k := newKept()
	now := time.Unix(0, 0)
	k.now = func() time.Time { return now }
	use := func(n int, how ending) (again bool, err error) {
		again, release, err := k.claim(id{byte(n), byte(n >> 8), byte(n >> 16), 1})
		if err == nil {
			release(how, "")
		}
		return again, err
	}
	_, _ = use(1, wasUndone)
	_, _ = use(2, complete)
	_, _ = use(3, nothing)
	if _, err := use(1, complete); err == nil {
		t.Error("a key that is used up is taken")
	}
	if again, err := use(2, complete); err != nil || !again {
		t.Errorf("a key that is done: %v %v", again, err)
	}
	if again, err := use(3, nothing); err != nil || again {
		t.Errorf("a key that did nothing: %v %v", again, err)
	}
	now = now.Add(memory)
	if again, err := use(1, wasUndone); err != nil || again {
		t.Errorf("after an hour: %v %v", again, err)
	}
	for n := range 3 * maxKeys {
		_, _ = use(n+10, complete)
	}
	if len(k.ends) != maxKeys || len(k.oldest) != maxKeys || cap(k.oldest) > 4*maxKeys || len(k.busy) != 0 {
		t.Errorf("%d and %d (%d) are remembered, %d are busy", len(k.ends), len(k.oldest), cap(k.oldest), len(k.busy))
	}
	k.Settle()
	if _, err := k.begin(); err == nil {
		t.Error("a sequence begins while the gateway ends")
	}
}

func BenchmarkSequence(b *testing.B) {
	env := filtertest.NewEnv(b, "x", filtertest.Upstream("u", func(*filter.Exchange, *http.Request) (*http.Response, error) { return made(`{"id":"7"}`), nil }))
	s := newTarget(b, env, two)
	b.ReportAllocs()
	for b.Loop() {
		ex := exchange(env, "POST", `{"n":1}`)
		resp, err := s.Serve(ex)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}
