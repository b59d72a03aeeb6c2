package timeout

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// newFilter builds the policy from its configuration as a user writes it, and what makes exchanges for its route.
func newFilter(t testing.TB, text string) (*filter.Filter, func() *filter.Exchange, error) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	return f, func() *filter.Exchange {
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: env.Route, Start: time.Now()}
		ex.Prepare(env.Slots())
		return ex
	}, err
}

// steady is a body that gives a byte now and then.
type steady struct {
	ctx   context.Context
	waits []time.Duration // before each byte
}

func (s *steady) Close() error { return nil }

func (s *steady) Read(p []byte) (int, error) {
	if len(s.waits) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.waits[0]):
		s.waits = s.waits[1:]
		p[0] = 'x'
		return 1, nil
	case <-s.ctx.Done():
		return 0, context.Cause(s.ctx)
	}
}

// life is what an exchange goes through.
type life struct {
	config    string
	before    time.Duration // from the head of the request to the policy
	upgrade   bool
	upload    []time.Duration // how long each byte of the request's body takes
	head      time.Duration   // until the upstream answers, after the upload
	status    int
	body      []time.Duration // how long each byte of the answer takes
	slow      time.Duration   // how long the client takes for each byte
	afterward time.Duration   // how long the exchange goes on, as an upgraded one does
}

// end is how it ended, and when.
type end struct {
	After  time.Duration
	Code   filter.Code // "" when all went well
	Status int
	Cause  string
}

func (l *life) run(t *testing.T) end {
	f, exchange, err := newFilter(t, l.config)
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange()
	defer ex.Release()
	time.Sleep(l.before)
	if l.upgrade {
		ex.Request.Header.Set("Upgrade", "websocket")
	}
	if l.upload != nil {
		ex.Request.Body = &steady{context.Background(), l.upload}
	}
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	defer f.Finish(ex)
	err = l.answer(f, ex)
	got := end{After: time.Since(ex.Start)}
	var e *filter.Error
	if errors.As(err, &e) {
		got.Code, got.Status, got.Cause = e.Code, e.HTTPStatus(), e.Cause.Error()
	} else if err != nil {
		t.Errorf("unexpected end: %v", err)
	}
	return got
}

func (l *life) answer(f *filter.Filter, ex *filter.Exchange) error {
	ctx := ex.Context()
	if l.upload != nil {
		if _, err := io.Copy(io.Discard, ex.Request.Body); err != nil {
			return err
		}
	}
	if !wait(ctx, l.head) {
		return context.Cause(ctx)
	}
	ex.Response = &http.Response{StatusCode: l.status, Body: &steady{ctx, l.body}}
	if err := f.Response(ex); err != nil {
		return err
	}
	for {
		_, err := ex.Response.Body.Read(make([]byte, 10))
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if !wait(ctx, l.slow) {
			return context.Cause(ctx)
		}
	}
	if !wait(ctx, l.afterward) {
		return context.Cause(ctx)
	}
	return nil
}

