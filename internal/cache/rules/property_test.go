package rules

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/stored"
)

// directive draws a directive, well made or not.
func directive(t *rapid.T) string {
	return rapid.SampledFrom([]string{
		"max-age=60", "max-age=0", "max-age=x", `max-age="5"`, "s-maxage=9", "s-maxage=", "public", "must-revalidate", "proxy-revalidate", "immutable", "no-cache", `no-cache="x-a"`,
		`private="x-b"`, "stale-while-revalidate=5", "stale-if-error=9", "no-transform", "x=y", `x="private, no-store`, `x="no-store"`, "", " ", "=", `"`, "max-stale", "min-fresh=5", "only-if-cached",
	}).Draw(t, "directive")
}

// drawn draws a response whose Cache-Control has some directives, among others.
func drawn(t *rapid.T, with ...string) ask {
	list := rapid.SliceOfN(rapid.Custom(directive), 0, 5).Draw(t, "directives")
	// What comes after a string that is not closed is in it.
	list = append(with, list...)
	h := []string{"Cache-Control", strings.Join(list, ", ")}
	for _, other := range [][]string{
		{"Expires", at(time.Hour)},
		{"Expires", "0"},
		{"Age", "5"},
		{"Age", "x"},
		{"Age", "99999999999999999999"},
		{"Date", at(-time.Minute)},
		{"Date", at(time.Hour)},
		{"Etag", `"a"`},
		{"Last-Modified", at(-time.Hour)},
		{"Vary", "Accept"},
		{"Vary", "*"},
		{"Pragma", "x"},
		{"Set-Cookie", "a=b"},
	} {
		if rapid.Bool().Draw(t, other[0]) {
			h = append(h, other...)
		}
	}
	s := Settings{
		Override: rapid.Bool().Draw(t, "override"), Heuristic: rapid.Float64Range(0, 2).Draw(t, "heuristic"), StripCookies: rapid.Bool().Draw(t, "strip"),
		Grace: time.Minute, WhileRevalidate: time.Minute, MaxTTL: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "longest"),
	}
	if rapid.Bool().Draw(t, "ttl") {
		s.TTL = minute
	}
	return ask{
		settings: s, response: h, authorized: rapid.Bool().Draw(t, "authorized"), status: rapid.IntRange(100, 700).Draw(t, "status"),
		delay: time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "delay")),
	}
}

func TestForbiddenIsNeverStored(t *testing.T) {
	for _, word := range []string{"no-store", "NO-store", "private", "no-store=0", `private="a b"`} {
		rapid.Check(t, func(t *rapid.T) {
			a := drawn(t, word)
			if terms, why := a.storable(); why == "" {
				t.Fatalf("%+v is stored: %+v", a, terms)
			}
		})
	}
}

func TestTermsAreSane(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawn(t)
		terms, why := a.storable()
		if why != "" {
			return
		}
		if terms.InitialAge < 0 || terms.InitialAge > MaxDelta || terms.Lifetime < 0 || terms.WhileRevalidate < 0 || terms.IfError < 0 {
			t.Fatalf("%+v: %+v", a, terms)
		}
		r := &stored.Response{Status: a.status, Terms: terms, Received: now, Requested: now, Header: stored.NewFields(Stored(&a.settings, header(a.response...), now))}
		q := ParseRequest(get("Cache-Control", strings.Join(rapid.SliceOfN(rapid.Custom(directive), 0, 4).Draw(t, "request"), ",")))
		later := now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(3*time.Hour)).Draw(t, "later")))
		use, _ := Judge(&a.settings, &q, r, later)
		served := use == Fresh || use == Stale || use == StaleWhileRevalidate
		onError := MayServeOnError(&a.settings, &q, r, later)
		f := terms.Flags
		switch {
		case r.Age(later) < 0:
			t.Fatalf("an age of %v", r.Age(later))
		case use == Fresh && r.Left(later) <= 0:
			t.Fatalf("fresh %v after its end: %+v", -r.Left(later), a)
		case f&(stored.NoCache|stored.Unkeyed) != 0 && (served || onError):
			t.Fatalf("used without validation, %v: %+v", use, a)
		case f.Has(stored.MustRevalidate) && r.Left(later) <= 0 && (served || onError):
			t.Fatalf("used stale, %v: %+v", use, a)
		case q.Control.Has(NoCache) && served:
			t.Fatalf("used for no-cache: %v", use)
		}
		var answer Answer
		h := http.Header{}
		Respond(&answer, h, "GET", &q, r, later)
		if len(h["Age"]) != 1 || strings.HasPrefix(h.Get("Age"), "-") {
			t.Fatalf("Age %q", h["Age"])
		}
	})
}

