package rules

import (
	"slices"
	"strings"
	"testing"
)

func TestVaryNames(t *testing.T) {
	for _, c := range []struct {
		lines []string
		names []string
		all   bool
	}{
		{nil, nil, false},
		{[]string{""}, nil, false},
		{[]string{"accept-ENCODING"}, []string{"Accept-Encoding"}, false},
		{[]string{" b ,, a,B", "a"}, []string{"A", "B"}, false},
		{[]string{"*"}, nil, true},
		{[]string{"a", "b, *"}, nil, true},
		{[]string{"a b"}, nil, true},
		{[]string{`"a"`}, nil, true},
	} {
		h := header()
		h["Vary"] = c.lines
		if names, all := VaryNames(h); !slices.Equal(names, c.names) || all != c.all {
			t.Errorf("%q: %q %v", c.lines, names, all)
		}
	}
}

func TestDiffer(t *testing.T) {
	for _, c := range []struct {
		fields []string
		want   string
		all    bool
	}{
		{nil, "", false},
		{[]string{"Content-Encoding", "gzip"}, "Accept-Encoding", false},
		{[]string{"Content-Encoding", "identity, "}, "", false},
		{[]string{"Content-Encoding", "identity, br", "Vary", "Origin, Accept"}, "Accept Accept-Encoding Origin", false},
		{[]string{"Content-Encoding", "gzip", "Vary", "accept-encoding"}, "Accept-Encoding", false},
		{[]string{"Content-Encoding", "gzip", "Vary", "*"}, "", true},
	} {
		if names, all := Differ(header(c.fields...)); strings.Join(names, " ") != c.want || all != c.all {
			t.Errorf("%v: %v %t", c.fields, names, all)
		}
	}
}

func TestNormalField(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []string
		same bool
	}{
		{"Foo", []string{"1", "2"}, []string{"1, 2"}, true},
		{"Foo", []string{"1,2"}, []string{" 1 ,\t2 "}, true},
		{"Foo", []string{"1, 2"}, []string{"2, 1"}, false},
		{"Foo", []string{"a"}, []string{"A"}, false},
		{"Foo", []string{`"a, b"`}, []string{`"a,b"`}, false},
		{"Foo", nil, []string{""}, false},
		{"Foo", []string{""}, []string{"  "}, true},
		{"Foo", []string{"1"}, []string{""}, false},
		{"Cookie", []string{"a=1,b"}, []string{"a=1, b"}, false},
		{"User-Agent", []string{"(a, b)"}, []string{"(a,b)"}, false},
		{"Accept-Encoding", []string{"gzip, br"}, []string{"BR;q=1,gzip ; q=1.000"}, true},
		{"Accept-Encoding", []string{"x-gzip"}, []string{"gzip"}, true},
		{"Accept-Encoding", []string{"gzip, gzip"}, []string{"gzip"}, true},
		{"Accept-Encoding", []string{"gzip;q=0.5, br"}, []string{"br, gzip;q=0.50"}, true},
		{"Accept-Encoding", []string{"gzip;q=0.5"}, []string{"gzip;q=0.05"}, false},
		{"Accept-Encoding", []string{"gzip;q=0"}, []string{"gzip"}, false},
		{"Accept-Encoding", []string{"gzip"}, []string{"br"}, false},
		{"Accept-Encoding", nil, []string{""}, false},
		{"Accept-Encoding", []string{"gzip;q=2"}, []string{"gzip"}, false},
		{"Accept-Encoding", []string{"gzip;q=1..0"}, []string{"gzip"}, false},
		{"Accept-Encoding", []string{"gzip;level=1"}, []string{"gzip"}, false},
		{"Accept-Language", []string{"en-GB, de;q=0.5"}, []string{"de;q=0.5,EN-gb"}, true},
		// Servers may prefer the first of those that weigh the same.
		{"Accept-Language", []string{"en, de"}, []string{"de, en"}, false},
	} {
		a, b := NormalField(c.name, c.a), NormalField(c.name, c.b)
		if (a == b) != c.same {
			t.Errorf("%s: %q is %q, %q is %q", c.name, c.a, a, c.b, b)
		}
	}
}

func TestNormalQuery(t *testing.T) {
	for _, c := range []struct {
		field string
		a, b  string
		same  bool
	}{
		{"", "a=1&b=2", "b=2&a=1", false},
		{"", "a", "a=", false},
		{"key-order", "a=1&b=2", "b=2&a=1", true},
		{"key-order", "a=1&a=2", "a=2&a=1", false},
		{"key-order=?0", "a=1&b=2", "b=2&a=1", false},
		{"params", "a=1", "b=9", true},
		{"params", "a=1", "", true},
		{"params=?0", "a=1", "a=2", false},
		{`params=("utm")`, "a=1&utm=x", "a=1", true},
		{`params=("utm")`, "utm=x&a=1", "a=2", false},
		{`params=("a b" "ü")`, "a+b=1&c=2", "c=2", false}, // no strings of structured fields
		{`params=("a b" "%C3%BC")`, "a%20b=1&c=2&%c3%bc=3", "c=2", true},
		{`params=("a+b")`, "a+b=1&c=2", "c=2", true},
		{`params, except=("id")`, "id=1&x=2", "id=1", true},
		{`params, except=("id")`, "id=1", "id=2", false},
		{`except=("id")`, "id=1&x=2", "id=1", false},
		{`params=("x"), except=("id")`, "id=1&x=2", "id=1", false},
		{`params, key-order`, "b=1&a=2", "", true},
		{`params=1`, "a=1", "a=2", false},
		{`params=("a" 1)`, "a=1", "a=2", false},
		{`params=("a"`, "a=1", "a=2", false},
		{`params=("a"), key-order=1`, "a=1", "a=2", false},
		{`params="a"`, "a=1", "a=2", false},
		{`params=("a")`, "b=%41", "b=A", true},
		{`params=("a")`, "b=%4", "b=%254", true},
		{`params=("a")`, "b=1&&", "b=1", true},
		{`params=("a")`, "b=1%26c=2", "b=1&c=2", false},
	} {
		var n *NoVarySearch
		if c.field != "" {
			n = ParseNoVarySearch([]string{c.field})
		}
		if a, b := NormalQuery(c.a, n), NormalQuery(c.b, n); (a == b) != c.same {
			t.Errorf("%s: %q is %q, %q is %q", c.field, c.a, a, c.b, b)
		}
	}
}
