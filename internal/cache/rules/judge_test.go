package rules

import (
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// aged is a response that is some age now, with a tag unless it has none.
func aged(t *testing.T, s *Settings, age time.Duration, control string, more ...string) *stored.Response {
	t.Helper()
	h := header(cc(control, more...)...)
	r := store(t, s, 200, h)
	r.Received, r.Requested = now.Add(-age), now.Add(-age)
	return r
}

func TestJudge(t *testing.T) {
	const s = time.Second
	tag := []string{"Etag", `"a"`}
	for _, c := range []struct {
		section  string
		control  string
		more     []string
		age      time.Duration
		request  []string
		settings Settings
		use      Use
		why      Why
	}{
		{section: "4.2", control: "max-age=10", age: 9 * s, use: Fresh},
		{section: "4.2", control: "max-age=10", age: 10 * s, more: tag, use: Validate, why: WhyStale},
		{section: "4.2", control: "max-age=10", age: 10 * s, use: Gone, why: WhyStale},
		{section: "4.2.3", control: "max-age=10", more: []string{"Age", "5"}, age: 4 * s, use: Fresh},
		{section: "4.2.3", control: "max-age=10", more: []string{"Age", "5"}, age: 5 * s, use: Gone, why: WhyStale},
		// 5.2.1: what requests say.
		{section: "5.2.1.4", control: "max-age=10", request: cc("no-cache"), more: tag, use: Validate, why: WhyRequest},
		{section: "5.2.1.4", control: "max-age=10", request: cc("no-cache"), use: Validate, why: WhyRequest},
		{section: "5.2.1.4", control: "max-age=10", request: cc("no-cache"), settings: Settings{IgnoreRequest: true}, use: Fresh},
		{section: "5.4", control: "max-age=10", request: []string{"Pragma", "no-cache"}, use: Validate, why: WhyRequest},
		{section: "5.4", control: "max-age=10", request: []string{"Pragma", "x, No-Cache"}, use: Validate, why: WhyRequest},
		{section: "5.4", control: "max-age=10", request: []string{"Pragma", "no-cache"}, settings: Settings{IgnoreRequest: true}, use: Fresh},
		{section: "5.4", control: "max-age=10", request: cc("max-age=60", "Pragma", "no-cache"), use: Fresh},
		{section: "5.2.1.1", control: "max-age=10", age: 5 * s, request: cc("max-age=5"), use: Fresh},
		{section: "5.2.1.1", control: "max-age=10", age: 6 * s, request: cc("max-age=5"), use: Validate, why: WhyRequest},
		{section: "5.2.1.1", control: "max-age=10", age: 1 * s, request: cc("max-age=0"), use: Validate, why: WhyRequest},
		{section: "5.2.1.1", control: "max-age=10", request: cc("max-age=0"), use: Validate, why: WhyRequest},
		{section: "5.2.1.1", control: "max-age=10", age: 1 * s, request: cc("max-age=x"), use: Validate, why: WhyRequest},
		{section: "5.2.1.1", control: "max-age=10, stale-while-revalidate=10", age: 11 * s, request: cc("max-age=60"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.1.3", control: "max-age=10", age: 5 * s, request: cc("min-fresh=5"), use: Fresh},
		{section: "5.2.1.3", control: "max-age=10", age: 6 * s, request: cc("min-fresh=5"), use: Validate, why: WhyRequest},
		{section: "5.2.1.2", control: "max-age=10", age: 15 * s, request: cc("max-stale=5"), use: Stale},
		{section: "5.2.1.2", control: "max-age=10", age: 16 * s, request: cc("max-stale=5"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.1.2", control: "max-age=10", age: 999 * s, request: cc("max-stale"), use: Stale},
		{section: "5.2.1.2", control: "max-age=10", age: 15 * s, request: cc("max-stale=x"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.1.2", control: "max-age=10", age: 15 * s, request: cc("max-age=20, max-stale=9"), use: Stale},
		{section: "5.2.1.2", control: "max-age=10", age: 15 * s, request: cc("max-age=12, max-stale=9"), more: tag, use: Validate, why: WhyRequest},
		{section: "5.2.2.2", control: "max-age=10, must-revalidate", age: 15 * s, request: cc("max-stale"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.2.2", control: "max-age=10, must-revalidate", age: 5 * s, use: Fresh},
		{section: "5.2.2.8", control: "max-age=10, proxy-revalidate", age: 15 * s, request: cc("max-stale"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.2.10", control: "s-maxage=10", age: 15 * s, request: cc("max-stale"), more: tag, use: Validate, why: WhyStale},
		{section: "5.2.2.4", control: "max-age=10, no-cache", age: 0, request: cc("max-stale"), more: tag, use: Validate, why: WhyStale},
		{section: "5861 3", control: "max-age=10, stale-while-revalidate=5", age: 14 * s, use: StaleWhileRevalidate, why: WhyStale},
		{section: "5861 3", control: "max-age=10, stale-while-revalidate=5", age: 15 * s, use: Gone, why: WhyStale},
		{section: "5861 3", control: "max-age=10", age: 14 * s, settings: Settings{WhileRevalidate: 5 * s}, use: StaleWhileRevalidate, why: WhyStale},
		{section: "5861 4", control: "max-age=10, stale-if-error=5", age: 14 * s, use: Validate, why: WhyStale},
		{section: "5861 4", control: "max-age=10, stale-if-error=5", age: 15 * s, use: Gone, why: WhyStale},
		{section: "8246 2", control: "max-age=10, immutable", age: 5 * s, request: cc("max-age=0"), use: Fresh},
		{section: "8246 2", control: "max-age=10, immutable", age: 5 * s, request: cc("no-cache"), use: Validate, why: WhyRequest},
		{section: "8246 2", control: "max-age=10, immutable", age: 10 * s, more: tag, use: Validate, why: WhyStale},
		{section: "4.1", control: "max-age=10", more: append([]string{"Vary", "*"}, tag...), use: Validate, why: WhyNoMatch},
	} {
		r := aged(t, &c.settings, c.age, c.control, c.more...)
		q := ParseRequest(get(c.request...))
		if use, why := Judge(&c.settings, &q, r, now); use != c.use || why != c.why {
			t.Errorf("%s: %s at %v for %v: %v %q, want %v %q", c.section, c.control, c.age, c.request, use, why, c.use, c.why)
		}
	}
}

func TestJudgePurged(t *testing.T) {
	q := Request{}
	for control, want := range map[string]Use{
		"max-age=10": Validate, "max-age=10, stale-while-revalidate=5": StaleWhileRevalidate, "max-age=10, must-revalidate": Validate,
	} {
		if use, _ := JudgePurged(&Settings{}, &q, aged(t, &Settings{}, 0, control, "Etag", `"a"`), now); use != want {
			t.Errorf("%s: %v, want %v", control, use, want)
		}
	}
}

func TestMayServeOnError(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		control string
		age     time.Duration
		request []string
		grace   time.Duration
		want    bool
	}{
		{"max-age=10", 5 * s, nil, 0, true},
		{"max-age=10", 10 * s, nil, 0, false},
		{"max-age=10", 12 * s, nil, 5 * s, true},
		{"max-age=10", 15 * s, nil, 5 * s, false},
		{"max-age=10, stale-if-error=5", 14 * s, nil, 0, true},
		{"max-age=10, stale-if-error=5", 15 * s, nil, 0, false},
		{"max-age=10, stale-if-error=0", 12 * s, nil, 9 * s, false},
		{"max-age=10", 12 * s, cc("stale-if-error=5"), 0, true},
		{"max-age=10, stale-if-error=5", 12 * s, cc("no-cache"), 0, false},
		{"max-age=10, stale-if-error=5", 12 * s, []string{"Pragma", "no-cache"}, 0, false},
		{"max-age=10, must-revalidate, stale-if-error=5", 12 * s, cc("stale-if-error=5"), 5 * s, false},
		{"max-age=10, must-revalidate", 5 * s, nil, 5 * s, false},
		{"no-cache, stale-if-error=5", 2 * s, nil, 5 * s, false},
	} {
		settings := Settings{Grace: c.grace}
		r := aged(t, &settings, c.age, c.control, "Etag", `"a"`)
		q := ParseRequest(get(c.request...))
		if got := MayServeOnError(&settings, &q, r, now); got != c.want {
			t.Errorf("%s at %v for %v with %v: %v", c.control, c.age, c.request, c.grace, got)
		}
	}
}

func TestOnlyIfCached(t *testing.T) {
	q := ParseRequest(get("Cache-Control", "only-if-cached"))
	if !q.OnlyIfCached(&Settings{}) || q.OnlyIfCached(&Settings{IgnoreRequest: true}) {
		t.Error("only-if-cached is misread")
	}
	q = ParseRequest(get("Cache-Control", "x"))
	if q.OnlyIfCached(&Settings{}) {
		t.Error("only-if-cached is made up")
	}
}
