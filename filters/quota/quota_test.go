package quota

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/quota"
	"cardea.dev/cardea/internal/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, redistest.Ending()...) }

func TestExamplesOfTheManual(t *testing.T) { filtertest.Examples[Config](t, "quota", 6) }

// bench is the policy with a clock that tests set.
type bench struct {
	testing.TB
	*policy
	env  *filter.Env
	time time.Time
}

// newBench builds the policy. It counts in memory unless the settings say otherwise.
func newBench(t testing.TB, text string) *bench {
	t.Helper()
	t.Setenv("STATE_DIRECTORY", t.TempDir())
	b := &bench{TB: t, env: filtertest.NewEnv(t, "r"), time: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	b.env.Consumers = filtertest.Consumers(t, "{c: {}, never: {}}")
	c := new(Config)
	if err := filtertest.Parse(t, text).Decode(c); err != nil {
		t.Fatal(err)
	}
	p, err := newPolicy(b.env, c)
	if err != nil {
		t.Fatal(err)
	}
	p.now = func() time.Time { return b.time }
	b.policy = p
	return b
}

// exchange is a request of a user.
func (b *bench) exchange(user string, fields ...string) *filter.Exchange {
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: b.env.Route, Client: netip.MustParseAddr("192.0.2.1")}
	if user != "" {
		ex.Identity = &filter.Identity{Subject: user, Consumer: user, Groups: []string{"g-" + user}, Tags: map[string]string{"plan": "p-" + user}}
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		ex.Request.Header.Set(name, value)
	}
	ex.Prepare(b.env.Slots())
	return ex
}

// do takes an exchange through the policy and describes the outcome.
func (b *bench) do(ex *filter.Exchange, answer ...string) string {
	b.Helper()
	err := b.request(ex)
	ex.Response = &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
	out := "passes"
	if err != nil {
		e := filter.AsError(err)
		ex.Err, out = e, string(e.Code)
		ex.Response.Header = http.Header{}
		if after := e.Header.Get("Retry-After"); after != "" {
			out += " " + after
		}
	}
	for _, f := range answer {
		name, value, _ := strings.Cut(f, ": ")
		ex.Response.Header.Add(name, value)
	}
	if err := b.response(ex); err != nil {
		b.Fatal(err)
	}
	b.finish(ex)
	return out
}

func (b *bench) want(want string, ex *filter.Exchange, answer ...string) {
	b.Helper()
	if got := b.do(ex, answer...); got != want {
		b.Errorf("got %s, want %s", got, want)
	}
}

func TestAQuota(t *testing.T) {
	b := newBench(t, "2/day per identity")
	for _, want := range []string{"passes", "passes", "quota_exceeded 43200"} {
		b.want(want, b.exchange("me"))
	}
	b.want("passes", b.exchange("you"))
	ex := b.exchange("me")
	err := b.request(ex)
	if want := (filter.Limited{Policy: "quota", Limit: "2/day per identity", Key: "me"}); ex.Limited != want {
		t.Errorf("got %+v", ex.Limited)
	}
	if e := filter.AsError(err); !strings.Contains(e.Cause.Error(), "me has 0 of 2/day left, and may come again at 2026-12-01T00:00:00Z, in 12h0m0s") {
		t.Error(e.Cause)
	}
	if v := b.explain(b.exchange("me")); v.Action != filter.Rejects {
		t.Errorf("%+v", v)
	}
	b.time = b.time.Add(12 * time.Hour)
	b.want("passes", b.exchange("me"))
	if v := b.explain(b.exchange("me")); v.Action != filter.Passes || v.Note != "me has 1 of 2/day left" {
		t.Errorf("%+v", v)
	}
	b.want("passes", b.exchange("me"))
}

