package router

import (
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for path, want := range map[string]string{
		"":                   "/",
		"/":                  "/",
		"/a/b":               "/a/b",
		"/a/b/":              "/a/b/",
		"/.well-known/x":     "/.well-known/x",
		"/..a/...":           "/..a/...",
		"/%41%7e":            "/A~",
		"/%c3%a9":            "/%C3%A9",
		"/é":                 "/%C3%A9",
		"/a b\"<>^`{|}[]":    "/a%20b%22%3C%3E%5E%60%7B%7C%7D%5B%5D",
		"/a%2fb":             "/a%2Fb",
		"/a%21!":             "/a%21!",
		"/%2525":             "/%2525",
		"/a/./b":             "/a/b",
		"/a/../b":            "/b",
		"/a/%2e%2E/b":        "/b",
		"/a/b/..":            "/a/",
		"/a/.":               "/a/",
		"/.":                 "/",
		"/..":                "/",
		"/../../a":           "/a",
		"//a///b//":          "/a/b/",
		"/a//../b":           "/b",
		"/a;v=1/b;c":         "/a;v=1/b;c",
		"/a%3bb":             "/a%3Bb",
		"/group%2Fproject/x": "/group%2Fproject/x",
	} {
		got, changed, err := Normalize(path)
		if got != want || changed != (path != want) || err != nil {
			t.Errorf("%q: got %q, %v, %v, want %q", path, got, changed, err, want)
		}
	}
}

func TestNormalizeErrors(t *testing.T) {
	for path, want := range map[string]error{
		"*": errStart, "a/b": errStart,
		"/%": errEscape, "/%4": errEscape, "/%zz": errEscape, "/%4g": errEscape,
		"/a%00": errControl, "/%0a": errControl, "/%7f": errControl, "/a\x00": errControl, "/a\n": errControl,
		"/a\\b": errBackslash, "/a%5cb": errBackslash,
		"/a?b": errDelimiter, "/a#b": errDelimiter,
		"/%c0%ae": errOverlong, "/%c1%9c": errOverlong,
		"/a/..%2fadmin": errHidden, "/%2e%2e%2fb": errHidden, "/a%2f..": errHidden, "/a%2F.": errHidden,
		"/a/..;/b": errHidden, "/..;x": errHidden, "/.;/b": errHidden, "/..%3b/b": errHidden,
	} {
		if got, _, err := Normalize(path); err != want {
			t.Errorf("%q: got %q, %v, want error %v", path, got, err, want)
		}
	}
}

func TestNormalizeOptions(t *testing.T) {
	for _, c := range []struct {
		options    Options
		path, want string
		err        error
	}{
		{Options{}, "//a//b/", "//a//b/", nil},
		{Options{}, "/a//../b", "/a/b", nil},
		{Options{}, "/a/..//b", "//b", nil},
		{Options{}, "/a%5cb", "/a%5Cb", nil},
		{Options{}, "/a%5c..", "", errHidden},
		{Options{EncodedSlash: Decode}, "/a%2fb", "/a/b", nil},
		{Options{EncodedSlash: Decode}, "/a/..%2fb", "/b", nil},
		{Options{EncodedSlash: Decode, MergeSlashes: true}, "/a%2f%2Fb%2f", "/a/b/", nil},
		{Options{EncodedSlash: Reject}, "/a%2Fb", "", errSlash},
		{Options{Semicolon: Reject}, "/a;b", "", errSemicolon},
		{Options{Semicolon: Reject}, "/a%3Bb", "", errSemicolon},
	} {
		got, _, err := c.options.Normalize(c.path)
		if got != c.want || err != c.err {
			t.Errorf("%+v %q: got %q, %v, want %q, %v", c.options, c.path, got, err, c.want, c.err)
		}
	}
}

func TestNormalizeAllocatesNothing(t *testing.T) {
	for _, path := range []string{"/", "/users/42/orders", "/caf%C3%A9/.x/a;b=c", "/group%2Fproject"} {
		if n := testing.AllocsPerRun(100, func() { Normalize(path) }); n != 0 {
			t.Errorf("%q: %v allocations", path, n)
		}
	}
}

func TestNormalizeHost(t *testing.T) {
	for host, want := range map[string]string{
		"": "", "a.example": "a.example", "A.Example:8080": "a.example", "a.example.": "a.example", "a.example.:80": "a.example",
		"[::1]:80": "[::1]", "[::1]": "[::1]", "10.0.0.1:1": "10.0.0.1",
	} {
		if got := NormalizeHost(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { NormalizeHost("api.example.com:8080") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"", "/", "/a/../b", "//a//%2e%2e//", "/%2F..;/%5c", "/é%c3", "/%25%32%65", "/a;.%2F", "/..;%2f//"} {
		for bits := range uint8(16) {
			f.Add(seed, bits)
		}
	}
	f.Fuzz(func(t *testing.T, path string, bits uint8) {
		o := Options{
			MergeSlashes:     bits&1 != 0,
			EncodedSlash:     []Escape{Keep, Decode, Reject, Keep}[bits>>1&3],
			EncodedBackslash: []Escape{Keep, Reject}[bits>>3&1],
			Semicolon:        []Escape{Keep, Reject}[bits>>4&1],
		}
		normal, changed, err := o.Normalize(path)
		if err != nil {
			if _, ok := err.(PathError); !ok {
				t.Fatalf("%q: error of another kind: %v", path, err)
			}
			return
		}
		if changed != (normal != path) {
			t.Fatalf("%q: changed is %v for %q", path, changed, normal)
		}
		if again, changed, err := o.Normalize(normal); again != normal || changed || err != nil {
			t.Fatalf("%q: %q is not normal: %q, %v", path, normal, again, err)
		}
		if normal[0] != '/' {
			t.Fatalf("%q: %q does not start with a slash", path, normal)
		}
		for _, segment := range strings.Split(normal[1:], "/") {
			for _, piece := range strings.FieldsFunc(unescape(segment), func(c rune) bool { return c == '/' || c == '\\' || c == ';' }) {
				if piece == "." || piece == ".." {
					t.Fatalf("%q: %q has dot segments", path, normal)
				}
			}
		}
		if o.MergeSlashes && strings.Contains(normal, "//") {
			t.Fatalf("%q: %q has two slashes", path, normal)
		}
		for i := range len(normal) {
			if c := normal[i]; c != '%' && !isPathChar(c) {
				t.Fatalf("%q: %q has %q", path, normal, c)
			}
		}
	})
}
