package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/limit"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "rate_limit", 5) }

// newFilter builds the policy.
func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exchange is a request of an address with some fields.
func exchange(env *filter.Env, addr string, fields ...string) *filter.Exchange {
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: env.Route, Client: netip.MustParseAddr(addr)}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.Request.Header.Set(name, value)
	}
	ex.Prepare(env.Slots())
	return ex
}

// run takes an exchange through the policy, with an answer of some bytes, and says how it was refused.
func run(f *filter.Filter, ex *filter.Exchange, sent int64) error {
	var err error
	last := f
	if f.Early != nil {
		err, last = f.Early.Request(ex), f.Early
	}
	if err == nil && f.Request != nil {
		err = f.Request(ex)
	}
	ex.Response = &http.Response{Header: http.Header{}}
	ex.Sent = sent
	if last.Response != nil {
		if err := last.Response(ex); err != nil {
			return err
		}
	}
	last.Finish(ex)
	return err
}

// outcome is the code of a refusal, or "".
func outcome(err error) string {
	var e *filter.Error
	if errors.As(err, &e) {
		return string(e.Code)
	}
	return ""
}

// passes counts how many of so many exchanges pass.
func passes(env *filter.Env, f *filter.Filter, n int, addr string, fields ...string) int {
	passed := 0
	for range n {
		if run(f, exchange(env, addr, fields...), 0) == nil {
			passed++
		}
	}
	return passed
}

func TestCosts(t *testing.T) {
	for _, c := range []struct {
		cost, header string
		want         int
	}{
		{"", "", 12},
		{"5", "", 2},
		{"0", "", 20},
		{"header.x-cost", "4", 3},
		{"header.x-cost", "2.5", 4},
		{"header.x-cost", "0", 20},
		{"header.x-cost", "-4", 12},
		{"header.x-cost", "NaN", 12},
		{"header.x-cost", "1e300", 0},
		{"header.x-cost", "9007199254740993000", 0},
		{"header.x-cost", "four", 12},
		{"header.x-cost", "13", 0},
		{`request.method == "GET" ? 6 : 1`, "", 2},
		{"int(header['x-cost'])", "none", 12},
		{"1 / int(header['x-cost'])", "0", 12},
	} {
		env := filtertest.NewEnv(t, "r")
		f := newFilter(t, env, fmt.Sprintf("{limits: 12/d, cost: %q}", c.cost))
		if c.cost == "" {
			f = newFilter(t, env, "12/d")
		}
		if got := passes(env, f, 20, "192.0.2.1", "X-Cost: "+c.header); got != c.want {
			t.Errorf("cost %q with %q: %d pass, want %d", c.cost, c.header, got, c.want)
		}
	}
}

// TestMoreThanEver: what can never pass is told so, without a time to come again.
func TestMoreThanEver(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := newFilter(t, env, "{limits: {rate: 12/d, name: x}, cost: header.x-cost}")
	err := filter.AsError(run(f, exchange(env, "192.0.2.1", "X-Cost: 13"), 0))
	if err.Code != filter.RateLimited || err.Header.Get("Retry-After") != "" || err.Detail != `The request counts for 13, and the limit "x" of 12/d never lets pass so much at once.` {
		t.Errorf("got %v %v", err, err.Header)
	}
}

// TestLimitsWithDifferentKeys: what the second refuses does not count for the first.
func TestLimitsWithDifferentKeys(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := newFilter(t, env, "[10/d per header.x-user, 2/d per header.x-app]")
	if got := passes(env, f, 5, "192.0.2.1", "X-User: me", "X-App: a"); got != 2 {
		t.Errorf("%d pass", got)
	}
	if got := passes(env, f, 20, "192.0.2.1", "X-User: me", "X-App: b"); got != 2 {
		t.Errorf("%d pass", got)
	}
	ex := exchange(env, "192.0.2.1", "X-User: me", "X-App: c")
	ex.Dry = true
	if v := f.Explain(ex); v.Action != filter.Passes || v.Note != "me has 5 of 10/d per header.x-user left after this; c has 1 of 2/d per header.x-app left after this" {
		t.Errorf("explain: %+v", v)
	}
}

// TestTheLongestWait: who waits as long as Retry-After says is not told by the next limit to wait on.
func TestTheLongestWait(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := newFilter(t, env, "[2/min per header.x-user, 2/d per header.x-app]")
	passes(env, f, 2, "192.0.2.1", "X-User: me", "X-App: a")
	for app, least := range map[string]int{"a": 12 * 3600, "b": 30} {
		err := run(f, exchange(env, "192.0.2.1", "X-User: me", "X-App: "+app), 0)
		if outcome(err) != "rate_limited" {
			t.Fatalf("got %v", err)
		}
		if after, _ := strconv.Atoi(filter.AsError(err).Header.Get("Retry-After")); after > least || after < least-20 {
			t.Errorf("application %s: Retry-After is %d, want %d", app, after, least)
		}
	}
}