func TestSeveralQuotas(t *testing.T) {
	b := newBench(t, "[2/hour per identity, 3/day per identity, 4/30d per all]")
	for i, want := range []string{"passes", "passes", "quota_exceeded 3600", "passes", "quota_exceeded 39600", "quota_exceeded 39600"} {
		if b.want(want, b.exchange("me")); i == 2 {
			b.time = b.time.Add(time.Hour)
		}
	}
	b.want("passes", b.exchange("you"))
	b.want(fmt.Sprintf("quota_exceeded %d", 30*24*3600-3600+30*24*60), b.exchange("him"))
}

func TestHeadersOfAnswers(t *testing.T) {
	b := newBench(t, "{quotas: [{amount: 4/month, per: [identity], name: monthly}, 100/1h per identity], warn_at: 50%, timezone: Europe/Berlin}")
	ex := b.exchange("me")
	b.want("passes", ex, `RateLimit: "x";r=1;t=2`)
	h := ex.Response.Header
	got := strings.Join(h.Values("RateLimit"), ", ") + " / " + strings.Join(h.Values("RateLimit-Policy"), ", ")
	if want := `"x";r=1;t=2, "monthly";r=3;t=39600, "1h";r=99;t=3660 / "monthly";q=4;w=2592000, "1h";q=100;w=3600`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if h.Get("Quota-Warning") != "" {
		t.Error("it warns at 25%")
	}
	b.want("passes", b.exchange("me"))
	ex = b.exchange("me")
	b.want("passes", ex)
	if got, want := ex.Response.Header.Get("Quota-Warning"), `"monthly";used=3;limit=4;t=39600`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := value(t, b.env, "quota_warnings_total"); n != "1" {
		t.Errorf("warned %s times", n)
	}
	b.want("passes", b.exchange("me"))
	ex = b.exchange("me")
	b.want("quota_exceeded 39600", ex)
	if got := ex.Response.Header.Get("RateLimit"); got != `"monthly";r=0;t=39600, "1h";r=96;t=3660` {
		t.Errorf("got %s", got)
	}
}

// value is a metric's value, of all its series.
func value(t testing.TB, env *filter.Env, name string) string {
	t.Helper()
	w := httptest.NewRecorder()
	env.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	text, _ := io.ReadAll(w.Body)
	sum, found := 0, false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "cardea_"+name) {
			n, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]))
			if err != nil {
				t.Fatal(err)
			}
			sum, found = sum+n, true
		}
	}
	if !found {
		return "none"
	}
	return strconv.Itoa(sum)
}

func TestOverrides(t *testing.T) {
	b := newBench(t, `{quotas: 1/day per identity, overrides: [
		{consumers: [c], amount: unlimited}, {groups: [g-g, g-x], amount: 2}, {tags: {plan: p-t}, amount: 3},
		{when: 'header["x-vip"] == "1"', amount: 4}, {consumers: [never], groups: [g-never], amount: 0}]}`)
	for user, want := range map[string]int{"": 1, "me": 1, "c": 9, "g": 2, "t": 3, "v": 4, "never": 0} {
		passed := 0
		for range 9 {
			ex := b.exchange(user)
			if user == "v" {
				ex.Request.Header.Set("X-Vip", "1")
			}
			if b.do(ex) == "passes" {
				passed++
			}
		}
		if passed != want {
			t.Errorf("%q: %d passed, want %d", user, passed, want)
		}
	}
}

