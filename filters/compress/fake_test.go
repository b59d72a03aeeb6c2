package compress

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func newFilter(t testing.TB, env *filter.Env, text string) *filter.Filter {
	t.Helper()
	f, err := Kind().Build(env, filtertest.Parse(t, text).Field("compress"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// exchange is a request with what a client accepts, and a response to it.
func exchange(t testing.TB, env *filter.Env, f *filter.Filter, method, accept string, resp *http.Response) *filter.Exchange {
	t.Helper()
	r, _ := http.NewRequest(method, "http://example.com/", nil)
	if accept != "" {
		r.Header.Set("Accept-Encoding", accept)
	}
	ex := &filter.Exchange{Request: r, Route: env.Route, Original: filter.Original{Method: method}}
	ex.Prepare(env.Slots())
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	r.Header.Del("Accept-Encoding") // a later policy may do so
	ex.Response = resp
	if err := f.Response(ex); err != nil {
		t.Fatal(err)
	}
	return ex
}

// response is one with a body of known length.
func response(status int, body string, fields ...string) *http.Response {
	h := http.Header{"Content-Length": {strconv.Itoa(len(body))}}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// decoder reads an encoding with another implementation than wrote it, where there is one.
func decoder(t testing.TB, encoding string, r io.Reader) io.Reader {
	t.Helper()
	var d io.Reader
	var err error
	switch encoding {
	case "gzip":
		d, err = gzip.NewReader(r)
	case "br":
		d = brotli.NewReader(r)
	case "zstd":
		var z *zstd.Decoder
		z, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		d = z
	default:
		d = r
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}
