package expr

import (
	"net/http"
	"net/url"
	"testing"
)

// The scanners must read as net/url and net/http do, since upstreams and policies see what those read.

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a=1&b=2", "a=%20+x&a=2", "%61=x", "a=%zz&a=ok", "a;b=1&a=2", "=x", "a+b=c", "a%2Bb=c", "a%", "&&a", "a=b=c", "%C3%A9=1"} {
		f.Add(q, "a")
		f.Add(q, "a+b")
		f.Add(q, "a b")
		f.Add(q, "é")
	}
	f.Fuzz(func(t *testing.T, query, name string) {
		want, _ := url.ParseQuery(query)
		got, ok := findQuery(query, name)
		if name == "" {
			return
		}
		if has := len(want[name]) > 0; has != ok || has && want[name][0] != got {
			t.Fatalf("%q in %q: got %q, %v; net/url has %q", name, query, got, ok, want[name])
		}
	})
}

func FuzzCookie(f *testing.F) {
	for _, line := range []string{"a=1; b=2", `a="x y"; a=2`, `a="x;a=3`, "a", "a=; a=2", " a = 1 ", "a=é;a=2", "a=\"", "b=1;;a=2", "\ta=1\t"} {
		f.Add(line, "a")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		r := &http.Request{Header: http.Header{"Cookie": {line, "a=last"}}}
		cookie, err := r.Cookie(name)
		if name == "" || !isName(name, "-._") {
			return
		}
		got, ok := findCookie(r.Header, name)
		if ok != (err == nil) || ok && cookie.Value != got {
			t.Fatalf("%q in %q: got %q, %v; net/http has %v", name, line, got, ok, cookie)
		}
	})
}
