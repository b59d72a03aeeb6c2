package stored_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"cardea.dev/cardea/internal/stored"
)

func header() http.Header {
	return http.Header{
		"Cache-Control": {"public, max-age=300"}, "Content-Type": {"application/json"}, "Date": {"Thu, 26 Nov 2026 08:00:00 GMT"}, "Empty": {""},
		"Etag": {`"1"`}, "Last-Modified": {"Wed, 25 Nov 2026 09:10:11 GMT"}, "Link": {"</a>", "", "</b>"}, "Server": {"products/2.4"}, "Vary": {"Accept"}, "X-Last": {""},
	}
}

func TestFields(t *testing.T) {
	for _, h := range []http.Header{{}, {"X": {""}}, {"A": {"", ""}, "B": {"b"}}, {"Ab": {"c"}, "A": {"bc"}}, header()} {
		f := stored.NewFields(h)
		if got := f.Header(); !reflect.DeepEqual(got, h) {
			t.Errorf("%v became %v", h, got)
		}
		var names, values []string
		for i := range f.Len() {
			name, value := f.At(i)
			names, values = append(names, name), append(values, value)
		}
		again := stored.FieldsOf(names, values)
		clear(names)
		clear(values)
		for name, want := range h {
			for _, f := range []stored.Fields{f, again} {
				if got := f.Values(name); !slices.Equal(got, want) || cap(got) != len(got) || f.Get(name) != want[0] {
					t.Errorf("%v: %s is %q, and the first %q", h, name, got, f.Get(name))
				}
			}
		}
		if f.Get("No") != "" || f.Values("No") != nil || f.Get("") != "" {
			t.Errorf("%v: there is what is not there", h)
		}
	}
}

func BenchmarkFields(b *testing.B) {
	f := stored.NewFields(header())
	b.Run("hit", func(b *testing.B) {
		h := make(http.Header, 16)
		b.ReportAllocs()
		for b.Loop() {
			clear(h)
			f.AddTo(h)
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if f.Get("Vary") == "" {
				b.Fatal("not found")
			}
		}
	})
}
