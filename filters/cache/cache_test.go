package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, redistest.Ending()...) }

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "cache", 4) }

// route is a route with the policy, in front of a service that a test plays.
type route struct {
	*filter.Filter
	t     testing.TB
	env   *filter.Env
	asked atomic.Int64
	takes time.Duration
	serve func(n int64, r *http.Request) (*http.Response, error)
}

// newRoute builds the policy. The answers are what serve returns for the n-th request, from 1 on.
func newRoute(t testing.TB, text string, serve func(n int64, r *http.Request) (*http.Response, error)) *route {
	t.Helper()
	p := &route{t: t, env: filtertest.NewEnv(t, "orders"), serve: serve}
	p.env.Rest = func(ex *filter.Exchange) (*http.Response, func(), error) {
		n := p.asked.Add(1)
		if p.takes > 0 {
			select {
			case <-time.After(p.takes):
			case <-ex.Context().Done():
				return nil, func() {}, context.Cause(ex.Context())
			}
		}
		resp, err := p.serve(n, ex.Request)
		return resp, func() {}, err
	}
	f, err := Kind().Build(p.env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	p.Filter = f
	return p
}

// end closes the policy and what is kept.
func (p *route) end() {
	if err := p.Close(); err != nil {
		p.t.Error(err)
	}
	p.env.Keeper.(filtertest.Keeper).Close(p.t)
}

// exchange makes an exchange. What is said of it are fields, and who calls.
func (p *route) exchange(method, target string, said ...string) *filter.Exchange {
	r, err := http.NewRequest(method, "http://h"+target, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Body = http.NoBody
	ex := &filter.Exchange{
		Request: r, Route: p.env.Route, Client: netip.MustParseAddr("192.0.2.1"), ID: fmt.Sprint(p.asked.Load()), Start: time.Now(),
		Original: filter.Original{Method: method, Scheme: "http", Host: "h", Path: r.URL.EscapedPath(), Query: r.URL.RawQuery},
	}
	for _, s := range said {
		if name, value, field := strings.Cut(s, ": "); field {
			r.Header.Add(name, value)
		} else {
			ex.Identity = &filter.Identity{Subject: s, Method: "jwt"}
		}
	}
	ex.Prepare(p.env.Slots())
	return ex
}

// run takes an exchange through the policy. It returns what came of it: "hit 200 text", "miss alone", "code".
func (p *route) run(ex *filter.Exchange) string {
	defer p.Finish(ex)
	if err := p.Request(ex); err != nil {
		return string(ex.Cached.Outcome) + " " + string(filter.AsError(err).Code)
	}
	if ex.Response == nil {
		resp, err := p.serve(p.asked.Add(1), ex.Request)
		if err != nil {
			return string(ex.Cached.Outcome) + " alone failed"
		}
		ex.Response = resp
		if err := p.Response(ex); err != nil {
			return err.Error()
		}
		return string(ex.Cached.Outcome) + " alone"
	}
	if err := p.Response(ex); err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(ex.Response.Body)
	_ = ex.Response.Body.Close()
	text := fmt.Sprintf("%s %d %s", ex.Cached.Outcome, ex.Response.StatusCode, body)
	if err != nil {
		text += " cut"
	}
	return text
}

// get runs a GET, and compares what came of it.
func (p *route) get(want, target string, said ...string) {
	p.t.Helper()
	if got := p.run(p.exchange("GET", target, said...)); got != want {
		p.t.Errorf("%s %v: got %q, wanted %q", target, said, got, want)
	}
}

// respond makes an answer of "200 text" and fields.
func respond(status int, body string, fields ...string) *http.Response {
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Add(name, value)
	}
	return &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
}

// numbered answers with the number of the request.
func numbered(fields ...string) func(int64, *http.Request) (*http.Response, error) {
	return func(n int64, _ *http.Request) (*http.Response, error) {
		return respond(200, fmt.Sprint(n), fields...), nil
	}
}

// failing answers once, and fails then.
func failing(status int, fields ...string) func(int64, *http.Request) (*http.Response, error) {
	return func(n int64, _ *http.Request) (*http.Response, error) {
		switch {
		case n == 1:
			return respond(200, "1", fields...), nil
		case status == 0:
			return nil, filter.Reject(filter.UpstreamConnectFailed, "")
		}
		return respond(status, "sorry"), nil
	}
}

const ten = "Cache-Control: max-age=10"

// in runs a test in a bubble, in which time is its own.
func in(t *testing.T, name, config string, serve func(int64, *http.Request) (*http.Response, error), test func(p *route)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newRoute(t, config, serve)
			defer p.end()
			test(p)
		})
	})
}