func TestLimitsOfOneKeyHoldTogether(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := newFilter(t, env, "[10/d, 2/d]")
	if got := passes(env, f, 8, "192.0.2.1"); got != 2 {
		t.Errorf("%d pass", got)
	}
	v := f.Early.Explain(exchange(env, "192.0.2.1"))
	if v.Action != filter.Rejects || !strings.HasPrefix(v.Note, "192.0.2.1 has 0 of 2/d per address left, and the request counts for 1; it may pass in 1") {
		t.Errorf("explain: %+v", v)
	}
}

func TestAbsentKeys(t *testing.T) {
	for absent, want := range map[string]int{"address": 2, "together": 1, "pass": 4, "refuse": 0} {
		env := filtertest.NewEnv(t, "r")
		f := newFilter(t, env, "{limits: 1/d per header.x-user, absent: "+absent+"}")
		got := passes(env, f, 2, "192.0.2.1") + passes(env, f, 2, "192.0.2.2")
		if got != want {
			t.Errorf("%s: %d pass, want %d", absent, got, want)
		}
		v := f.Explain(exchange(env, "192.0.2.1"))
		if (v.Action == filter.Passes) != (absent == "pass") {
			t.Errorf("%s: explain: %+v", absent, v)
		}
	}
}

func TestWhoWasLimited(t *testing.T) {
	for text, dry := range map[string]bool{"1/d per header.x-user": false, "{limits: 1/d per header.x-user, dry_run: true}": true} {
		env := filtertest.NewEnv(t, "r")
		f := newFilter(t, env, text)
		passes(env, f, 1, "192.0.2.1", "X-User: me")
		ex := exchange(env, "192.0.2.1", "X-User: me")
		err := f.Request(ex)
		want := filter.Limited{Policy: "rate_limit", Limit: "1/d per header.x-user", Key: "me", DryRun: dry}
		if ex.Limited != want || (err == nil) != dry {
			t.Errorf("%s: %v, %+v", text, err, ex.Limited)
		}
		f.Response, f.Finish = nil, nil
		if v := f.Explain(exchange(env, "192.0.2.1", "X-User: me")); (v.Action == filter.Passes) != dry || dry != strings.Contains(v.Note, "dry run") {
			t.Errorf("%s: explain: %+v", text, v)
		}
	}
}

// TestBytes: the answer is paid for by later requests.
func TestBytes(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	f := newFilter(t, env, "{limits: 1000/d, cost_response: bytes, cost: 1}")
	for i, want := range []string{"", "", "rate_limited"} {
		if got := outcome(run(f, exchange(env, "192.0.2.1"), 600)); got != want {
			t.Errorf("%d: %q", i, got)
		}
	}
	if v := f.Early.Explain(exchange(env, "192.0.2.1")); v.Action != filter.Rejects {
		t.Errorf("explain: %+v", v)
	}
}

// failing is a counter whose store is gone.
type failing struct{ limit.Counter }

func (failing) Take(context.Context, limit.ID, int64) (limit.Decision, error) {
	return limit.Decision{}, errors.New("redis is gone")
}

func (failing) Look(limit.ID, int64) (limit.Decision, bool) { return limit.Decision{}, false }

// refusing is one that is known to refuse everybody.
type refusing struct{ failing }

func (refusing) Unavailable() bool { return true }

// empty is a counter with nothing left that lets pass what costs nothing, as one may that asks another store.
type empty struct{ limit.Counter }

func (empty) Take(_ context.Context, _ limit.ID, cost int64) (limit.Decision, error) {
	return limit.Decision{Allowed: cost == 0}, nil
}

// TestNothingIsLeft: an answer that will cost something is not begun when nothing is left.
func TestNothingIsLeft(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	c := new(Config)
	if err := filtertest.Parse(t, "{limits: 2/d per header.x-user, cost_response: bytes}").Decode(c); err != nil {
		t.Fatal(err)
	}
	p, err := newPolicy(env, c)
	if err != nil {
		t.Fatal(err)
	}
	p.main.groups[0].counter.Counter = empty{}
	err = p.requestMain(exchange(env, "192.0.2.1", "X-User: me"))
	if outcome(err) != "rate_limited" || filter.AsError(err).Header.Get("Retry-After") != "1" {
		t.Errorf("got %v", err)
	}
}

