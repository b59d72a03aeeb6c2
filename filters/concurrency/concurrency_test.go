package concurrency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/line"
)

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, kindName, 5) }

// built is the policy with what it was built with.
type built struct {
	*filter.Filter
	env *filter.Env
	t   testing.TB
}

func newPolicy(t testing.TB, text string) *built {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Consumers = filtertest.Consumers(t, "{acme: {}}")
	return rebuild(t, env, text)
}

func rebuild(t testing.TB, env *filter.Env, text string) *built {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, "c: "+text).Field("c"))
	if err != nil {
		t.Fatal(err)
	}
	if f.Early != nil {
		f = f.Early
	}
	return &built{f, env, t}
}

// ask begins an exchange of a caller.
func (b *built) ask(user string, more ...func(*filter.Exchange)) (*filter.Exchange, error) {
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: b.env.Route, Client: netip.MustParseAddr("192.0.2.1")}
	if user != "" {
		ex.Request.Header.Set("X-User", user)
	}
	ex.Prepare(b.env.Slots())
	for _, f := range more {
		f(ex)
	}
	return ex, b.Request(ex)
}

func (b *built) limiter() *limiter {
	b.t.Helper()
	for _, v := range b.env.Keeper.(filtertest.Keeper) {
		return v.(*limiter)
	}
	b.t.Fatal("nothing is kept")
	return nil
}

func code(err error) filter.Code {
	var e *filter.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestALimitByKey(t *testing.T) {
	b := newPolicy(t, "2 per header.x-user")
	var in []*filter.Exchange
	for range 2 {
		ex, err := b.ask("a")
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, ex)
	}
	refused, err := b.ask("a")
	if code(err) != filter.ConcurrencyLimited || filter.AsError(err).Header.Get("Retry-After") != "1" || filter.AsError(err).HTTPStatus() != 429 {
		t.Fatalf("the third: %v", err)
	}
	if want := (filter.Limited{Policy: "concurrency", Limit: "2 per header.x-user", Key: "a"}); refused.Limited != want {
		t.Errorf("got %+v, want %+v", refused.Limited, want)
	}
	b.Finish(refused) // it has nothing to give back
	if _, err := b.ask("a"); err == nil {
		t.Error("a refused request gave a place back")
	}
	if _, err := b.ask("b"); err != nil {
		t.Errorf("another caller: %v", err)
	}
	b.Finish(in[0])
	b.Finish(in[0])
	if _, err := b.ask("a"); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	if _, err := b.ask("a"); err == nil {
		t.Error("one that ended gave two places back")
	}
}

func TestWaitingInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newPolicy(t, "{limit: 1, per: [all], queue: 2, wait: 3s}")
		first, _ := b.ask("")
		order := make(chan string, 8)
		wait := func(name string, p filter.Priority, more ...func(*filter.Exchange)) {
			go func() {
				ex, err := b.ask("", append(more, func(ex *filter.Exchange) { ex.Priority = p })...)
				if err != nil {
					order <- name + " " + string(code(err)) + fmt.Sprint(errors.Is(err, line.ErrDisplaced), errors.Is(err, context.Canceled))
					return
				}
				order <- name
				time.Sleep(time.Second)
				b.Finish(ex)
			}()
			synctest.Wait()
		}
		expect := func(want string) {
			t.Helper()
			if got := <-order; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		wait("low", filter.Low)
		wait("normal", filter.Normal)
		wait("low again", filter.Low)
		expect("low again concurrency_limitedfalse false")
		wait("high", filter.High)
		expect("low concurrency_limitedtrue false")
		b.Finish(first)
		expect("high")
		ctx, cancel := context.WithCancel(t.Context())
		wait("leaver", filter.Normal, func(ex *filter.Exchange) { ex.Request = ex.Request.WithContext(ctx) })
		cancel()
		expect("leaver false true")
		expect("normal")
		time.Sleep(5 * time.Second)
		last, err := b.ask("")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := b.ask(""); !errors.Is(err, line.ErrTooLong) || time.Since(began) != 3*time.Second || filter.AsError(err).Header.Get("Retry-After") != "3" {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		b.Finish(last)
		if n := b.limiter().lines.Len(); n != 0 {
			t.Errorf("%d keys remain", n)
		}
	})
}