func pause(seconds int) { time.Sleep(time.Duration(seconds) * time.Second) }

func TestFreshness(t *testing.T) {
	in(t, "fresh and stale", "{}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x")
		pause(9)
		p.get("hit 200 1", "/x")
		pause(2)
		p.get("miss 200 2", "/x")
		p.get("hit 200 2", "/x")
		p.get("miss 200 3", "/x?a=b")
	})
	in(t, "times by status", "{ttl: {200: 5m, 404: 30s, 4xx: 1s}}", func(n int64, r *http.Request) (*http.Response, error) {
		status := 404
		if r.URL.Path == "/403" {
			status = 403
		}
		return respond(status, fmt.Sprint(n)), nil
	}, func(p *route) {
		p.get("miss 404 1", "/x")
		pause(20)
		p.get("hit 404 1", "/x")
		pause(20)
		p.get("miss 404 2", "/x")
		p.get("miss 403 3", "/403")
		pause(2)
		p.get("miss 403 4", "/403")
	})
	in(t, "stale while it is asked for anew", "{stale_while_revalidate: 30s}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x")
		pause(15)
		p.get("stale 200 1", "/x")
		synctest.Wait()
		p.get("hit 200 2", "/x")
	})
	in(t, "one asks for anew for all", "{stale_while_revalidate: 30s}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x")
		pause(15)
		p.takes = time.Second
		for range 10 {
			p.get("stale 200 1", "/x")
		}
		pause(2)
		p.get("hit 200 2", "/x")
	})
	in(t, "early", "{refresh_early: 20%}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x")
		pause(7)
		p.get("hit 200 1", "/x")
		synctest.Wait()
		p.get("hit 200 1", "/x")
		pause(2)
		p.get("hit 200 1", "/x")
		synctest.Wait()
		p.get("hit 200 2", "/x")
	})
	in(t, "only if cached", "{}", numbered(ten), func(p *route) {
		p.get("miss not_cached", "/x", "Cache-Control: only-if-cached")
		p.get("miss 200 1", "/x")
		p.get("hit 200 1", "/x", "Cache-Control: only-if-cached")
	})
	in(t, "a validation", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") == `"1"` {
			return respond(304, "", ten, `Etag: "1"`), nil
		}
		return respond(200, "text", ten, `Etag: "1"`), nil
	}, func(p *route) {
		p.get("miss 200 text", "/x")
		pause(11)
		p.get("revalidated 200 text", "/x")
		p.get("hit 200 text", "/x")
		pause(11)
		p.get("revalidated 304 ", "/x", `If-None-Match: "1"`)
		p.get("revalidated 200 text", "/x", "Cache-Control: no-cache")
		if n := p.asked.Load(); n != 4 {
			p.t.Errorf("asked %d times", n)
		}
	})
}

func TestFailures(t *testing.T) {
	for name, status := range map[string]int{"it cannot be reached": 0, "it answers 503": 503} {
		failed := "miss upstream_connect_failed"
		if status > 0 {
			failed = "miss 503 sorry"
		}
		in(t, "grace: "+name, "{grace: 1h}", failing(status, ten), func(p *route) {
			p.get("miss 200 1", "/x")
			pause(20)
			p.get("stale 200 1", "/x")
			pause(4000)
			p.get(failed, "/x")
		})
		in(t, "it forbids it: "+name, "{grace: 1h}", failing(status, ten+", must-revalidate"), func(p *route) {
			p.get("miss 200 1", "/x")
			pause(20)
			p.get(failed, "/x")
		})
		in(t, "it says so: "+name, "{grace: 0}", failing(status, ten+", stale-if-error=60"), func(p *route) {
			p.get("miss 200 1", "/x")
			pause(20)
			p.get("stale 200 1", "/x")
			pause(60)
			p.get(failed, "/x")
		})
	}
	in(t, "it breaks off", "{}", func(n int64, _ *http.Request) (*http.Response, error) {
		resp := respond(200, "", ten)
		resp.ContentLength = 9
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("some"), iotest.ErrReader(errors.New("broken"))))
		return resp, nil
	}, func(p *route) {
		p.get("miss 200 some cut", "/x")
		p.get("miss 200 some cut", "/x")
	})
	in(t, "it is shorter than it says", "{}", func(n int64, _ *http.Request) (*http.Response, error) {
		resp := respond(200, "some", ten)
		resp.ContentLength = 9
		return resp, nil
	}, func(p *route) {
		p.get("miss 200 some", "/x")
		p.get("miss 200 some", "/x")
	})
	in(t, "a policy fails", "{ttl: {5xx: 1m}}", func(n int64, _ *http.Request) (*http.Response, error) {
		if n == 1 {
			panic("oops")
		}
		return respond(200, "fine", ten), nil
	}, func(p *route) {
		p.get("miss internal_error", "/x")
		p.get("miss 200 fine", "/x")
	})
}

