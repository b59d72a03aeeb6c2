package place_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/place"
)

func TestPlaces(t *testing.T) {
	for _, test := range []struct {
		at, target, field string // what is looked at; the field is "Name: value"
		value             string
		many              bool
		left              string // target and cookies afterwards
	}{
		{"header.x-key", "/", "X-Key: k", "k", false, "/ "},
		{"header.x-key", "/", "X-Key:  ", "", false, "/ "},
		{"header.x-key", "/", "", "", false, "/ "},
		{"query.key", "/?a=1&key=k&b=%20", "", "k", false, "/?a=1&b=%20 "},
		{"query.key", "/?%6bey=%6b", "", "k", false, "/ "},
		{"query.key", "/?key=k&key=l", "", "l", true, "/ "},
		{"query.key", "/?key=&key=l", "", "l", false, "/ "},
		{"query.key", "/?key=%zz", "", "%zz", false, "/ "},
		{"query.key", "/?keys=1", "", "", false, "/?keys=1 "},
		{"cookie.k", "/", "Cookie: a=1; k=2;b=3", "2", false, "/ a=1; b=3"},
		{"cookie.k", "/", "Cookie: k=2", "2", false, "/ "},
		{"cookie.k", "/", "Cookie: k=2; k=3", "3", true, "/ "},
		{"cookie.k", "/", "Cookie: kk=2", "", false, "/ kk=2"},
	} {
		p, err := place.Parse(test.at)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", test.target, nil)
		if name, value, ok := strings.Cut(test.field, ": "); ok {
			r.Header.Add(name, value)
		}
		value, many := p.Find(r)
		p.Remove(r)
		if left := r.URL.String() + " " + r.Header.Get("Cookie"); value != test.value || many != test.many || left != test.left {
			t.Errorf("%s in %s %s: %q, several %v, left %q", test.at, test.target, test.field, value, many, left)
		}
		if r.Header.Get("X-Key") != "" || p.String() != test.at {
			t.Errorf("%s: a field is left", &p)
		}
	}
	for _, text := range []string{"", "x-key", "header.", "body.x", "query.a b", "cookie.a=b", "header.a;b"} {
		if _, err := place.Parse(text); err == nil {
			t.Errorf("%q is a place", text)
		}
	}
}
