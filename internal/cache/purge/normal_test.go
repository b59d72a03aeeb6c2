package purge

import (
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

func TestNormal(t *testing.T) {
	for text, want := range map[string]string{
		"https://host/path?q=1":                 "https://host/path?q=1",
		"HTTPS://Example.COM:443/A/../b/./%7ec": "https://example.com/b/~c",
		"http://h:80":                           "http://h/",
		"http://h:8080//a//b":                   "http://h:8080/a/b",
		"https://h/a?":                          "https://h/a?",
		"https://h/a?b=%2f#part":                "https://h/a?b=%2f",
		"https://h./a b":                        "https://h/a%20b",
		"https://bücher.example/ü":              "https://xn--bcher-kva.example/%C3%BC",
		"https://[::1]:443/":                    "https://[::1]/",
		"https://h/a%5Cb":                       "https://h/a%5Cb",
	} {
		got, err := Normal(text)
		if err != nil || got != want {
			t.Errorf("Normal(%q) is %q, %v; expected %q", text, got, err, want)
		}
		if again, err := Normal(got); err != nil || again != got {
			t.Errorf("Normal(%q) is %q, %v: it is normal already", got, again, err)
		}
	}
	for text, want := range map[string]string{
		"":                    "no whole URL",
		"/path":               "no whole URL",
		"host/path":           "no whole URL",
		"ftp://host/":         "no whole URL",
		"https:///path":       "no host",
		"https://u:pw@host/":  "a user before its host",
		"https://host/%zz":    "invalid URL escape",
		"https://host/%00":    "control character",
		"https://host/?a=b c": "must be escaped",
		"https://ho st/":      "no URL",
	} {
		if got, err := Normal(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Normal(%q) is %q, %v; expected an error with %q", text, got, err, want)
		} else if strings.Contains(err.Error(), "pw") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
}

func TestNormalPrefix(t *testing.T) {
	for text, want := range map[string]string{
		"https://Host":          "https://host/",
		"https://host/pa":       "https://host/pa",
		"https://host/a/../b":   "https://host/b",
		"https://host/a/.":      "https://host/a/.",
		"https://host/a/b?":     "https://host/a/b?",
		"https://host/?lang=":   "https://host/?lang=",
		"https://host:443/x//y": "https://host/x/y",
	} {
		if got, err := NormalPrefix(text); err != nil || got != want {
			t.Errorf("NormalPrefix(%q) is %q, %v; expected %q", text, got, err, want)
		}
	}
	if _, err := NormalPrefix("https://host/%4"); err == nil {
		t.Error("half an escape is a prefix")
	}
}

// A purge holds for all ways in which a gateway may be configured to write the URL, for either scheme, and where the port is not known.
func TestPurgesKnowAllForms(t *testing.T) {
	for _, c := range []struct {
		p      filter.Purge
		stored string
		want   State
	}{
		{filter.Purge{URL: "https://H:443/a//b"}, "https://h/a/b", Purged},
		{filter.Purge{URL: "https://h/a//b"}, "https://h/a//b", Purged},
		{filter.Purge{URL: "https://h/a%2fb"}, "https://h/a%2Fb", Purged},
		{filter.Purge{URL: "https://h/a%2fb"}, "https://h/a/b", Purged},
		{filter.Purge{URL: "https://h/a"}, "http://h/a", Purged},
		{filter.Purge{URL: "http://h:8080/a"}, "http://h/a", Purged},
		{filter.Purge{URL: "http://h:8080/a"}, "http://h:8080/a", Purged},
		{filter.Purge{URL: "https://h/a"}, "https://h/a?q=1", Valid},
		{filter.Purge{URL: "https://h/a"}, "https://h/a/", Valid},
		{filter.Purge{URL: "https://h/a"}, "https://h/a?", Valid},
		{filter.Purge{URL: "https://h/a?"}, "https://h/a?", Purged},
		{filter.Purge{URL: "https://h/a?"}, "https://h/a", Valid},
		{filter.Purge{URL: "https://h/a?q=?"}, "https://h/a?q=?", Purged},
		{filter.Purge{URL: "https://h/a?q="}, "https://h/a?q=?", Valid},
		{filter.Purge{Prefix: "https://h/a?"}, "https://h/a?", Purged},
		{filter.Purge{Prefix: "https://h"}, "https://h/a?q=1", Purged},
		{filter.Purge{Prefix: "https://h"}, "https://hh/a?q=1", Valid},
		{filter.Purge{Prefix: "https://h/a//b"}, "https://h/a//bc", Purged},
		{filter.Purge{Prefix: "https://h/a?"}, "https://h/a", Valid},
		{filter.Purge{URL: "odd"}, "odd", Purged},
		{filter.Purge{All: true}, "https://h/", Purged},
		{filter.Purge{Tag: "a"}, "https://h/", Valid},
		{filter.Purge{}, "https://h/", Valid},
	} {
		m := New()
		m.Add(c.p)
		if got := m.Check(&stored.Response{URL: c.stored}); got != c.want {
			t.Errorf("after %+v, %s is %v; expected %v", c.p, c.stored, got, c.want)
		}
		if got := Matches(c.p)(&stored.Response{URL: c.stored, Seq: 9}); got != (c.want == Purged) {
			t.Errorf("%+v is for %s: %v", c.p, c.stored, got)
		}
	}
}

// A purge of a URL is one of all responses on its path for which parts of the query make no difference.
func TestPurgesOfAnyQuery(t *testing.T) {
	for _, c := range []struct {
		purged, stored string
		want           State
	}{
		{"https://h/a?q=1", "https://h/a?q=2", Purged},
		{"https://h/a?q=1", "https://h/a", Purged},
		{"https://h/a", "https://h/a?q=2", Purged},
		{"https://h/a?", "https://h/a?q=2", Purged},
		{"http://h:80/b//a?q=1", "https://h/b/a?x", Purged},
		{"https://h/a?q=1", "https://h/ab?q=1", Valid},
		{"https://h/a?q=1", "https://h/a/?q=1", Valid},
		{"https://h/a/b?q=1", "https://h/a?q=1", Valid},
		{"https://i/a?q=1", "https://h/a?q=1", Valid},
	} {
		for _, soft := range []bool{false, true} {
			m, p := New(), filter.Purge{URL: c.purged, Soft: soft}
			m.Add(p)
			r := &stored.Response{URL: c.stored, Terms: stored.Terms{Flags: stored.NoVarySearch}}
			want := c.want
			if soft && want == Purged {
				want = Soft
			}
			if got := m.Check(r); got != want {
				t.Errorf("after %+v, %s is %v; expected %v", p, c.stored, got, want)
			}
			if got := Matches(p)(r); got != (c.want == Purged) {
				t.Errorf("%+v is for %s: %v", p, c.stored, got)
			}
			if got := m.Latest(c.stored) > 0; got != (want == Purged) {
				t.Errorf("after %+v, %s was purged: %v", p, c.stored, got)
			}
			if n := testing.AllocsPerRun(100, func() { m.Check(r) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		}
	}
}

func FuzzNormal(f *testing.F) {
	for _, seed := range []string{"https://host/path?q", "http://[::1]:80/../%2F", "https://bücher.example/a;b/..;/", "https://h/.?", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if prefix, err := NormalPrefix(text); err == nil {
			if again, err := NormalPrefix(prefix); err != nil || again != prefix {
				t.Errorf("NormalPrefix(%q) is %q, and of that %q, %v", text, prefix, again, err)
			}
		}
		normal, err := Normal(text)
		if err != nil {
			return
		}
		if again, err := Normal(normal); err != nil || again != normal {
			t.Errorf("Normal(%q) is %q, and of that %q, %v", text, normal, again, err)
		}
		for _, p := range []filter.Purge{{URL: text}, {Prefix: normal}} {
			m := New()
			m.Add(p)
			if m.Check(&stored.Response{URL: normal}) != Purged {
				t.Errorf("%q is not purged by %+v", normal, p)
			}
		}
	})
}
