package compress

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

var page = strings.Repeat("<p>the same again and again</p>\n", 1000)

func TestNegotiation(t *testing.T) {
	all := "zstd br gzip"
	tests := []struct{ offered, accept, want string }{
		{all, "", ""},
		{all, "gzip", "gzip"},
		{all, "gzip, deflate, br, zstd", "zstd"},
		{"gzip br", "gzip, deflate, br", "gzip"},
		{all, "gzip;q=1, br;q=0.5", "gzip"},
		{all, "br;q=0.001,gzip;q=0", "br"},
		{all, "*", "zstd"},
		{all, "zstd;q=0, *", "br"},
		{all, "*;q=0", ""},
		{all, "gzip;q=0.5, *;q=0", "gzip"},
		{all, "identity", ""},
		{all, "identity;q=1, gzip;q=0.5", ""},
		{all, "identity;q=0.5, gzip;q=0.5", "gzip"},
		{all, "identity;q=0", ""},
		{all, "deflate, compress", ""},
		{all, "GZIP ; Q=0.8", "gzip"},
		{all, "x-gzip", "gzip"},
		{all, "gzip;q=0, x-gzip", ""},
		{all, "gzip;q=2", ""},
		{all, "gzip;q=0.1234", ""},
		{all, "gzip;q=", ""},
		{all, "gzip;q=1.001", ""},
		{all, "gzip;level=9;q=0.3,br;q=0.2", "gzip"},
		{all, " , ,gzip,", "gzip"},
		{all, "gzipped", ""},
	}
	for _, tt := range tests {
		f := &compressor{}
		for name := range strings.FieldsSeq(tt.offered) {
			f.codings = append(f.codings, &coding{name: name})
		}
		got := ""
		var accept []string
		if tt.accept != "" {
			accept = []string{tt.accept}
		}
		if c := f.choose(accept); c != nil {
			got = c.name
		}
		if got != tt.want {
			t.Errorf("%q offered, %q accepted: got %q, want %q", tt.offered, tt.accept, got, tt.want)
		}
	}
	f := &compressor{codings: []*coding{{name: "br"}, {name: "gzip"}}}
	if c := f.choose([]string{"gzip", "br;q=0.9"}); c.name != "gzip" {
		t.Errorf("two fields: got %s", c.name)
	}
}

