package compress

import (
	"io"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func BenchmarkEncode(b *testing.B) {
	for _, algorithm := range []string{"gzip", "br", "zstd"} {
		b.Run(algorithm, func(b *testing.B) {
			env := filtertest.NewEnv(b, "pages")
			f := newFilter(b, env, "compress: "+algorithm)
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				ex := exchange(b, env, f, "GET", algorithm, response(200, page, "Content-Type", "text/html"))
				_, _ = io.Copy(io.Discard, ex.Response.Body)
				_ = ex.Response.Body.Close()
			}
		})
	}
}

func BenchmarkPass(b *testing.B) {
	env := filtertest.NewEnv(b, "pages")
	f := newFilter(b, env, "compress: {}")
	ex := exchange(b, env, f, "GET", "gzip, deflate, br", response(200, "", "Content-Type", "image/png"))
	ex.Request.Header.Set("Accept-Encoding", "gzip, deflate, br")
	ex.Response.ContentLength, ex.Response.Body = 1<<20, io.NopCloser(strings.NewReader(""))
	b.ReportAllocs()
	for b.Loop() {
		pass(f, ex)
	}
}

func pass(f *filter.Filter, ex *filter.Exchange) {
	_ = f.Request(ex)
	_ = f.Response(ex)
}

func TestPassingDoesNotAllocate(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: {}")
	ex := exchange(t, env, f, "GET", "", response(200, "", "Content-Type", "image/png"))
	ex.Request.Header.Set("Accept-Encoding", "gzip, deflate, br;q=0.9")
	if n := testing.AllocsPerRun(100, func() { pass(f, ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
