package rules

import (
	"slices"
	"testing"
	"time"
)

func TestParseControl(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		lines []string
		want  Control
	}{
		{nil, Control{}},
		{[]string{""}, Control{}},
		{[]string{"no-store"}, Control{Directives: NoStore}},
		// 5.2: names in any case; lists in several lines, with blanks and empty members.
		{[]string{"No-Store , MAX-age=5", " ,,public"}, Control{Directives: NoStore | MaxAge | Public, MaxAge: 5 * s}},
		// 5.2: both forms of arguments.
		{[]string{`max-age="5"`}, Control{Directives: MaxAge, MaxAge: 5 * s}},
		{[]string{`s-maxage="\5"`}, Control{Directives: SMaxAge, SMaxAge: 5 * s}},
		// 5.2.3: what is unknown is ignored, also what stands in its strings.
		{[]string{`x="no-store, max-age=9", max-age=5`}, Control{Directives: MaxAge, MaxAge: 5 * s}},
		{[]string{`max-age=5, x="max-age=1"`}, Control{Directives: MaxAge, MaxAge: 5 * s}},
		{[]string{`x="a\", no-store", public`}, Control{Directives: Public}},
		{[]string{`"no-store"`, "nostore", "no_store", "max-agee=5"}, Control{}},
		{[]string{"no-store=0", `must-revalidate="x"`}, Control{Directives: NoStore | MustRevalidate}},
		// 1.2.2: delta-seconds.
		{[]string{"max-age=0005"}, Control{Directives: MaxAge, MaxAge: 5 * s}},
		{[]string{"max-age=2147483648"}, Control{Directives: MaxAge, MaxAge: MaxDelta}},
		{[]string{"max-age=99999999999999999999999999"}, Control{Directives: MaxAge, MaxAge: MaxDelta}},
		// 4.2.1: no number is no lifetime.
		{[]string{"max-age"}, Control{Directives: MaxAge}},
		{[]string{"max-age="}, Control{Directives: MaxAge}},
		{[]string{"max-age=-5"}, Control{Directives: MaxAge}},
		{[]string{"max-age=+5"}, Control{Directives: MaxAge}},
		{[]string{"max-age=5.0"}, Control{Directives: MaxAge}},
		{[]string{"max-age=5a"}, Control{Directives: MaxAge}},
		{[]string{"max-age=a5"}, Control{Directives: MaxAge}},
		{[]string{"max-age='5'"}, Control{Directives: MaxAge}},
		{[]string{"max-age = 5"}, Control{Directives: MaxAge}},
		{[]string{"max-age =5"}, Control{Directives: MaxAge}},
		{[]string{"max-age= 5"}, Control{Directives: MaxAge}},
		{[]string{"max-age=5;no-store"}, Control{Directives: MaxAge}},
		{[]string{`max-age="5`}, Control{Directives: MaxAge}},
		{[]string{`max-age="5"x`}, Control{Directives: MaxAge}},
		{[]string{`max-age=1"5"`}, Control{Directives: MaxAge}},
		{[]string{"s-maxage=x, max-age=5"}, Control{Directives: SMaxAge | MaxAge, MaxAge: 5 * s}},
		// 4.2.1: of several the least.
		{[]string{"max-age=1800, max-age=1"}, Control{Directives: MaxAge, MaxAge: 1 * s}},
		{[]string{"max-age=1", "max-age=1800"}, Control{Directives: MaxAge, MaxAge: 1 * s}},
		{[]string{"max-age=1800, max-age=x"}, Control{Directives: MaxAge}},
		// 5.2.1: requests.
		{[]string{"max-stale"}, Control{Directives: MaxStale, MaxStale: MaxDelta}},
		{[]string{"max-stale=5, min-fresh=6, only-if-cached, no-transform"}, Control{Directives: MaxStale | MinFresh | OnlyIfCached | NoTransform, MaxStale: 5 * s, MinFresh: 6 * s}},
		{[]string{"max-stale=x", "max-stale="}, Control{}},
		// RFC 5861: what is no number allows nothing.
		{[]string{"stale-while-revalidate=3, stale-if-error=4"}, Control{Directives: WhileRevalidate | IfError, WhileRevalidate: 3 * s, IfError: 4 * s}},
		{[]string{"stale-while-revalidate, stale-if-error=-1"}, Control{}},
		// 5.2.2.4, 5.2.2.7: names, as a string or a token.
		{[]string{`no-cache="set-cookie, X-A"`}, Control{NoCacheFields: []string{"Set-Cookie", "X-A"}}},
		{[]string{`private=set-cookie`, `private="x"`}, Control{PrivateFields: []string{"Set-Cookie", "X"}}},
		{[]string{`private="x", private`}, Control{Directives: Private, PrivateFields: []string{"X"}}},
		// What is no list of names is the directive without any.
		{[]string{`private=""`}, Control{Directives: Private}},
		{[]string{`private=`}, Control{Directives: Private}},
		{[]string{`private="x`}, Control{Directives: Private}},
		{[]string{`private="a b"`}, Control{Directives: Private}},
		{[]string{`no-cache = "x"`}, Control{Directives: NoCache}},
		// A string that is not closed hides nothing that forbids, and nothing in it allows more.
		{[]string{`max-age=60, x="a, no-store`}, Control{Directives: MaxAge | NoStore, MaxAge: 60 * s}},
		{[]string{`max-age=60, x="a", "b, private, public, immutable, s-maxage=9`}, Control{Directives: MaxAge | SMaxAge | Private, MaxAge: 60 * s}},
		{[]string{`x="a\", max-age=60`}, Control{Directives: MaxAge}},
		{[]string{`x="a, max-stale, min-fresh=5`, "max-age=60"}, Control{Directives: MaxAge, MaxAge: 60 * s}},
		// A response without these would be another one.
		{[]string{`private="content-encoding"`}, Control{Directives: Private, PrivateFields: []string{"Content-Encoding"}}},
	} {
		got := ParseControl(c.lines)
		got.Directives &^= present
		if got.Directives != c.want.Directives || got.MaxAge != c.want.MaxAge || got.SMaxAge != c.want.SMaxAge || got.MinFresh != c.want.MinFresh ||
			got.MaxStale != c.want.MaxStale || got.WhileRevalidate != c.want.WhileRevalidate || got.IfError != c.want.IfError ||
			!slices.Equal(got.NoCacheFields, c.want.NoCacheFields) || !slices.Equal(got.PrivateFields, c.want.PrivateFields) {
			t.Errorf("%q: %+v, want %+v", c.lines, got, c.want)
		}
	}
}