func TestEncodingAndBack(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	for _, level := range []string{"fast", "default", "best"} {
		for _, algorithm := range []string{"gzip", "br", "zstd"} {
			f := newFilter(t, env, "compress: {algorithms: "+algorithm+", level: "+level+"}")
			for _, body := range []string{page, strings.Repeat("x", 16<<10), strings.Repeat(page, 20)} {
				for range 3 { // encoders are used again
					ex := exchange(t, env, f, "GET", "gzip, br, zstd", response(200, body, "Content-Type", "text/html; charset=utf-8"))
					encoded, err := io.ReadAll(iotest.OneByteReader(ex.Response.Body))
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(decoder(t, algorithm, strings.NewReader(string(encoded))))
					if err != nil || string(got) != body {
						t.Fatalf("%s %s: %d bytes and %v came back, want %d", algorithm, level, len(got), err, len(body))
					}
					if len(encoded) > len(body)/10 {
						t.Errorf("%s %s: %d bytes of %d", algorithm, level, len(encoded), len(body))
					}
					if err := ex.Response.Body.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestEmptyBodyOfUnknownLength(t *testing.T) {
	for _, algorithm := range []string{"gzip", "br", "zstd"} {
		env := filtertest.NewEnv(t, "pages")
		f := newFilter(t, env, "compress: "+algorithm)
		resp := response(200, "", "Content-Type", "text/plain")
		resp.ContentLength = -1
		ex := exchange(t, env, f, "GET", algorithm, resp)
		if got, err := io.ReadAll(decoder(t, algorithm, ex.Response.Body)); err != nil || len(got) != 0 {
			t.Errorf("%s: %q, %v", algorithm, got, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	const json = "application/json"
	big := strings.Repeat("a", 2000)
	encoded := func(fields ...string) http.Header {
		h := http.Header{"Content-Type": {json}, "Content-Encoding": {"gzip"}, "Vary": {"Accept-Encoding"}}
		for i := 0; i < len(fields); i += 2 {
			h[fields[i]] = []string{fields[i+1]}
		}
		return h
	}
	same := http.Header(nil)
	varied := http.Header{"Vary": {"Accept-Encoding"}}
	tests := []struct {
		name, method, accept string
		resp                 *http.Response
		want                 http.Header // nil: as it was; without Content-Type: as it was and these
	}{
		{"plain", "GET", "gzip", response(200, big, "Content-Type", json), encoded()},
		{"an error", "GET", "gzip", response(500, big, "Content-Type", json), encoded()},
		{"what was said of the bytes", "GET", "gzip", response(200, big, "Content-Type", json, "ETag", `"x"`, "Accept-Ranges", "bytes", "Content-MD5", "x",
			"Digest", "x", "Content-Digest", "x", "Repr-Digest", "x"), encoded("Etag", `W/"x"`)},
		{"weak already", "GET", "gzip", response(200, big, "Content-Type", json, "ETag", `W/"x"`), encoded("Etag", `W/"x"`)},
		{
			"vary of another field", "GET", "gzip", response(200, big, "Content-Type", json, "Vary", "Origin"),
			http.Header{"Content-Type": {json}, "Content-Encoding": {"gzip"}, "Vary": {"Origin", "Accept-Encoding"}},
		},
		{"vary already", "GET", "gzip", response(200, big, "Content-Type", json, "Vary", "Origin, accept-encoding"), encoded("Vary", "Origin, accept-encoding")},
		{"vary by everything", "GET", "gzip", response(200, big, "Content-Type", json, "Vary", "*"), encoded("Vary", "*")},
		{"identity is no encoding", "GET", "gzip", response(200, big, "Content-Type", json, "Content-Encoding", "identity"), encoded()},
		{"HEAD", "HEAD", "gzip", response(200, big, "Content-Type", json, "ETag", `"x"`), encoded("Etag", `W/"x"`)},
		{"not accepted", "GET", "deflate", response(200, big, "Content-Type", json, "ETag", `"x"`), varied},
		{"nothing accepted", "GET", "", response(200, big, "Content-Type", json), varied},
		{"small", "GET", "gzip", response(200, big[:1023], "Content-Type", json), same},
		{"large enough", "GET", "gzip", response(200, big[:1024], "Content-Type", json), encoded()},
		{"empty", "GET", "gzip", response(200, "", "Content-Type", json), same},
		{"another type", "GET", "gzip", response(200, big, "Content-Type", "image/png"), same},
		{"no type", "GET", "gzip", response(200, big), same},
		{"encoded already", "GET", "gzip", response(200, big, "Content-Type", json, "Content-Encoding", "br"), same},
		{"no-transform", "GET", "gzip", response(200, big, "Content-Type", json, "Cache-Control", "public, No-Transform"), same},
		{"a range", "GET", "gzip", response(206, big, "Content-Type", json, "Content-Range", "bytes 0-1999/5000"), same},
		{"unsatisfiable range", "GET", "gzip", response(416, big, "Content-Type", json, "Content-Range", "bytes */5000"), same},
		{"no content", "GET", "gzip", response(204, "", "Content-Type", json), same},
		{"switching protocols", "GET", "gzip", response(101, "", "Content-Type", json), same},
		{"gRPC", "POST", "gzip", response(200, big, "Content-Type", "application/grpc+json"), same},
		{"not modified", "GET", "gzip", response(304, "", "ETag", `"x"`), http.Header{"Vary": {"Accept-Encoding"}}},
		{"not modified, for a client that takes none", "GET", "", response(304, "", "ETag", `"x"`), http.Header{"Vary": {"Accept-Encoding"}}},
		{"not modified, varies", "GET", "gzip", response(304, "", "Vary", "Origin"), http.Header{"Vary": {"Origin", "Accept-Encoding"}}},
		{"not modified, an image", "GET", "gzip", response(304, "", "Content-Type", "image/png"), same},
		{"not modified, encoded already", "GET", "gzip", response(304, "", "Content-Encoding", "br"), same},
		{"not modified, not to be changed", "GET", "gzip", response(304, "", "Cache-Control", "no-transform"), same},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := filtertest.NewEnv(t, "pages")
			f := newFilter(t, env, "compress: {}")
			before := tt.resp.Header.Clone()
			resp := exchange(t, env, f, tt.method, tt.accept, tt.resp).Response
			want := tt.want
			if want["Content-Type"] == nil {
				maps.Copy(before, want)
				want = before
			}
			if !maps.EqualFunc(resp.Header, want, func(a, b []string) bool { return strings.Join(a, "\n") == strings.Join(b, "\n") }) {
				t.Errorf("got  %v\nwant %v", resp.Header, want)
			}
			isEncoded := want.Get("Content-Encoding") == "gzip"
			if unknown := resp.ContentLength == -1; unknown != isEncoded {
				t.Errorf("the length is %d", resp.ContentLength)
			}
			if _, ok := resp.Body.(*body); ok != (isEncoded && tt.method != "HEAD") {
				t.Errorf("the body is a %T", resp.Body)
			}
		})
	}
}

func TestNotModifiedGivesTheValidatorThatTheClientKnows(t *testing.T) {
	for _, tt := range []struct{ accept, known, want string }{
		{"gzip", `"a", W/"x"`, `W/"x"`},
		{"gzip", `"x"`, `"x"`},
		{"", `W/"x"`, `"x"`},
	} {
		env := filtertest.NewEnv(t, "pages")
		f := newFilter(t, env, "compress: {}")
		r, _ := http.NewRequest("GET", "http://example.com/", nil)
		r.Header = http.Header{"If-None-Match": {tt.known}}
		if tt.accept != "" {
			r.Header.Set("Accept-Encoding", tt.accept)
		}
		ex := &filter.Exchange{Request: r, Original: filter.Original{Method: "GET"}}
		ex.Prepare(env.Slots())
		_ = f.Request(ex)
		ex.Response = response(304, "", "ETag", `"x"`)
		_ = f.Response(ex)
		if got := ex.Response.Header.Get("ETag"); got != tt.want {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
}

// TestNotModifiedVariesAsTheWholeDoes: where a 304 does not say its type, what the URL ends with does.
func TestNotModifiedVariesAsTheWholeDoes(t *testing.T) {
	for path, want := range map[string]string{"/a": "Accept-Encoding", "/a.css": "Accept-Encoding", "/a.png": "", "/a.b/c": "Accept-Encoding", "/small": ""} {
		env := filtertest.NewEnv(t, "pages")
		f := newFilter(t, env, "compress: {}")
		r, _ := http.NewRequest("GET", "http://example.com"+path, nil)
		ex := &filter.Exchange{Request: r, Original: filter.Original{Method: "GET", Path: path}}
		ex.Prepare(env.Slots())
		_ = f.Request(ex)
		ex.Response = response(304, "", "ETag", `"x"`)
		if path == "/small" {
			ex.Response.Header.Set("Content-Length", "9")
		}
		_ = f.Response(ex)
		if got := ex.Response.Header.Get("Vary"); got != want {
			t.Errorf("%s: Vary is %q", path, got)
		}
	}
}

// broken gives a part of a body and then fails.
type broken struct {
	io.Reader
	err    error
	closed int
}

func (b *broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

func (b *broken) Close() error { b.closed++; return nil }

func TestABodyThatBreaksOffNeverEndsWell(t *testing.T) {
	reset := errors.New("connection reset by peer")
	for _, algorithm := range []string{"gzip", "br", "zstd"} {
		for _, length := range []int64{-1, 100000} {
			env := filtertest.NewEnv(t, "pages")
			f := newFilter(t, env, "compress: "+algorithm)
			src := &broken{Reader: strings.NewReader(page), err: reset}
			resp := response(200, "", "Content-Type", "text/html")
			resp.Body, resp.ContentLength = src, length
			ex := exchange(t, env, f, "GET", algorithm, resp)
			encoded, err := io.ReadAll(ex.Response.Body)
			if err != reset {
				t.Errorf("%s: the error is %v", algorithm, err)
			}
			got, err := io.ReadAll(decoder(t, algorithm, strings.NewReader(string(encoded))))
			if string(got) != page || err == nil {
				t.Errorf("%s: the client reads %d bytes of %d and %v", algorithm, len(got), len(page), err)
			}
			if _, err := ex.Response.Body.Read(make([]byte, 1)); err != reset {
				t.Errorf("%s: another read gives %v", algorithm, err)
			}
			if err := ex.Response.Body.Close(); err != nil || src.closed != 1 {
				t.Errorf("%s: closed %d times, %v", algorithm, src.closed, err)
			}
		}
	}
}

func TestCloseInTheMiddle(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: gzip")
	src := &broken{Reader: strings.NewReader(strings.Repeat(page, 50)), err: io.EOF}
	resp := response(200, "", "Content-Type", "text/html")
	resp.Body, resp.ContentLength = src, -1
	body := exchange(t, env, f, "GET", "gzip", resp).Response.Body
	if _, err := body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil || src.closed != 1 {
		t.Errorf("closed %d times, %v", src.closed, err)
	}
	if n, err := body.Read(make([]byte, 10)); n != 0 || err != http.ErrBodyReadAfterClose {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`compress: deflate`:                      `"deflate" is no algorithm`,
		`compress: [gzip, gzip]`:                 "gzip stands there twice",
		`compress: {algorithms: []}`:             "no algorithm is left",
		`compress: {types: []}`:                  "no type is left",
		`compress: {types: [json]}`:              `"json" is no media type`,
		`compress: {types: ["a*/b*"]}`:           "more than one *",
		`compress: {level: 11}`:                  "compress.level",
		`compress: {min: small}`:                 "compress.min",
		"compress:\n  types:\n  - text/*\n  - x": "test.yaml:4:5",
	} {
		_, err := Kind().Build(filtertest.NewEnv(t, "pages"), filtertest.Parse(t, text).Field("compress"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

func TestTypePatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, mediaType string
		want               bool
	}{
		{"text/*", "text/html", true},
		{"text/*", "TEXT/Plain", true},
		{"text/*", "text/", true},
		{"text/*", "texts/html", false},
		{"application/*+json", "application/problem+json", true},
		{"application/*+json", "application/json", false},
		{"application/json", "application/jsonp", false},
		{"*/*", "image/png", true},
		{"*/json", "x/json", true},
	} {
		p, err := newTypePattern(tt.pattern)
		if err != nil || p.matches(tt.mediaType) != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestExplain(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: {}")
	for accept, want := range map[string]string{
		"br": "a response of a suitable type would be encoded as br",
		"x":  "the client accepts no encoding that is offered",
	} {
		r, _ := http.NewRequest("GET", "http://example.com/", nil)
		r.Header.Set("Accept-Encoding", accept)
		ex := &filter.Exchange{Request: r, Dry: true}
		ex.Prepare(env.Slots())
		if got := f.Explain(ex); got != (filter.Verdict{Action: filter.Passes, Note: want}) {
			t.Errorf("%s: got %+v", accept, got)
		}
	}
	if k := Kind(); k.Name() != "compress" || k.Stage() != filter.Cache {
		t.Errorf("got %s in %s", k.Name(), k.Stage())
	}
}
