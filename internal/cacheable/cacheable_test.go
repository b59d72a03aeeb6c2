package cacheable_test

import (
	"net/http"
	"reflect"
	"testing"

	"cardea.dev/cardea/internal/cacheable"
)

func TestVary(t *testing.T) {
	for _, test := range []struct{ have, names, want []string }{
		{nil, nil, nil},
		{nil, []string{"Accept"}, []string{"Accept"}},
		{[]string{"Origin"}, []string{"Accept", "Cookie"}, []string{"Origin", "Accept", "Cookie"}},
		{[]string{"origin , accept"}, []string{"Accept"}, []string{"origin , accept"}},
		{[]string{"Origin", "*"}, []string{"Accept"}, []string{"Origin", "*"}},
		{[]string{"X-Accept"}, []string{"Accept"}, []string{"X-Accept", "Accept"}},
	} {
		h := http.Header{}
		if test.have != nil {
			h["Vary"] = test.have
		}
		if cacheable.Vary(h, test.names...); !reflect.DeepEqual(h["Vary"], test.want) {
			t.Errorf("%q and %q: %q", test.have, test.names, h["Vary"])
		}
	}
}

// TestVaryKeepsWhatIsShared: fields that are set from one slice do not write into each other.
func TestVaryKeepsWhatIsShared(t *testing.T) {
	shared := make([]string, 1, 4)
	shared[0] = "Origin"
	one, other := http.Header{}, http.Header{}
	cacheable.Vary(one, shared...)
	cacheable.Vary(other, shared...)
	cacheable.Vary(one, "Accept")
	cacheable.Vary(other, "Cookie")
	if one["Vary"][1] != "Accept" || other["Vary"][1] != "Cookie" {
		t.Errorf("%q, %q", one["Vary"], other["Vary"])
	}
}

func TestNoStore(t *testing.T) {
	h := http.Header{"Cache-Control": {"max-age=9"}, "My-Cache-Control": {"max-age=9"}, "Surrogate-Control": {"max-age=9"}, "Expires": {"0"}, "Pragma": {"x"}, "Age": {"1"}}
	if cacheable.NoStore(h); !reflect.DeepEqual(h, http.Header{"Cache-Control": {"no-store"}, "Age": {"1"}}) {
		t.Errorf("%v", h)
	}
}

func TestPrivate(t *testing.T) {
	for _, test := range []struct {
		have []string
		want string
	}{
		{nil, "private"},
		{[]string{"max-age=60"}, "private, max-age=60"},
		{[]string{"public, S-MaxAge=5, max-age=60", "must-revalidate"}, "private, max-age=60, must-revalidate"},
		{[]string{`private="x, y", no-store`}, "private, no-store"},
		{[]string{`no-cache="a, \"b", ,public =1`}, `private, no-cache="a, \"b"`},
		{[]string{`ext="open\`}, `private, ext="open\`},
	} {
		h := http.Header{"Cdn-Cache-Control": {"max-age=9"}, "My-Cache-Control": {"max-age=9"}, "Surrogate-Control": {"max-age=9"}, "Age": {"1"}}
		if test.have != nil {
			h["Cache-Control"] = test.have
		}
		if cacheable.Private(h); !reflect.DeepEqual(h, http.Header{"Cache-Control": {test.want}, "Age": {"1"}}) {
			t.Errorf("%q: %v", test.have, h)
		}
	}
}