// TestTheStoreIsGone: nothing is counted for limits that were asked before.
func TestTheStoreIsGone(t *testing.T) {
	for _, dry := range []bool{false, true} {
		env := filtertest.NewEnv(t, "r")
		c := new(Config)
		if err := filtertest.Parse(t, fmt.Sprintf("{limits: [2/d per header.x-user, 2/d per header.x-app], dry_run: %v}", dry)).Decode(c); err != nil {
			t.Fatal(err)
		}
		p, err := newPolicy(env, c)
		if err != nil {
			t.Fatal(err)
		}
		p.main.groups[1].counter.Counter = failing{}
		for range 5 {
			ex := exchange(env, "192.0.2.1", "X-User: me", "X-App: a")
			err := p.requestMain(ex)
			if want := map[bool]string{false: "limits_unavailable"}[dry]; outcome(err) != want {
				t.Fatalf("got %v", err)
			}
			if ex.Limited.Policy != "" {
				t.Errorf("%+v", ex.Limited)
			}
			_ = p.response(ex)
			p.finish(ex)
		}
		if d, _ := p.main.groups[0].counter.Look(limit.NewID("me"), 0); d.Remaining != 2 {
			t.Errorf("%+v", d)
		}
		if v := p.explainMain(exchange(env, "192.0.2.1", "X-User: me", "X-App: a")); v.Action != filter.Unknown {
			t.Errorf("explain: %+v", v)
		}
		p.main.groups[1].counter.Counter = refusing{}
		want := map[bool]filter.Action{false: filter.Rejects, true: filter.Passes}[dry]
		if v := p.explainMain(exchange(env, "192.0.2.1", "X-User: me", "X-App: a")); v.Action != want || !strings.Contains(v.Note, "the store of the limits is lost") {
			t.Errorf("explain, while everybody is refused: %+v", v)
		}
	}
}