func TestCosts(t *testing.T) {
	for _, c := range []struct{ settings, field, answer, want string }{
		{"cost: 3", "", "", "passes passes passes quota_exceeded"},
		{"cost: 11", "", "", "quota_exceeded"},
		{"cost: 0", "", "", "passes passes passes passes passes passes passes passes passes passes passes passes"},
		{"cost: header.x-cost", "X-Cost: 4.2", "", "passes passes quota_exceeded"},
		{"cost: header.x-cost", "X-Cost: -4", "", "passes passes passes passes passes passes passes passes passes passes quota_exceeded"},
		{"cost: header.x-cost", "X-Cost: nan", "", "passes passes passes passes passes passes passes passes passes passes quota_exceeded"},
		{"cost: header.x-cost", "X-Cost: 1e300", "", "quota_exceeded"},
		{"cost: 'int(header[\"x-cost\"]) * 2'", "X-Cost: 2", "", "passes passes quota_exceeded"},
		{"cost_response: response.header.x-cost", "", "X-Cost: 7", "passes passes quota_exceeded"},
		{"cost_response: response.header.x-cost", "", "X-Cost: 1e300", "passes quota_exceeded"},
		{"cost_response: 'status == 200 ? 9 : 0', cost: 1", "", "", "passes quota_exceeded"},
		{"cost_response: response.header.x-cost", "", "", "passes passes passes passes passes passes passes passes passes passes quota_exceeded"},
		{"cost_response: bytes", "", "", "passes passes passes quota_exceeded"},
	} {
		b := newBench(t, "{quotas: 10/day, "+c.settings+"}")
		var got []string
		for range 12 {
			ex := b.exchange("", c.field)
			ex.Sent = 4
			got = append(got, strings.Fields(b.do(ex, c.answer))[0])
			if got[len(got)-1] != "passes" {
				break
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s with %s and %s: got %s", c.settings, c.field, c.answer, got)
		}
	}
	b := newBench(t, "{quotas: 10/day, cost: 11}")
	if got := b.do(b.exchange("me")); got != "quota_exceeded" {
		t.Errorf("what can never pass may come again: %s", got)
	}
}

func TestHiddenCosts(t *testing.T) {
	for hide, want := range map[string]string{"true": "", "false": "7"} {
		b := newBench(t, "{quotas: 10/day, cost_response: {value: response.header.x-cost, hide: "+hide+"}}")
		ex := b.exchange("")
		b.want("passes", ex, "X-Cost: 7")
		if got := ex.Response.Header.Get("X-Cost"); got != want || !strings.HasPrefix(ex.Response.Header.Get("RateLimit"), `"day";r=3;`) {
			t.Errorf("hide %s: got %v", hide, ex.Response.Header)
		}
	}
}

func TestDryRun(t *testing.T) {
	b := newBench(t, "{quotas: 1/day per identity, dry_run: true, max_keys: 1}")
	ex := b.exchange("me")
	if b.want("passes", ex); len(ex.Response.Header) != 0 {
		t.Errorf("clients are told %v", ex.Response.Header)
	}
	ex = b.exchange("me")
	b.want("passes", ex)
	if !ex.Limited.DryRun || len(ex.Response.Header) != 0 {
		t.Errorf("%+v %v", ex.Limited, ex.Response.Header)
	}
	if n, m := value(t, b.env, `quota_requests_total{outcome="would_refuse"`), value(t, b.env, `quota_requests_total{outcome="allowed"`); n != "1" || m != "1" {
		t.Errorf("%s would be refused, %s were not", n, m)
	}
	if v := b.explain(b.exchange("me")); v.Action != filter.Passes || !strings.Contains(v.Note, "dry run") {
		t.Errorf("%+v", v)
	}
	b.want("passes", b.exchange("too many"))
}

func TestTooManyKeys(t *testing.T) {
	b := newBench(t, "{quotas: 9/day per identity, max_keys: 1}")
	b.want("passes", b.exchange("me"))
	b.want("limits_unavailable", b.exchange("you"))
	b.want("passes", b.exchange("me"))
	b = newBench(t, "{quotas: 9/day per identity, max_keys: 1, on_store_failure: allow}")
	b.want("passes", b.exchange("me"))
	ex := b.exchange("you")
	b.want("passes", ex)
	if len(ex.Response.Header) != 0 {
		t.Errorf("it tells %v", ex.Response.Header)
	}
	if n := value(t, b.env, "quota_uncounted_total"); n != "1" {
		t.Errorf("%s are uncounted", n)
	}
}

func TestAbsentKeys(t *testing.T) {
	for absent, want := range map[string]string{"address": "passes quota_exceeded", "pass": "passes passes", "refuse": "quota_exceeded quota_exceeded", "together": "passes quota_exceeded"} {
		b := newBench(t, "{quotas: [{amount: 1/day, per: [header.x-key]}], absent: "+absent+"}")
		one, _, _ := strings.Cut(b.do(b.exchange("")), " ")
		two, _, _ := strings.Cut(b.do(b.exchange("")), " ")
		if one+" "+two != want {
			t.Errorf("%s: %s %s", absent, one, two)
		}
	}
}

// TestAnotherConfiguration: usage is not lost by another amount or time zone, and is counted together under one name.
func TestAnotherConfiguration(t *testing.T) {
	b := newBench(t, "{quotas: 3/month per identity, name: api}")
	for _, text := range []string{"{quotas: 5/month per identity, name: api}", "{quotas: 3/month per identity, name: api, timezone: Europe/Berlin}", "{quotas: [{amount: 3, every: month, per: [identity]}], name: api, warn_at: 1%}"} {
		b.want("passes", b.exchange("me"))
		c := new(Config)
		if err := filtertest.Parse(t, text).Decode(c); err != nil {
			t.Fatal(err)
		}
		p, err := newPolicy(b.env, c)
		if err != nil {
			t.Fatal(err)
		}
		p.now, b.policy = b.policy.now, p
	}
	b.want("quota_exceeded 43200", b.exchange("me"))
}

func TestLimiter(t *testing.T) {
	b := newBench(t, "5/day per identity")
	for range 6 {
		b.do(b.exchange("me"))
	}
	var found []filter.Limiter
	for _, v := range b.env.Keeper.(filtertest.Keeper) {
		if l, ok := v.(filter.Limiter); ok {
			found = append(found, l)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d are kept", len(found))
	}
	info := found[0].Limiter()
	if info.Name != "quota root 5/day per identity" || info.Limit != "5/day" || info.Per != "identity" || info.Keys != 1 || !strings.HasPrefix(info.Store, "file /") {
		t.Errorf("%+v", info)
	}
	if top := found[0].Top(3); len(top) != 1 || top[0] != (filter.KeyUsage{Key: "me", Used: 5, Limit: 5, Refused: 1}) {
		t.Errorf("%+v", top)
	}
	if ok, err := found[0].Reset(t.Context(), "me"); !ok || err != nil {
		t.Error(ok, err)
	}
	b.want("passes", b.exchange("me"))
}

func TestRefusedConfig(t *testing.T) {
	for text, want := range map[string]string{
		"10":                                "does not say per what time",
		"10/month/x":                        `"month/x"`,
		"10/months":                         `did you mean "month"`,
		"x/month":                           `"x" is not an amount`,
		"-1/month":                          "out of range",
		"10/":                               "per what time",
		"unlimited/day":                     "a quota without limit is none",
		"[1/day, 2/day]":                    `two quotas are called "day"`,
		"[1/day, {amount: 2/day, name: x}]": "count by",
		"{quotas: 1/day, cost_response: {value: bytes, hide: true}}":           "names no field to hide",
		"{quotas: 1/day, per: nobody}":                                         "nobody",
		"10/day per nobody":                                                    "nobody",
		"{quotas: []}":                                                         "there are 0 quotas",
		"{quotas: 1/day, timezone: Mars}":                                      `"Mars" is not the name of a time zone`,
		"{quotas: 1/day, month_start: 29}":                                     "29",
		"{quotas: 1/day, cost: 'nothing(1)'}":                                  "nothing",
		"{quotas: 1/day, overrides: [{amount: 1}]}":                            "for whom",
		"{quotas: [1/day, 2/week], overrides: [{amount: 1, groups: [a]}]}":     "which `quota`",
		"{quotas: 1/day, overrides: [{amount: 1, groups: [a], quota: month}]}": `no quota "month"`,
		"{quotas: 1/day, overrides: [{amount: 1, when: '1'}]}":                 "overrides[0].when",
		"{quotas: [{amount: 1/day, every: week}]}":                             "too",
		"{quotas: [{amount: 1/day per address, per: [all]}]}":                  "too",
		"{quotas: [{amount: 1, every: fortnight}]}":                            `"fortnight" is not a period`,
		"{quotas: 1/day, store: 'http://x'}":                                   "the URL is not one of Redis",
		"{quotas: 1/day, store: 'redis://x:1', file: x}":                       "the usage is kept in the `store`",
		"{quotas: 1/day, file: /proc/quota}":                                   "file: off",
	} {
		_, err := Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestWhereTheFileIs(t *testing.T) {
	for _, c := range []struct{ file, state, data, home, want string }{
		{"", "/var/lib/cardea:/x", "/data", "/me", "/var/lib/cardea/quota.state"},
		{"", "", "/data", "/me", "/data/cardea/quota.state"},
		{"", "", "", "/me", "/me/.local/share/cardea/quota.state"},
		{"q", "/x", "", "", "/etc/cardea/q"},
		{"/a/q", "/x", "", "", "/a/q"},
		{"off", "/x", "", "", ""},
	} {
		t.Setenv("STATE_DIRECTORY", c.state)
		t.Setenv("XDG_DATA_HOME", c.data)
		t.Setenv("HOME", c.home)
		if got, err := (&Config{File: c.file}).path(&filter.Env{Dir: "/etc/cardea"}); got != c.want || err != nil {
			t.Errorf("%+v: got %s, %v", c, got, err)
		}
	}
	t.Setenv("STATE_DIRECTORY", "")
	t.Setenv("HOME", "")
	if _, err := new(Config).path(&filter.Env{}); err == nil {
		t.Error("no error without a home")
	}
}

// TestLookingAtAConfiguration takes no lock of a gateway that runs.
func TestLookingAtAConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "quota.state")
	l, err := quota.Open(quota.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for offline, want := range map[bool]bool{true: true, false: false} {
		env := filtertest.NewEnv(t, "r")
		env.Offline = offline
		if _, err := Kind().Build(env, filtertest.Parse(t, "{quotas: 1/day, file: "+path+"}")); (err == nil) != want {
			t.Errorf("offline %v: %v", offline, err)
		}
	}
	env := filtertest.NewEnv(t, "r")
	env.Offline, env.Store = true, config.Secret("redis://127.0.0.1:1")
	if _, err := Kind().Build(env, filtertest.Parse(t, "1/day")); err != nil {
		t.Error(err)
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, text := range map[string]string{
		"one":       "{quotas: 1000000000/month per identity, file: off}",
		"three":     "{quotas: [1000000000/month per identity, 1000000000/30d per identity, 1000000000/day per address], file: off}",
		"overrides": "{quotas: 10/month per identity, file: off, overrides: [{consumers: [a], amount: 2}, {tags: {plan: p-me}, amount: 1000000000}]}",
	} {
		b.Run(name, func(b *testing.B) {
			p := newBench(b, text)
			ex := p.exchange("me")
			b.ReportAllocs()
			for b.Loop() {
				if err := p.request(ex); err != nil {
					b.Fatal(err)
				}
				p.finish(ex)
			}
		})
	}
}

func BenchmarkHeaders(b *testing.B) {
	p := newBench(b, "{quotas: 1000000000/month per identity, file: off}")
	ex := p.exchange("me")
	ex.Response = &http.Response{Header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(ex.Response.Header)
		if err := p.request(ex); err != nil {
			b.Fatal(err)
		}
		if err := p.response(ex); err != nil {
			b.Fatal(err)
		}
		p.finish(ex)
	}
}