// TestWhoGetsWhat: nobody gets what was made for somebody else.
func TestWhoGetsWhat(t *testing.T) {
	in(t, "callers", "{}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x", "ada")
		p.get("miss alone", "/x", "ada")
		p.get("miss alone", "/x", "bob")
		p.get("miss 200 4", "/x")
		p.get("hit 200 4", "/x", "bob")
	})
	in(t, "each his own", "{per: identity}", numbered("Cache-Control: private, max-age=10"), func(p *route) {
		p.get("miss 200 1", "/x", "ada")
		p.get("hit 200 1", "/x", "ada")
		p.get("miss 200 2", "/x", "bob")
		p.get("miss 200 3", "/x", "Authorization: a")
		p.get("hit 200 3", "/x", "Authorization: a")
		p.get("miss 200 4", "/x", "Authorization: b")
		p.get("miss 200 5", "/x")
		p.get("miss alone", "/x")
	})
	in(t, "variants", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		return respond(200, r.Header.Get("Accept-Language"), ten, "Vary: Accept-Language"), nil
	}, func(p *route) {
		p.get("miss 200 de", "/x", "Accept-Language: de")
		p.get("miss 200 en", "/x", "Accept-Language: en")
		p.get("miss 200 ", "/x")
		p.get("hit 200 de", "/x", "Accept-Language: de")
		p.get("hit 200 en", "/x", "Accept-Language: EN ")
		p.get("hit 200 ", "/x")
	})
	in(t, "the key", "{key: {query: {ignore: [utm_*]}, headers: [x-tenant], cookies: [theme], add: ['header.x-add']}}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x?a=1&utm_source=z")
		p.get("hit 200 1", "/x?utm_campaign=y&a=1&%75tm_x=1")
		p.get("miss 200 2", "/x?a=1", "X-Tenant: b")
		p.get("miss 200 3", "/x?a=1", "Cookie: theme=dark; sid=1")
		p.get("hit 200 3", "/x?a=1", "Cookie: sid=2; theme=dark")
		p.get("miss 200 4", "/x?a=1", "X-Add: 1")
	})
}

func TestManyAtOnce(t *testing.T) {
	in(t, "one asks", "{}", numbered(ten), func(p *route) {
		p.takes = time.Second
		var all sync.WaitGroup
		var miss, shared atomic.Int64
		for range 100 {
			all.Go(func() {
				switch got := p.run(p.exchange("GET", "/x")); got {
				case "miss 200 1":
					miss.Add(1)
				case "shared 200 1":
					shared.Add(1)
				default:
					p.t.Errorf("got %q", got)
				}
			})
		}
		all.Wait()
		if miss.Load() != 1 || shared.Load() != 99 {
			p.t.Errorf("%d, %d", miss.Load(), shared.Load())
		}
	})
	in(t, "what is not stored is asked for by each", "{}", numbered("Cache-Control: no-store"), func(p *route) {
		p.takes = time.Second
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if got := p.run(p.exchange("GET", "/x")); got != "miss 200 1" && got != "miss alone" {
					p.t.Errorf("got %q", got)
				}
			})
		}
		all.Wait()
		if n := p.asked.Load(); n != 10 {
			p.t.Errorf("asked %d times", n)
		}
	})
	in(t, "nobody waits for ever", "{wait: 1s}", numbered(ten), func(p *route) {
		p.takes = time.Minute
		var all sync.WaitGroup
		all.Go(func() { p.get("miss 200 1", "/x") })
		synctest.Wait()
		begin := time.Now()
		p.get("miss alone", "/x")
		if took := time.Since(begin); took != time.Second {
			p.t.Errorf("it took %s", took)
		}
		all.Wait()
	})
	in(t, "the first leaves", "{}", numbered(ten), func(p *route) {
		p.takes = time.Second
		ctx, leave := context.WithCancel(context.Background())
		var all sync.WaitGroup
		all.Go(func() {
			ex := p.exchange("GET", "/x")
			ex.Request = ex.Request.WithContext(ctx)
			_ = p.run(ex)
		})
		synctest.Wait()
		all.Go(func() { p.get("shared 200 1", "/x") })
		synctest.Wait()
		leave()
		all.Wait()
	})
}