// TestWhatOperatorsSee: what is kept is found by being a Limiter.
func TestWhatOperatorsSee(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Scope = "orders"
	f := newFilter(t, env, "[3/d, 2/h burst 5 per header.x-user]")
	passes(env, f, 4, "192.0.2.1", "X-User: me")
	found := map[string]filter.Limiter{}
	for _, v := range env.Keeper.(filtertest.Keeper) {
		if l, ok := v.(filter.Limiter); ok {
			found[l.Limiter().Name] = l
		}
	}
	l := found["rate_limit orders 2/h burst 5 per header.x-user"]
	if l == nil || len(found) != 2 {
		t.Fatalf("got %v", found)
	}
	want := filter.LimiterInfo{
		Name: "rate_limit orders 2/h burst 5 per header.x-user", Policy: "rate_limit", Scope: "orders", Limit: "2/h burst 5 per header.x-user", Per: "header.x-user",
		Store: "memory", Keys: 1,
	}
	if got := l.Limiter(); got != want {
		t.Errorf("got %+v", got)
	}
	if top := l.Top(5); len(top) != 1 || top[0] != (filter.KeyUsage{Key: "me", Used: 3, Limit: 5}) {
		t.Errorf("top: %+v", top)
	}
	if ok, err := l.Reset(t.Context(), "me"); !ok || err != nil || len(l.Top(5)) != 0 {
		t.Errorf("reset: %v, %v", ok, err)
	}
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"often":                       `"often" is not a rate`,
		"0/min":                       "not a count of at least 1",
		"100/min per":                 "burst",
		"100/min per ":                "",
		"100/min per headers":         "",
		"[10/s, 5/x]":                 "not a time",
		"[10/s per address, path.id]": "path.id",
		"{limits: []}":                "no limit is written",
		"{limits: {rate: 5/s per address, per: [path]}}":   "written in `rate` already",
		"{limits: 5/s burst 9, algorithm: sliding_window}": "a burst has no meaning in a sliding window",
		"5/100us":                                               "at least 1ms",
		"1/min burst 10000000000":                               "more than a year",
		"99999999999999999/s":                                   "a count is from 1 to",
		"{limits: 5/s, cost: -1}":                               "a cost is a whole number",
		"{limits: 5/s, cost: 1.5}":                              "a cost is a whole number",
		"{limits: 5/s, cost: 1e300}":                            "a cost is a whole number",
		"{limits: 5/s, cost: 1e400}":                            "a cost is a whole number",
		"{limits: 5/s, cost: response.header.x-cost}":           "not known before the request has been answered",
		"{limits: 5/s, cost: 'response.status == 200 ? 1 : 2'}": "not known before the request has been answered",
		"5/s per status":                                        "not known before the request has been answered",
		"{limits: 5/s per path, overrides: [{consumers: [nobody], limits: off}]}":    `there is no consumer "nobody"`,
		"{limits: 5/s per path, overrides: [{when: 'error == \"x\"', limits: off}]}": "not known before the request has been answered",
		"{limits: 5/s, cost: NaN}":                                           "a cost is a whole number",
		"{limits: 5/s, cost: reqest.size}":                                   "reqest",
		"{limits: 5/s, cost_response: {value: bytes, hide: true}}":           "names no field to hide",
		"{limits: 5/s, cost_response: tokens}":                               "tokens",
		"{limits: {rate: 5/s, name: 'a\"b'}}":                                "without quotes",
		"{limits: 5/s, overrides: [{limits: off}]}":                          "does not say for whom",
		"{limits: 5/s, overrides: [{groups: [a]}]}":                          `"limits" is missing`,
		"{limits: 5/s per address, overrides: [{groups: [a], limits: 9/s}]}": "nothing is there to override",
		"{limits: 5/s per path, overrides: [{groups: [a], limits: 9/fort}]}": "not a time",
		"{limits: 5/s, store: 'redis://:s3cret@host:port'}":                  "is not one of Redis",
		"{limits: 5/s, headers: some}":                                       "draft",
		"{limits: [{rate: 5/s, name: a}, {rate: 6/s, name: a}]}":             `another limit is called "a"`,
	} {
		_, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is wrong with what all limits of a policy take is shown once, where it is written.
func TestWhereErrorsAre(t *testing.T) {
	for text, want := range map[string]string{
		"{limits: [5/s, 9/h], cost: 1.5}":                                    "1:28",
		"{limits: [5/s, 9/h], cost: nothing}":                                "1:28",
		"{limits: [5/s, 9/h], cost_response: nothing}":                       "1:37",
		"{limits: [5/s, 9/h], per: nothing}":                                 "1:27",
		"{limits: [5/s, {rate: 9/h, cost: nothing}]}":                        "1:34",
		"{limits: 5/s per path, overrides: [{consumers: [x], limits: off}]}": "1:49",
	} {
		node := filtertest.Parse(t, text)
		_, err := Kind().Build(filtertest.NewEnv(t, "r"), node)
		var got []string
		for _, e := range node.Locate(err) {
			got = append(got, fmt.Sprintf("%d:%d", e.Pos.Line, e.Pos.Column))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: at %v, want %s: %v", text, got, want, err)
		}
	}
}

func benchmark(b *testing.B, text string, fields ...string) {
	env := filtertest.NewEnv(b, "r")
	f := newFilter(b, env, text)
	ex := exchange(env, "192.0.2.1", fields...)
	header := http.Header{}
	ex.Response = &http.Response{Header: header}
	last := f
	if f.Early != nil {
		last = f.Early
	}
	b.ReportAllocs()
	for b.Loop() {
		clear(header)
		if f.Early != nil {
			_ = f.Early.Request(ex)
		}
		if f.Request != nil {
			_ = f.Request(ex)
		}
		_ = last.Response(ex)
		last.Finish(ex)
	}
}

func BenchmarkPass(b *testing.B) {
	for name, text := range map[string]string{
		"address": "1000000000/s per address", "header": "1000000000/s per header.x-user", "both": "[1000000000/s per address, 1000000000/s per header.x-user]",
		"off": "{limits: 1000000000/s per address, headers: off}", "sliding_window": "{limits: 1000000000/s per address, algorithm: sliding_window}",
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, text, "X-User: me") })
	}
}

func BenchmarkRefuse(b *testing.B) { benchmark(b, "1/d per address") }

func TestAllocations(t *testing.T) {
	for text, want := range map[string]float64{
		"{limits: 1000000000/s per address, headers: off}":                                   0,
		"{limits: [1000000000/s per address, 1000000000/s per header.x-user], headers: off}": 0,
		"1000000000/s per address":                                                           2, // the text of RateLimit, and the list of its values
		"[1000000000/s per address, 1000000000/s per header.x-user]":                         2,
	} {
		env := filtertest.NewEnv(t, "r")
		f := newFilter(t, env, text)
		ex := exchange(env, "192.0.2.1", "X-User: me")
		header := http.Header{}
		ex.Response = &http.Response{Header: header}
		got := testing.AllocsPerRun(100, func() {
			clear(header)
			_ = f.Early.Request(ex)
			if f.Request != nil {
				_ = f.Request(ex)
			}
			_ = f.Early.Response(ex)
			f.Early.Finish(ex)
		})
		if got > want && !raceEnabled {
			t.Errorf("%s: %g allocations, want %g", text, got, want)
		}
	}
}