// print writes directives as they are usually written.
func (c *Control) print() string {
	var list []string
	for _, d := range directives {
		if !c.Has(d.d) {
			continue
		}
		switch age, ok := map[Directive]time.Duration{
			MaxAge: c.MaxAge, SMaxAge: c.SMaxAge, MinFresh: c.MinFresh, MaxStale: c.MaxStale, WhileRevalidate: c.WhileRevalidate, IfError: c.IfError,
		}[d.d]; {
		case ok:
			list = append(list, fmt.Sprintf("%s=%d", d.name, age/time.Second))
		default:
			list = append(list, d.name)
		}
	}
	if len(c.NoCacheFields) > 0 {
		list = append(list, `no-cache="`+strings.Join(c.NoCacheFields, ", ")+`"`)
	}
	if len(c.PrivateFields) > 0 {
		list = append(list, `private="`+strings.Join(c.PrivateFields, ", ")+`"`)
	}
	return strings.Join(list, ", ")
}

func sameControl(a, b Control) bool {
	a.Directives, b.Directives = a.Directives|present, b.Directives|present
	return a.print() == b.print() && a.Directives == b.Directives && slices.Equal(a.NoCacheFields, b.NoCacheFields) && slices.Equal(a.PrivateFields, b.PrivateFields)
}

func TestPrintedControlIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := ParseControl([]string{strings.Join(rapid.SliceOf(rapid.Custom(directive)).Draw(t, "directives"), ",")})
		if again := ParseControl([]string{c.print()}); !sameControl(c, again) {
			t.Fatalf("%+v is printed as %s, and read as %+v", c, c.print(), again)
		}
	})
}

func TestSpansNeverOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 50).Draw(t, "size")
		var specs []string
		wanted := make([]bool, size)
		for range rapid.IntRange(1, MaxRanges).Draw(t, "count") {
			first, length := rapid.Int64Range(0, 60).Draw(t, "first"), rapid.Int64Range(0, 20).Draw(t, "length")
			specs = append(specs, fmt.Sprintf("%d-%d", first, first+length))
			for i := first; i <= first+length && i < size; i++ {
				wanted[i] = true
			}
		}
		list, ok := spans([]string{"bytes=" + strings.Join(specs, ",")}, size)
		if !ok {
			t.Fatalf("%q is ignored", specs)
		}
		for _, s := range list {
			for i := s.Start; i < s.Start+s.Length; i++ {
				if !wanted[i] {
					t.Fatalf("%q of %d is %v: %d twice, or not asked for", specs, size, list, i)
				}
				wanted[i] = false
			}
		}
		if slices.Contains(wanted, true) {
			t.Fatalf("%q of %d is %v: something is missing", specs, size, list)
		}
	})
}

func TestStatusIsStructured(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Status{
			Cache: rapid.String().Draw(t, "cache"), Hit: rapid.Bool().Draw(t, "hit"), Forward: rapid.SampledFrom([]string{"", "stale", "uri-miss"}).Draw(t, "forward"),
			Answered: rapid.IntRange(0, 999).Draw(t, "answered"), HasTTL: rapid.Bool().Draw(t, "ttl"), TTL: time.Duration(rapid.Int64().Draw(t, "left")), Stored: rapid.Bool().Draw(t, "stored"),
			Collapsed: rapid.Bool().Draw(t, "collapsed"), Key: rapid.String().Draw(t, "key"), Detail: rapid.String().Draw(t, "detail"),
		}
		list, err := httpsfv.UnmarshalList([]string{s.String()})
		if err != nil || len(list) != 1 {
			t.Fatalf("%q: %v", s.String(), err)
		}
	})
}

func TestNormalFormsAreStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringOf(rapid.SampledFrom([]rune(`aB1,;q=.0 "\*`))).Draw(t, "value")
		for _, name := range []string{"Foo", "Accept-Encoding", "Accept-Language", "Cookie"} {
			once := NormalField(name, []string{value})
			if twice := NormalField(name, []string{once}); twice != once {
				t.Fatalf("%s: %q is %q, then %q", name, value, once, twice)
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringOf(rapid.SampledFrom([]rune(`ab=&%+41`))).Draw(t, "query")
		for _, n := range []*NoVarySearch{nil, {AnyOrder: true}, {All: true, Names: []string{"a"}}, {Names: []string{"b"}}} {
			once := NormalQuery(raw, n)
			if twice := NormalQuery(once, n); twice != once {
				t.Fatalf("%+v: %q is %q, then %q", n, raw, once, twice)
			}
		}
	})
}