func TestPurges(t *testing.T) {
	for name, purge := range map[string]filter.Purge{"url": {URL: "http://h/x"}, "prefix": {Prefix: "http://h/"}, "tag": {Tag: "t"}, "all": {All: true}} {
		in(t, name, "{}", numbered(ten, "Cache-Tag: t"), func(p *route) {
			p.get("miss 200 1", "/x")
			if _, err := cacheOf(p).Purge(t.Context(), purge); err != nil {
				p.t.Error(err)
			}
			p.get("miss 200 2", "/x")
			p.get("hit 200 2", "/x")
		})
	}
	in(t, "softly", "{stale_while_revalidate: 1m}", numbered(ten), func(p *route) {
		p.get("miss 200 1", "/x")
		_, _ = cacheOf(p).Purge(t.Context(), filter.Purge{All: true, Soft: true})
		p.get("stale 200 1", "/x")
		synctest.Wait()
		p.get("hit 200 2", "/x")
	})
	in(t, "in the middle of a fetch", "{}", numbered(ten), func(p *route) {
		p.takes = time.Second
		var all sync.WaitGroup
		all.Go(func() { p.get("miss 200 1", "/x") })
		synctest.Wait()
		_, _ = cacheOf(p).Purge(t.Context(), filter.Purge{All: true})
		all.Wait()
		p.get("miss 200 2", "/x")
	})
	in(t, "by what changes it", "{}", func(n int64, r *http.Request) (*http.Response, error) {
		return respond(200, fmt.Sprint(n), ten), nil
	}, func(p *route) {
		p.get("miss 200 1", "/x")
		if got := p.run(p.exchange("POST", "/x")); got != "bypass alone" {
			p.t.Error(got)
		}
		p.get("miss 200 3", "/x")
	})
}

func TestExplain(t *testing.T) {
	in(t, "all", "{bypass: 'header[\"x-debug\"] == \"1\"'}", numbered(ten), func(p *route) {
		say := func(want string, ex *filter.Exchange) {
			ex.Dry = true
			if v := p.Explain(ex); !strings.HasPrefix(string(v.Action)+": "+v.Note, want) {
				p.t.Errorf("got %s: %s, wanted %s", v.Action, v.Note, want)
			}
		}
		say("pass: nothing is in memory", p.exchange("GET", "/x"))
		say("reject: not_cached", p.exchange("GET", "/x", "Cache-Control: only-if-cached"))
		say("pass: it is neither looked up nor stored: `bypass` holds", p.exchange("GET", "/x", "X-Debug: 1"))
		say("pass: it is neither looked up nor stored: its method", p.exchange("POST", "/x"))
		p.get("miss 200 1", "/x")
		say("answer: from the cache: status 200, stored 0s ago, fresh for 10s", p.exchange("GET", "/x"))
		pause(11)
		say("pass: what is stored has been stale for 1s", p.exchange("GET", "/x"))
		if p.asked.Load() != 1 {
			p.t.Error("it had an effect")
		}
	})
}

func BenchmarkHit(b *testing.B) {
	p := newRoute(b, "{}", func(int64, *http.Request) (*http.Response, error) {
		return respond(200, strings.Repeat("x", 1024), "Cache-Control: max-age=3600", "Content-Type: text/html", `Etag: "1"`, "Date: "+time.Now().UTC().Format(http.TimeFormat)), nil
	})
	defer p.end()
	p.get("miss 200 "+strings.Repeat("x", 1024), "/x")
	ex := p.exchange("GET", "/x", "Accept: */*", "User-Agent: bench")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Request(ex); err != nil || ex.Response == nil {
			b.Fatal("no hit")
		}
		if _, err := ex.Response.Body.Read(buf); err != nil {
			b.Fatal(err)
		}
		_ = ex.Response.Body.Close()
		ex.Response.Body.(interface{ Recycle() }).Recycle()
		ex.Response = nil
	}
}