// wait waits, and says whether it could for so long.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func TestExchange(t *testing.T) {
	const s = time.Second
	late := func(after time.Duration, limit string) end {
		return end{after, filter.UpstreamTimeout, 504, "the exchange took longer than its timeout, " + limit}
	}
	silent := func(after time.Duration) end {
		return end{after, filter.UpstreamTimeout, 504, "the upstream was silent for longer than the idle timeout, 2s"}
	}
	for name, test := range map[string]struct {
		life life
		want end
	}{
		"in time":                       {life{config: "5s", head: 4 * s, status: 200}, end{After: 4 * s}},
		"no answer":                     {life{config: "5s", head: 9 * s, status: 200}, late(5*s, "5s")},
		"body too long":                 {life{config: "{request: 5s}", head: 3 * s, status: 200, body: []time.Duration{s, s, s, s}}, late(5*s, "5s")},
		"counted from the head on":      {life{config: "5s", before: 3 * s, head: 9 * s, status: 200}, late(5*s, "5s")},
		"over before the policy":        {life{config: "5s", before: 7 * s, head: 9 * s, status: 200}, late(7*s, "5s")},
		"upgrade in time":               {life{config: "5s", upgrade: true, head: 4 * s, status: 101, afterward: time.Hour}, end{After: time.Hour + 4*s}},
		"upgrade not answered":          {life{config: "5s", before: s, upgrade: true, head: 9 * s, status: 101}, late(5*s, "5s")},
		"upgrade refused":               {life{config: "5s", upgrade: true, head: 4 * s, status: 400, body: []time.Duration{9 * s}}, late(5*s, "5s")},
		"upgrade, idle alone":           {life{config: "{idle: 2s}", upgrade: true, head: 4 * s, status: 101, afterward: time.Hour}, end{After: time.Hour + 4*s}},
		"silence before the head":       {life{config: "{idle: 2s}", head: 3 * s, status: 200}, silent(2 * s)},
		"silence in the body":           {life{config: "{idle: 2s}", head: s, status: 200, body: []time.Duration{s, s, 3 * s}}, silent(5 * s)},
		"steady":                        {life{config: "{idle: 2s}", head: s, status: 200, body: []time.Duration{s, s, s, s}}, end{After: 5 * s}},
		"slow client":                   {life{config: "{idle: 2s}", head: s, status: 200, body: []time.Duration{s, s}, slow: 9 * s}, end{After: 21 * s}},
		"slow upload":                   {life{config: "{idle: 2s}", upload: []time.Duration{s, s, s, s}, head: s, status: 200}, end{After: 5 * s}},
		"silence after upload":          {life{config: "{idle: 2s}", upload: []time.Duration{s, s}, head: 9 * s, status: 200}, silent(4 * s)},
		"both, idle first":              {life{config: "{request: 9s, idle: 2s}", head: s, status: 200, body: []time.Duration{3 * s}}, silent(3 * s)},
		"both, request first":           {life{config: "{request: 3s, idle: 2s}", head: s, status: 200, body: []time.Duration{s, s, s}}, late(3*s, "3s")},
		"request off":                   {life{config: "{request: off, idle: 2s}", head: s, status: 200, body: []time.Duration{s, s, s, s, s}}, end{After: 6 * s}},
		"gateway's answer after a wait": {life{config: "{idle: 2s}", head: s, status: 502, afterward: time.Hour}, end{After: time.Hour + s}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if diff := cmp.Diff(test.want, test.life.run(t)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Errors are added to on their way; one exchange's must not be another's.
func TestEachExchangeHasItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange, _ := newFilter(t, "1s")
		var causes []error
		for range 2 {
			ex := exchange()
			_ = f.Request(ex)
			<-ex.Context().Done()
			causes = append(causes, context.Cause(ex.Context()))
			f.Finish(ex)
			ex.Release()
		}
		if causes[0] == causes[1] {
			t.Error("the same error twice")
		}
	})
}

// A client that leaves is not taken for a timeout.
func TestClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange, _ := newFilter(t, "{request: 5s, idle: 2s}")
		ex := exchange()
		ctx, leave := context.WithCancel(ex.Context())
		ex.Request = ex.Request.WithContext(ctx)
		_ = f.Request(ex)
		leave()
		<-ex.Context().Done()
		if got := context.Cause(ex.Context()); got != context.Canceled {
			t.Errorf("cause %v", got)
		}
		f.Finish(ex)
		ex.Release()
	})
}

// While a slow client takes the answer, nothing is waited for, though the client may still be sending.
func TestSendingWhileTaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, exchange, _ := newFilter(t, "{idle: 2s}")
		ex := exchange()
		ex.Request.Body = &steady{context.Background(), []time.Duration{time.Second}}
		_ = f.Request(ex)
		ex.Response = &http.Response{StatusCode: 200, Body: &steady{ex.Context(), []time.Duration{time.Second, time.Second}}}
		_ = f.Response(ex)
		for range 2 {
			if _, err := ex.Response.Body.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			_, _ = ex.Request.Body.Read(make([]byte, 1))
			time.Sleep(time.Minute) // the client takes what was read
		}
		if err := context.Cause(ex.Context()); err != nil {
			t.Errorf("it ended: %v", err)
		}
		f.Finish(ex)
		ex.Release()
	})
}

func TestExplain(t *testing.T) {
	for text, want := range map[string]filter.Verdict{
		"5s":                          {Action: filter.Passes, Note: "may take 5s"},
		"{idle: 1m}":                  {Action: filter.Passes, Note: "the upstream may be silent for 1m"},
		"{request: 1m30s, idle: 10s}": {Action: filter.Passes, Note: "may take 1m30s, and the upstream may be silent for 10s"},
	} {
		f, exchange, err := newFilter(t, text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f.Explain(exchange())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{"{}", "0", "{request: off}", "-1s", "5", "[1s, 2s]", "{total: 1s}"} {
		if _, _, err := newFilter(t, text); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, text := range []string{"5s", "{idle: 5s}"} {
		b.Run(text, func(b *testing.B) {
			f, exchange, _ := newFilter(b, text)
			ex := exchange()
			req, resp := ex.Request, &http.Response{StatusCode: 200, Body: http.NoBody}
			b.ReportAllocs()
			for b.Loop() {
				ex.Request, ex.Response, ex.Start = req, resp, time.Now()
				ex.Prepare(1)
				_, _ = f.Request(ex), f.Response(ex)
				f.Finish(ex)
				ex.Release()
			}
		})
	}
}