func TestOverrides(t *testing.T) {
	b := newPolicy(t, "{limit: 1, per: [all], overrides: [{consumers: [acme], groups: [g], limit: 3}, {consumers: [acme], limit: 2}, {tags: {plan: gold}, limit: 4}]}")
	as := func(i *filter.Identity) func(*filter.Exchange) { return func(ex *filter.Exchange) { ex.Identity = i } }
	for _, c := range []struct {
		who  *filter.Identity
		want bool
	}{
		{nil, true},
		{nil, false},
		{&filter.Identity{Subject: "x"}, false},
		{&filter.Identity{Consumer: "acme"}, true},
		{&filter.Identity{Consumer: "acme"}, false},
		{&filter.Identity{Consumer: "acme", Groups: []string{"f", "g"}}, true},
		{&filter.Identity{Consumer: "x", Groups: []string{"g"}, Tags: map[string]string{"plan": "silver"}}, false},
		{&filter.Identity{Tags: map[string]string{"plan": "gold"}}, true},
		{&filter.Identity{Tags: map[string]string{"plan": "gold"}}, false},
	} {
		if _, err := b.ask("", as(c.who)); (err == nil) != c.want {
			t.Errorf("%v: %v", c.who, err)
		}
	}
}

func TestDryRuns(t *testing.T) {
	b := newPolicy(t, "{limit: 1, per: [header.x-user], absent: refuse, dry_run: true}")
	one, err := b.ask("a")
	two, again := b.ask("a")
	none, absent := b.ask("")
	if err != nil || again != nil || absent != nil {
		t.Fatal(err, again, absent)
	}
	want := filter.Limited{Policy: "concurrency", Limit: "1 per header.x-user", Key: "a", DryRun: true}
	if one.Limited.Policy != "" || two.Limited != want {
		t.Errorf("got %+v and %+v", one.Limited, two.Limited)
	}
	if want.Key = ""; none.Limited != want {
		t.Errorf("got %+v", none.Limited)
	}
	for _, ex := range []*filter.Exchange{one, two, none} {
		b.Finish(ex)
	}
	if n := b.limiter().lines.Len(); n != 0 {
		t.Errorf("%d keys remain", n)
	}
	rec := httptest.NewRecorder()
	b.env.Metrics.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if want := `cardea_concurrency_refusals_total{reason="dry_run",route="r"} 2`; !strings.Contains(rec.Body.String(), want) {
		t.Errorf("%s is not in\n%s", want, rec.Body)
	}
}

func TestAbsentKeys(t *testing.T) {
	b := newPolicy(t, "{limit: 1, per: [header.x-user], absent: refuse}")
	if _, err := b.ask(""); code(err) != filter.ConcurrencyLimited {
		t.Error(err)
	}
	b = newPolicy(t, "{limit: 1, per: [header.x-user], absent: pass}")
	for range 3 {
		if _, err := b.ask(""); err != nil {
			t.Error(err)
		}
	}
}

// TestReloads changes the limit: what is under way counts on.
func TestReloads(t *testing.T) {
	b := newPolicy(t, "2 per header.x-user")
	one, _ := b.ask("a")
	two, _ := b.ask("a")
	next := rebuild(t, b.env, "3 per header.x-user")
	if got := b.limiter().Limiter().Limit; got != "2 per header.x-user" {
		t.Errorf("before the first request the limit is %s", got)
	}
	if _, err := next.ask("a"); err != nil {
		t.Error(err)
	}
	if _, err := next.ask("a"); err == nil {
		t.Error("what was under way is forgotten")
	}
	b.Finish(one)
	b.Finish(two)
	want := filter.LimiterInfo{
		Name: "concurrency 3 per header.x-user", Policy: "concurrency", Limit: "3 per header.x-user", Per: "header.x-user", Store: "memory", Keys: 1,
	}
	if diff := cmp.Diff(want, b.limiter().Limiter()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]filter.KeyUsage{{Key: "a", Used: 1, Limit: 3, Refused: 1}}, b.limiter().Top(9)); diff != "" {
		t.Error(diff)
	}
	for _, want := range []bool{true, false} {
		if had, err := b.limiter().Reset(t.Context(), "a"); had != want || err != nil {
			t.Error(had, err)
		}
	}
	if _, err := next.ask("a"); err != nil {
		t.Error(err)
	}
}