func TestParseTargeted(t *testing.T) {
	for _, c := range []struct {
		field string
		ok    bool
		has   Directive
		not   Directive
		age   time.Duration
	}{
		{"max-age=60, public", true, MaxAge | Public, NoStore, time.Minute},
		{"max-age=60;x=1", true, MaxAge, 0, time.Minute},
		{"max-age=1, max-age=60", true, MaxAge, 0, time.Minute}, // RFC 9651, section 3.2: the last
		{"", false, 0, 0, 0},
		{"max-age=60, &", false, 0, 0, 0},
		{"Max-Age=60", false, 0, 0, 0}, // keys are in lower case
		{`max-age="60"`, true, 0, MaxAge, 0},
		{"max-age=60.5", true, 0, MaxAge, 0},
		{"max-age=tok", true, 0, MaxAge, 0},
		{"max-age=-1", true, MaxAge, 0, 0},
		{"max-age=999999999999999", true, MaxAge, 0, MaxDelta},
		{"max-age", true, 0, MaxAge, 0},
		{"no-store=?0", true, 0, NoStore, 0},
		{"no-store=1", true, NoStore, 0, 0},
		{"public=1, immutable=x", true, 0, Public | Immutable, 0},
		{`private="x"`, true, 0, Private, 0},
		{"private=1", true, Private, 0, 0},
		{"no-cache=(a b)", true, 0, NoCache, 0},
	} {
		got, ok := ParseTargeted([]string{c.field})
		if ok != c.ok || got.Directives&c.has != c.has || got.Has(c.not) || got.MaxAge != c.age {
			t.Errorf("%s: %v %+v", c.field, ok, got)
		}
	}
}

func TestParseDate(t *testing.T) {
	want := time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC)
	for text, ok := range map[string]bool{
		"Sun, 06 Nov 1994 08:49:37 GMT":   true,
		"Sunday, 06-Nov-94 08:49:37 GMT":  true,
		"Sun Nov  6 08:49:37 1994":        true,
		"Sun Nov 06 08:49:37 1994":        true, // one digit has a blank before it, but this can be nothing else
		"sun, 06 nov 1994 08:49:37 gmt":   true, // RFC 9111, section 4.2
		"SUN, 06 NOV 1994 08:49:37 UTC":   false,
		"Sun, 06 Nov 1994 08:49:37 EST":   false,
		"Sun, 06 Nov 1994 08:49:37 +0000": false,
		"Sun, 06 Nov 1994 08:49:37":       false,
		"Sun, 6 Nov 1994 08:49:37 GMT":    false,
		"Sun, 06 Nov 94 08:49:37 GMT":     false,
		"Sun, 06 Nov 1994 8:49:37 GMT":    false,
		"Sun, 06 Nov 1994 08.49.37 GMT":   false,
		"Sun, 06-Nov-1994 08:49:37 GMT":   false,
		"Sun 06 Nov 1994 08:49:37 GMT":    false,
		"Xyz, 06 Nov 1994 08:49:37 GMT":   false,
		"Sun, 31 Nov 1994 08:49:37 GMT":   false,
		"Sun, 00 Nov 1994 08:49:37 GMT":   false,
		"Sun, 06 Nov 1994 24:49:37 GMT":   false,
		"Sun, 06 Nov 1994 08:60:37 GMT":   false,
		"Sun, 06 Nov 1994 08:49:61 GMT":   false,
		"Sun,  06 Nov 1994 08:49:37 GMT":  false,
		"Sun, 06 Nov 1994 08:49:37 GMT ":  false,
		"Sun, 06 Nov 1994 08:49:37 GMT,":  false,
		"Sun Nov 6 08:49:37 1994":         false,
		"0":                               false,
		"-1":                              false,
		"":                                false,
	} {
		got, valid := ParseDate(text, now)
		if valid != ok || ok && !got.Equal(want) {
			t.Errorf("%q: %v %v", text, got, valid)
		}
	}
	// RFC 9110, section 5.6.7: no more than 50 years ahead.
	for text, year := range map[string]int{"Sunday, 06-Nov-75 08:49:37 GMT": 2075, "Sunday, 06-Nov-76 08:49:37 GMT": 1976} {
		if got, ok := ParseDate(text, now); !ok || got.Year() != year {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	// RFC 9111, section 4.2: the nearest time that is not later.
	if got, ok := ParseDate("Sat, 31 Dec 2016 23:59:60 GMT", now); !ok || got.Second() != 59 || got.Year() != 2016 {
		t.Errorf("a leap second is %v %v", got, ok)
	}
}
