package rules

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzParseControl(f *testing.F) {
	for _, text := range []string{"max-age=60, public", `private="a, b", no-cache`, `x="no-store`, "max-age=99999999999999999999", `no-cache="\"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := ParseControl([]string{text})
		for _, d := range []time.Duration{c.MaxAge, c.SMaxAge, c.MinFresh, c.MaxStale, c.WhileRevalidate, c.IfError} {
			if d < 0 || d > MaxDelta {
				t.Fatalf("%q: %v", text, d)
			}
		}
		if again := ParseControl([]string{c.print()}); !sameControl(c, again) {
			t.Fatalf("%q: %+v, printed and read: %+v", text, c, again)
		}
		if strings.Contains(text, `"`) {
			return
		}
		for _, member := range strings.Split(strings.ToLower(text), ",") {
			if strings.Trim(member, " \t") == "no-store" && !c.Has(NoStore) {
				t.Fatalf("%q: no-store is overlooked", text)
			}
		}
	})
}

func FuzzRange(f *testing.F) {
	for _, text := range []string{"bytes=0-1", "bytes=-5,3-", "bytes=0-0,0-0,0-0", "bytes=9-5", "x=1", "bytes=99999999999999999999-"} {
		f.Add(text, int64(20))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size <= 0 {
			return
		}
		list, _ := spans([]string{text}, size)
		sum := int64(0)
		for _, s := range list {
			if s.Start < 0 || s.Length <= 0 || s.Length > size || s.Start > size-s.Length {
				t.Fatalf("%q of %d: %v", text, size, list)
			}
			if sum += s.Length; sum > size {
				t.Fatalf("%q of %d: %v is more than all", text, size, list)
			}
		}
	})
}

func FuzzVary(f *testing.F) {
	for _, text := range []string{"Accept, cookie", "*", "a b", ",,"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		names, all := VaryNames(http.Header{"Vary": {text}})
		if all && names != nil || strings.Contains(text, "*") && len(names) > 0 && slices.Contains(names, "*") || !slices.IsSorted(names) {
			t.Fatalf("%q: %q %v", text, names, all)
		}
		for _, name := range names {
			once := NormalField(name, []string{text})
			if NormalField(name, []string{once}) != once {
				t.Fatalf("%s: %q is not normal", name, once)
			}
		}
	})
}

func FuzzStructured(f *testing.F) {
	for _, text := range []string{"max-age=60", `params=("a" "b"), key-order`, "params, except=()", "a=:=:", "a=@1", `a=%"x"`, "no-store=?0"} {
		f.Add(text, "a=1&b=2")
	}
	f.Fuzz(func(t *testing.T, text, query string) {
		c, ok := ParseTargeted([]string{text})
		if c.MaxAge < 0 || c.MaxAge > MaxDelta || !ok && c.Directives != 0 {
			t.Fatalf("%q: %+v", text, c)
		}
		n := ParseNoVarySearch([]string{text})
		once := NormalQuery(query, n)
		if NormalQuery(once, n) != once {
			t.Fatalf("%q: %q is not normal", text, once)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, text := range []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "0", "Sun, 29 Feb 1900 00:00:60 gmt"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := ParseDate(text, now)
		if !ok {
			return
		}
		if again, ok := ParseDate(at.Format(http.TimeFormat), now); !ok || !again.Equal(at) {
			t.Fatalf("%q: %v, printed and read: %v", text, at, again)
		}
		// Where the standard library reads the same form, it reads the same time.
		if other, err := time.Parse(http.TimeFormat, text); err == nil && !other.Equal(at) {
			t.Fatalf("%q: %v, not %v", text, at, other)
		}
	})
}

func FuzzNoneMatch(f *testing.F) {
	for _, text := range []string{`"a"`, `W/"a", "b"`, "*", `"a,b`, `W/`, `",",`} {
		f.Add(text, `"a"`)
	}
	f.Fuzz(func(t *testing.T, text, tag string) {
		if trim(tag) != tag || strings.Contains(opaque(tag), `"`) {
			return
		}
		quoted := `"` + strings.TrimPrefix(tag, "W/") + `"`
		if !noneMatch([]string{`"` + strings.ReplaceAll(text, `"`, "") + `", W/` + quoted}, quoted) {
			t.Fatalf("%q is not found after %q", quoted, text)
		}
		if text != "" && trim(text) != "*" && noneMatch([]string{text}, quoted) && !strings.Contains(text, quoted) {
			t.Fatalf("%q is found in %q", quoted, text)
		}
	})
}