func TestUpgradedConnections(t *testing.T) {
	for text, free := range map[string]bool{"{limit: 1, upgraded: release}": true, "{limit: 1}": false} {
		b := newPolicy(t, text)
		ex, _ := b.ask("")
		ex.Response = &http.Response{StatusCode: 101}
		if b.Response != nil {
			if err := b.Response(ex); err != nil {
				t.Fatal(err)
			}
		}
		other, err := b.ask("")
		if (err == nil) != free {
			t.Errorf("%s: %v", text, err)
		}
		b.Finish(ex)
		b.Finish(other)
		if n := b.limiter().lines.Len(); n != 0 {
			t.Errorf("%s: %d keys remain", text, n)
		}
	}
}

func TestExplain(t *testing.T) {
	for text, want := range map[string][2]filter.Verdict{
		"1 per address":                                                {{Action: "pass", Note: "192.0.2.1 has 0 of 1 under way"}, {Action: "reject", Note: "192.0.2.1 has 1 of 1 under way"}},
		"{limit: 1, queue: 2}":                                         {{Action: "pass", Note: "192.0.2.1 has 0 of 1 under way, 0 of 2 wait"}, {Action: "unknown", Note: "192.0.2.1 has 1 of 1 under way, 0 of 2 wait: it would wait, for 1s at most"}},
		"{limit: 1, dry_run: true}":                                    {{Action: "pass", Note: "192.0.2.1 has 0 of 1 under way"}, {Action: "pass", Note: "192.0.2.1 has 1 of 1 under way: it would be refused but for the dry run"}},
		"{limit: 1, per: [header.x], absent: pass}":                    {{Action: "pass", Note: "it has no header.x, and is not counted"}, {Action: "pass", Note: "it has no header.x, and is not counted"}},
		"{limit: 1, per: [header.x], absent: refuse}":                  {{Action: "reject", Note: "it has no header.x"}, {Action: "reject", Note: "it has no header.x"}},
		"{limit: 1, per: [cookie.x], absent: together}":                {{Action: "pass", Note: "(absent) has 0 of 1 under way"}, {Action: "reject", Note: "(absent) has 1 of 1 under way"}},
		"{limit: 1, per: [all], overrides: [{groups: [g], limit: 2}]}": {{Action: "pass", Note: "all has 0 of 1 under way"}, {Action: "reject", Note: "all has 1 of 1 under way"}},
	} {
		b := newPolicy(t, text)
		dry := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Client: netip.MustParseAddr("192.0.2.1"), Dry: true}
		got := [2]filter.Verdict{b.Explain(dry)}
		_, _ = b.ask("")
		got[1] = b.Explain(dry)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestWhereItStands(t *testing.T) {
	for text, early := range map[string]bool{
		"1": true, "1 per address": true, "1 per route": false, "1 per address, route": true, "{limit: 1, overrides: [{groups: [g], limit: 2}]}": false,
	} {
		f, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text))
		if err != nil || (f.Early != nil) != early || (f.Request == nil) != early {
			t.Errorf("%s: %+v, %v", text, f, err)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	for _, text := range []string{
		"0", "-1", "many", "10/s", "10 per ", "1 per nothing.x", "1000001", "{}", "{limit: 0}", "{limit: 1, wait: 0}", "{limit: 1, queue: -1}",
		"{limit: 1, overrides: [{limit: 2}]}", "{limit: 1, overrides: [{groups: [g]}]}", "{limit: 1, overrides: [{tag: gold, limit: 2}]}",
		"{limit: 1, dry_run: true, queue: 3}", "{limit: 1, absent: never}", "{limit: 1, upgraded: never}", "[]", `""`,
		"{limit: 1, overrides: [{consumers: [nobody], limit: 2}]}", "1 per response.header.x",
	} {
		if _, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, "c: "+text).Field("c")); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	p := newPolicy(b, "{limit: 10, per: [address], queue: 5}")
	ex, _ := p.ask("")
	p.Finish(ex)
	addrs := make([]netip.Addr, 10_000)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ex.Client = addrs[i%len(addrs)]
		if err := p.Request(ex); err != nil {
			b.Fatal(err)
		}
		p.Finish(ex)
		i++
	}
}
