package coalesce

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "coalesce", 3) }

// policy is the policy under test, on a route whose service takes a second.
type policy struct {
	*filter.Filter
	t     testing.TB
	env   *filter.Env
	asked atomic.Int64
}

// newTestPolicy builds the policy. The answers are what answer returns for the n-th request, from 1 on.
func newTestPolicy(t testing.TB, text string, answer func(n int64, ex *filter.Exchange) (*http.Response, error)) *policy {
	t.Helper()
	p := &policy{t: t, env: filtertest.NewEnv(t, "orders")}
	p.env.Rest = func(ex *filter.Exchange) (*http.Response, func(), error) {
		n := p.asked.Add(1)
		ex.Upstream, ex.Attempts = "a", []filter.Attempt{{Upstream: "a"}}
		select {
		case <-time.After(time.Second):
		case <-ex.Context().Done():
			return nil, func() {}, context.Cause(ex.Context())
		}
		resp, err := answer(n, ex)
		return resp, func() {}, err
	}
	f, err := Kind().Build(p.env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	p.Filter = f
	return p
}

// exchange makes an exchange. What is "Name: value" among what is said of it is a field.
func (p *policy) exchange(ctx context.Context, method, url string, said ...string) *filter.Exchange {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Body = http.NoBody
	ex := &filter.Exchange{Request: r, Route: p.env.Route, Client: netip.MustParseAddr("192.0.2.1"), Original: filter.Original{Method: method, Scheme: "http"}}
	for _, s := range said {
		name, value, field := strings.Cut(s, ": ")
		switch {
		case field:
			r.Header.Add(name, value)
		case strings.HasPrefix(s, "from "):
			ex.Client = netip.MustParseAddr(s[5:])
		default:
			subject, issuer, _ := strings.Cut(s, " of ")
			ex.Identity = &filter.Identity{Subject: subject, Method: "jwt", Claims: map[string]any{"iss": issuer}}
		}
	}
	ex.Prepare(p.env.Slots())
	return ex
}

// run takes an exchange through the policy. It returns the body that it gets, or "alone".
func (p *policy) run(ex *filter.Exchange) (string, error) {
	defer p.Finish(ex)
	if err := p.Request(ex); err != nil {
		return "", err
	}
	if ex.Response == nil {
		return "alone", nil
	}
	if err := p.Response(ex); err != nil {
		return "", err
	}
	body, err := io.ReadAll(ex.Response.Body)
	return string(body), err
}

// counted is a counter.
func (p *policy) counted(outcome string) int {
	var m dto.Metric
	_ = p.env.Metrics.Counter("coalesce_requests_total", "Requests where several may become one, by route and what became of them.", "route", "outcome").WithLabelValues("orders", outcome).Write(&m)
	return int(m.GetCounter().GetValue())
}

func ok(fields ...string) func(int64, *filter.Exchange) (*http.Response, error) {
	return func(n int64, ex *filter.Exchange) (*http.Response, error) {
		return respond(200, "hello", fields...), nil
	}
}

func respond(status int, body string, fields ...string) *http.Response {
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// together runs two exchanges at once, and returns how many requests the service got, and how many were answered by another's.
func together(p *policy, a, b *filter.Exchange) (fetches, alone int) {
	var all sync.WaitGroup
	var n atomic.Int64
	for _, ex := range []*filter.Exchange{a, b} {
		all.Go(func() {
			switch got, err := p.run(ex); {
			case got == "alone":
				n.Add(1)
			case err != nil || got != "hello" && ex.Request.Method != "HEAD":
				p.t.Errorf("%q, %v", got, err)
			}
		})
		synctest.Wait() // the first leads
	}
	all.Wait()
	return int(p.asked.Load()), int(n.Load())
}

func TestWhatIsTheSame(t *testing.T) {
	const get, url = "GET", "http://h/x?a=1"
	for name, test := range map[string]struct {
		config string
		a, b   []string
		same   bool
	}{
		"the same":                        {"{}", nil, nil, true},
		"another client":                  {"{}", nil, []string{"from 192.0.2.9"}, true},
		"another browser":                 {"{}", []string{"User-Agent: a", "Sec-Ch-Ua: a", "X-Request-Id: 1"}, []string{"User-Agent: b", "Traceparent: 1", "X-B3-Traceid: 2"}, true},
		"another language":                {"{}", []string{"Accept-Language: a"}, []string{"Accept-Language: b"}, false},
		"another encoding":                {"{fields: []}", []string{"Accept-Encoding: gzip"}, []string{"Accept-Encoding: br"}, false},
		"another range":                   {"{fields: []}", []string{"Range: bytes=1-"}, nil, false},
		"the same token":                  {"{}", []string{"Authorization: a"}, []string{"Authorization: a"}, true},
		"another token":                   {"{}", []string{"Authorization: a"}, []string{"Authorization: b"}, false},
		"another deadline":                {"{fields: []}", []string{"X-Request-Deadline: 2026-05-04T10:20:30.250Z"}, nil, false},
		"another deadline of gRPC":        {"{fields: []}", []string{"Grpc-Timeout: 1n"}, nil, false},
		"another cookie":                  {"{fields: []}", []string{"Cookie: a=1"}, []string{"Cookie: a=2"}, false},
		"a key in a field of its own":     {"{}", []string{"X-Api-Key: a"}, []string{"X-Api-Key: b"}, false},
		"another identity":                {"{fields: []}", []string{"ada"}, []string{"bob"}, false},
		"the same name elsewhere":         {"{}", []string{"ada of a"}, []string{"ada of b"}, false},
		"another host for links":          {"{}", []string{"X-Forwarded-Host: a"}, []string{"X-Forwarded-Host: b"}, false},
		"an identity and none":            {"{}", []string{"ada"}, nil, false},
		"the same identity":               {"{}", []string{"ada"}, []string{"ada"}, true},
		"another caller, on purpose":      {"{across_callers: true}", []string{"ada", "Authorization: a", "Cookie: a=1"}, []string{"bob", "Authorization: b"}, true},
		"fields that are named":           {"{fields: [x-tenant]}", []string{"X-Tenant: a"}, []string{"X-Tenant: b"}, false},
		"fields that are not named":       {"{fields: [x-tenant]}", []string{"Accept-Language: a"}, []string{"Accept-Language: b"}, true},
		"another address, where it tells": {"{vary: [address]}", nil, []string{"from 192.0.2.9"}, false},
		"a field that one has not":        {"{vary: [header.user-agent]}", nil, []string{"User-Agent: "}, false},
		"the order of fields' values":     {"{}", []string{"X-A: 1", "X-A: 2"}, []string{"X-A: 2", "X-A: 1"}, false},
		"values that look like one":       {"{}", []string{"X-A: 1", "X-A: 2"}, []string{"X-A: 12"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPolicy(t, test.config, ok())
				fetches, alone := together(p, p.exchange(t.Context(), get, url, test.a...), p.exchange(t.Context(), get, url, test.b...))
				if want := map[bool]int{true: 1, false: 2}[test.same]; fetches != want || alone != 0 {
					t.Errorf("%d requests, %d alone", fetches, alone)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		for _, other := range [][2]string{{"HEAD", url}, {"GET", "http://h/x?a=2"}, {"GET", "http://h/y?a=1"}, {"GET", "http://i/x?a=1"}, {"GET", "http://h/x%2f?a=1"}} {
			p := newTestPolicy(t, "{}", ok())
			if fetches, _ := together(p, p.exchange(t.Context(), get, url), p.exchange(t.Context(), other[0], other[1])); fetches != 2 {
				t.Errorf("%v is the same", other)
			}
		}
	})
}

func TestWhatIsSentByItself(t *testing.T) {
	p := newTestPolicy(t, "{}", ok())
	body := p.exchange(t.Context(), "GET", "http://h/x")
	body.Request.Body, body.Request.ContentLength = io.NopCloser(strings.NewReader("x")), -1
	for name, ex := range map[string]*filter.Exchange{
		"a POST": p.exchange(t.Context(), "POST", "http://h/x"), "a body": body, "an upgrade": p.exchange(t.Context(), "GET", "http://h/x", "Upgrade: websocket"),
		"no-store": p.exchange(t.Context(), "GET", "http://h/x", "Cache-Control: max-age=0, No-Store"),
	} {
		if got, err := p.run(ex); got != "alone" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if v := p.Explain(ex); v.Action != filter.Passes || strings.Contains(v.Note, "wait") {
			t.Errorf("%s: %v", name, v)
		}
	}
	if p.counted("alone") != 4 || p.asked.Load() != 0 {
		t.Errorf("%d alone", p.counted("alone"))
	}
}

func TestAnswersThatAreNotForOthers(t *testing.T) {
	for _, field := range []string{
		"Set-Cookie: a=1", "Cache-Control: private", "Cache-Control: max-age=60, No-Store", `Cache-Control: private="x"`, "Vary: *", "Vary: accept, user-agent",
		"Content-Type: text/event-stream; charset=utf-8", "Www-Authenticate: Basic",
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newTestPolicy(t, "{}", ok(field))
			exchange := func(agent string) *filter.Exchange {
				return p.exchange(t.Context(), "GET", "http://h/x", "User-Agent: "+agent)
			}
			fetches, alone := together(p, exchange("a"), exchange("b"))
			if fetches != 1 || alone != 1 || p.counted("apart") != 1 {
				t.Errorf("%s: %d requests, %d alone", field, fetches, alone)
			}
			if strings.HasPrefix(field, "Vary: a") {
				return
			}
			if got, _ := p.run(exchange("c")); got != "alone" {
				t.Errorf("%s: others wait again", field)
			}
			if v := p.Explain(exchange("c")); !strings.Contains(v.Note, "not for others lately") {
				t.Error(v)
			}
			time.Sleep(keptApart + time.Second)
			if got, _ := p.run(exchange("c")); got != "hello" {
				t.Errorf("%s: it is kept apart for ever", field)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{}", ok("Vary: User-Agent, Accept", "Cache-Control: no-cache"))
		fetches, alone := together(p, p.exchange(t.Context(), "GET", "http://h/x", "User-Agent: a"), p.exchange(t.Context(), "GET", "http://h/x", "User-Agent: a"))
		if fetches != 1 || alone != 0 {
			t.Errorf("the same User-Agent: %d requests, %d alone", fetches, alone)
		}
	})
}

func TestFailuresAreAskedForOnceMore(t *testing.T) {
	refused := filter.Reject(filter.UpstreamConnectFailed, "")
	for name, test := range map[string]struct {
		first, later func() (*http.Response, error)
		want         string // what those who waited get
	}{
		"a 503, then an answer":    {func() (*http.Response, error) { return respond(503, "no"), nil }, func() (*http.Response, error) { return respond(200, "hello"), nil }, "hello"},
		"an error, then an answer": {func() (*http.Response, error) { return nil, refused }, func() (*http.Response, error) { return respond(200, "hello"), nil }, "hello"},
		"errors":                   {func() (*http.Response, error) { return nil, refused }, func() (*http.Response, error) { return nil, refused }, "upstream_connect_failed"},
		"503 twice":                {func() (*http.Response, error) { return respond(503, "no"), nil }, func() (*http.Response, error) { return respond(503, "not yet"), nil }, "not yet"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPolicy(t, "{}", func(n int64, _ *filter.Exchange) (*http.Response, error) {
					if n == 1 {
						return test.first()
					}
					return test.later()
				})
				got := make(chan string, 100)
				for range 100 {
					go func() {
						body, err := p.run(p.exchange(t.Context(), "GET", "http://h/x"))
						if err != nil {
							body = string(filter.AsError(err).Code)
						}
						got <- body
					}()
				}
				count := map[string]int{}
				for range 100 {
					count[<-got]++
				}
				if count[test.want] < 99 || p.asked.Load() != 2 {
					t.Errorf("%v by %d requests", count, p.asked.Load())
				}
			})
		})
	}
}

func TestWaitingHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{wait: 300ms}", ok())
		fetches, alone := together(p, p.exchange(t.Context(), "GET", "http://h/x"), p.exchange(t.Context(), "GET", "http://h/x"))
		if fetches != 1 || alone != 1 || p.counted("late") != 1 {
			t.Errorf("%d requests, %d alone", fetches, alone)
		}
	})
}

func TestTheLeaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{}", ok())
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		leader := p.exchange(ctx, "GET", "http://h/x")
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := p.run(leader); !errors.Is(err, gone) {
				t.Errorf("the leader: %v", err)
			}
			leader.Request.Header.Set("X", "the exchange is somebody else's now")
		})
		synctest.Wait()
		for range 10 {
			ex := p.exchange(t.Context(), "GET", "http://h/x")
			all.Go(func() {
				if got, err := p.run(ex); got != "hello" || err != nil || ex.Upstream != "a" || len(ex.Attempts) != 0 {
					t.Errorf("another: %q, %v, %+v", got, err, ex.Attempts)
				}
			})
		}
		synctest.Wait()
		if v := p.Explain(p.exchange(t.Context(), "GET", "http://h/x")); !strings.Contains(v.Note, "11 others") {
			t.Error(v)
		}
		leave(gone)
		all.Wait()
		if p.asked.Load() != 1 || p.counted("shared") != 10 || p.counted("leader") != 1 {
			t.Errorf("%d requests, %d shared", p.asked.Load(), p.counted("shared"))
		}
	})
}

func TestTheRequestEndsWhenAllHaveLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{}", ok())
		ctx, leave := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer leave()
		begin := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { _, _ = p.run(p.exchange(ctx, "GET", "http://h/x")) })
		}
		all.Wait()
		if err := p.Close(); err != nil || time.Since(begin) != 500*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
}

func TestAPanicEndsNoProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPolicy(t, "{}", func(int64, *filter.Exchange) (*http.Response, error) { panic("oops") })
		if _, err := p.run(p.exchange(t.Context(), "GET", "http://h/x")); err == nil {
			t.Error("no error")
		}
	})
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"{wait: 0}": "wait", "{buffer: 1KiB}": "32KiB", "{fields: [a b]}": "fields[0]", "{vary: [address, nothing.there]}": "vary[1]", "{field: [a]}": "unknown", "everything": "",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func BenchmarkAlone(b *testing.B) {
	p := newTestPolicy(b, "{}", nil)
	p.env.Rest = nil
	ex := p.exchange(b.Context(), "POST", "http://h/x")
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	p := newTestPolicy(b, "{}", nil)
	k, _ := newKeyer(p.env, &Config{})
	ex := p.exchange(b.Context(), "GET", "http://h/x", "Accept: */*", "Accept-Encoding: gzip", "Accept-Language: de", "User-Agent: test", "Authorization: Bearer x")
	b.ReportAllocs()
	for b.Loop() {
		k.of(ex)
	}
}

func BenchmarkLeader(b *testing.B) {
	env := filtertest.NewEnv(b, "orders")
	env.Rest = func(*filter.Exchange) (*http.Response, func(), error) { return respond(200, "hello"), func() {}, nil }
	f, err := Kind().Build(env, filtertest.Parse(b, "{}"))
	if err != nil {
		b.Fatal(err)
	}
	p := &policy{Filter: f, t: b, env: env}
	b.ReportAllocs()
	for b.Loop() {
		if got, err := p.run(p.exchange(b.Context(), "GET", "http://h/x", "Accept: */*")); got != "hello" || err != nil {
			b.Fatal(got, err)
		}
	}
}
