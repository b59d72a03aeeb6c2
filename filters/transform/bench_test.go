package transform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text).Field("transform"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// items is a document of about so many bytes.
func items(size int) []byte {
	var b strings.Builder
	b.WriteString(`{"internal":{"host":"10.0.0.1"},"items":[`)
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"sku":"a-%d","name":"a thing of some kind","price":%d.50,"cost":1.25}`, i, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

type body struct{ bytes.Reader }

func (*body) Close() error { return nil }

// bench sends a response through a policy.
func bench(b *testing.B, text string, in []byte, length int64) {
	env := filtertest.NewEnv(b, "items")
	f := newFilter(b, env, text)
	ex := &filter.Exchange{Original: filter.Original{Method: "GET"}}
	buf := make([]byte, 32<<10)
	src := &body{}
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset(in)
		ex.Request = (&http.Request{Method: "GET", Header: http.Header{"Accept": {"*/*"}}}).WithContext(context.Background())
		ex.Prepare(env.Slots())
		ex.Response = &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: src, ContentLength: length}
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
		if err := f.Response(ex); err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{ex.Response.Body}, buf); err != nil {
			b.Fatal(err)
		}
		_ = ex.Response.Body.Close()
	}
}

func BenchmarkDrop(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1<<20 - 100} {
		in := items(size)
		b.Run(name+"/held", func(b *testing.B) {
			bench(b, `transform: {response: {drop: [internal, "items[].cost"]}}`, in, int64(len(in)))
		})
		b.Run(name+"/streamed", func(b *testing.B) { bench(b, `transform: {response: {drop: [internal, "items[].cost"]}}`, in, -1) })
	}
}

func BenchmarkJQ(b *testing.B) {
	in := items(1 << 10)
	bench(b, `transform: {response: '[.items[] | {sku, price}]'}`, in, int64(len(in)))
}

func BenchmarkCSV(b *testing.B) {
	in := items(1<<20 - 100)
	bench(b, `transform: {response: {select: items, to: csv}}`, in, -1)
}

func BenchmarkXML(b *testing.B) {
	in := []byte(`<items>` + strings.Repeat(`<item id="1"><sku>a</sku><price>1.50</price></item>`, 20) + `</items>`)
	ex := `transform: {response: {from: xml, types: [application/json]}}`
	bench(b, ex, in, int64(len(in)))
}

// TestNothingIsDoneWhereNothingIsMeant: no allocation where `when` says no.
func TestNothingIsDoneWhereNothingIsMeant(t *testing.T) {
	env := filtertest.NewEnv(t, "items")
	f := newFilter(t, env, `transform: {request: {drop: [a]}, response: {drop: [a], when: 'method == "POST"'}}`)
	ex := &filter.Exchange{Original: filter.Original{Method: "GET"}, Route: env.Route}
	ex.Request, _ = http.NewRequest("GET", "http://example.com/", http.NoBody)
	ex.Response = &http.Response{StatusCode: 200, Header: http.Header{}}
	ex.Prepare(env.Slots())
	if n := testing.AllocsPerRun(100, func() {
		if f.Request(ex) != nil || f.Response(ex) != nil {
			t.Fatal("refused")
		}
	}); n > 1 { // CEL's own
		t.Errorf("%v allocations", n)
	}
	if len(ex.Request.Header) > 0 {
		t.Errorf("the request has %v", ex.Request.Header)
	}
}
