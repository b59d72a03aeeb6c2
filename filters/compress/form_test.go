package compress

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// cached is a stored body, with its forms.
type cached struct {
	text string
	most int64

	mu    sync.Mutex
	forms map[string][]byte
}

// cachedBody is the body of one response of it.
type cachedBody struct {
	io.Reader
	*cached
	closed bool
}

func (c *cachedBody) Close() error       { c.closed = true; return nil }
func (c *cachedBody) MostEncoded() int64 { return c.most }

func (c *cachedBody) Encoded(coding string) (io.ReadCloser, int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	form, ok := c.forms[coding]
	return io.NopCloser(bytes.NewReader(form)), int64(len(form)), ok
}

func (c *cachedBody) KeepEncoded(coding string, blocks [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.forms == nil {
		c.forms = map[string][]byte{}
	}
	c.forms[coding] = slices.Concat(blocks...)
}

// response is one that a cache gives.
func (c *cached) response(fields ...string) (*http.Response, *cachedBody) {
	resp := response(200, c.text, append(fields, "Content-Type", "text/html", "ETag", `"x"`)...)
	b := &cachedBody{Reader: strings.NewReader(c.text), cached: c}
	resp.Body = b
	return resp, b
}

// unreadable fails a test when it is read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body itself was read")
	return 0, io.EOF
}

func TestAFormIsEncodedOnce(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	for _, text := range []string{page, strings.Repeat(page, 30), text(50_000)} {
		store := &cached{text: text, most: 1 << 20}
		for _, algorithm := range []string{"gzip", "br", "zstd"} {
			f := newFilter(t, env, "compress: "+algorithm)
			resp, _ := store.response()
			first := exchange(t, env, f, "GET", algorithm, resp).Response
			encoded, err := io.ReadAll(iotest.OneByteReader(first.Body))
			if err != nil || first.ContentLength != -1 || first.Header["Content-Length"] != nil {
				t.Fatalf("%s: the first: %v, %d bytes announced", algorithm, err, first.ContentLength)
			}
			_ = first.Body.Close()

			resp, of := store.response()
			of.Reader = unreadable{t}
			second := exchange(t, env, f, "GET", algorithm, resp).Response
			got, err := io.ReadAll(second.Body)
			if err != nil || !bytes.Equal(got, encoded) || second.ContentLength != int64(len(got)) || second.Header.Get("Content-Length") != strconv.Itoa(len(got)) {
				t.Errorf("%s: the second: %d bytes of %d, %d announced, %v", algorithm, len(got), len(encoded), second.ContentLength, err)
			}
			if !of.closed {
				t.Errorf("%s: the body itself is open", algorithm)
			}
			if back, err := io.ReadAll(decoder(t, algorithm, bytes.NewReader(got))); string(back) != text || err != nil {
				t.Errorf("%s: %d bytes came back, %v", algorithm, len(back), err)
			}
			second.Header.Del("Content-Length")
			if h := second.Header; h.Get("ETag") != `W/"x"` || h.Get("Vary") != "Accept-Encoding" || h.Get("Content-Encoding") != algorithm || len(h) != len(first.Header) {
				t.Errorf("%s: %v", algorithm, h)
			}
		}
		if len(store.forms) != 3 {
			t.Errorf("%d forms", len(store.forms))
		}
	}
}

// text is as long as it says, of words that come in no order.
func text(n int) string {
	words := strings.Fields("a gateway routes secures limits joins translates caches measures and explains every request that comes to it from whom " +
		"it may be and for what it asks in the hour of greatest need when others have long gone home 17 204 <p> </p> <b> </b> {} \"id\": null,")
	var b strings.Builder
	for i := uint32(1); b.Len() < n; i = i*1664525 + 1013904223 {
		b.WriteString(words[int(i>>16)%len(words)])
		b.WriteByte(' ')
	}
	return b.String()[:n]
}

// TestWhatIsNoWholeFormIsNotKept, nor one that is too long, nor what is not encoded.
func TestWhatIsNoWholeFormIsNotKept(t *testing.T) {
	broken := errors.New("broken")
	all := func(r io.Reader) { _, _ = io.Copy(io.Discard, r) }
	for name, tt := range map[string]struct {
		method, accept string
		change         func(*http.Response, *cachedBody)
		read           func(io.Reader)
	}{
		"the client leaves":        {"GET", "gzip", nil, func(r io.Reader) { _, _ = io.CopyN(io.Discard, r, 100) }},
		"nobody reads":             {"GET", "gzip", nil, func(io.Reader) {}},
		"it breaks off":            {"GET", "gzip", func(_ *http.Response, b *cachedBody) { b.Reader = io.MultiReader(b.Reader, iotest.ErrReader(broken)) }, all},
		"it is shorter":            {"GET", "gzip", func(_ *http.Response, b *cachedBody) { b.Reader = io.LimitReader(b.Reader, 20_000) }, all},
		"it is longer":             {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.ContentLength-- }, all},
		"its length is not known":  {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.ContentLength = -1 }, all},
		"it is too long":           {"GET", "gzip", func(_ *http.Response, b *cachedBody) { b.most = 10_000 }, all},
		"none is kept":             {"GET", "gzip", func(_ *http.Response, b *cachedBody) { b.most = 0 }, all},
		"a part":                   {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.StatusCode = 206 }, all},
		"a part by its field":      {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.Header.Set("Content-Range", "bytes 0-9/*") }, all},
		"not modified":             {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.StatusCode = 304 }, all},
		"not to be transformed":    {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.Header.Set("Cache-Control", "no-transform") }, all},
		"another type":             {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.Header.Set("Content-Type", "image/png") }, all},
		"it has an encoding":       {"GET", "gzip", func(r *http.Response, _ *cachedBody) { r.Header.Set("Content-Encoding", "br") }, all},
		"HEAD":                     {"HEAD", "gzip", nil, all},
		"the client takes none":    {"GET", "", nil, all},
		"the client takes another": {"GET", "deflate", nil, all},
	} {
		env := filtertest.NewEnv(t, "pages")
		f := newFilter(t, env, "compress: gzip")
		store := &cached{text: strings.Repeat(text(50_000), 2), most: 1 << 20}
		resp, b := store.response()
		if tt.change != nil {
			tt.change(resp, b)
		}
		got := exchange(t, env, f, tt.method, tt.accept, resp).Response
		tt.read(got.Body)
		_ = got.Body.Close()
		if len(store.forms) != 0 {
			t.Errorf("%s: it is kept", name)
		}
	}
}

// TestAFormIsNotForOthers: what is kept for one coding changes nothing for those that may not have it.
func TestAFormIsNotForOthers(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: {}")
	for name, tt := range map[string]struct {
		method, accept string
		change         func(*http.Response)
		coding         string // of what the client gets
	}{
		"another coding":        {"GET", "br", nil, "br"},
		"none":                  {"GET", "", nil, ""},
		"HEAD":                  {"HEAD", "gzip", nil, ""},
		"a part":                {"GET", "gzip", func(r *http.Response) { r.StatusCode = 206 }, ""},
		"not to be transformed": {"GET", "gzip", func(r *http.Response) { r.Header.Set("Cache-Control", "no-transform") }, ""},
	} {
		store := &cached{text: page, most: 1 << 20, forms: map[string][]byte{"gzip": []byte("form")}}
		resp, _ := store.response()
		if tt.change != nil {
			tt.change(resp)
		}
		got := exchange(t, env, f, tt.method, tt.accept, resp).Response
		b, err := io.ReadAll(decoder(t, tt.coding, got.Body))
		if string(b) != page || err != nil || got.ContentLength == 4 {
			t.Errorf("%s: %d bytes, %d announced, %v", name, len(b), got.ContentLength, err)
		}
		_ = got.Body.Close()
	}
}

func TestManyEncodeAtOnce(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: zstd")
	store := &cached{text: strings.Repeat(page, 10), most: 1 << 20}
	var responses []*http.Response
	for range 20 {
		resp, _ := store.response()
		responses = append(responses, exchange(t, env, f, "GET", "zstd", resp).Response)
	}
	var all sync.WaitGroup
	for _, resp := range responses {
		all.Go(func() {
			got, err := io.ReadAll(decoder(t, "zstd", resp.Body))
			if string(got) != store.text || err != nil {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			_ = resp.Body.Close()
		})
	}
	all.Wait()
	got, err := io.ReadAll(decoder(t, "zstd", bytes.NewReader(store.forms["zstd"])))
	if string(got) != store.text || err != nil {
		t.Errorf("kept: %d bytes, %v", len(got), err)
	}
}

// TestTheTagOfAFormAsksForTheBody: a client that has an encoded form asks with its weak tag, which the cache finds equal to its strong one
// (RFC 9110, section 13.1.2), and gets back what it knows.
func TestTheTagOfAFormAsksForTheBody(t *testing.T) {
	env := filtertest.NewEnv(t, "pages")
	f := newFilter(t, env, "compress: {}")
	store := &cached{text: page, most: 1 << 20}
	for _, what := range []string{"encoded anew", "kept"} {
		resp, _ := store.response()
		first := exchange(t, env, f, "GET", "gzip", resp).Response
		_, _ = io.Copy(io.Discard, first.Body)
		_ = first.Body.Close()
		tag := first.Header.Get("ETag")

		r, _ := http.NewRequest("GET", "http://example.com/", nil)
		r.Header = http.Header{"Accept-Encoding": {"gzip"}, "If-None-Match": {tag}}
		ex := &filter.Exchange{Request: r, Route: env.Route, Original: filter.Original{Method: "GET"}}
		ex.Prepare(env.Slots())
		_ = f.Request(ex)
		ex.Response, _ = store.response()
		if strings.TrimPrefix(r.Header.Get("If-None-Match"), "W/") == ex.Response.Header.Get("ETag") { // as a cache compares
			ex.Response = &http.Response{StatusCode: 304, Header: http.Header{"Etag": ex.Response.Header["Etag"]}, Body: http.NoBody}
		}
		_ = f.Response(ex)
		if got := ex.Response; got.StatusCode != 304 || got.Header.Get("ETag") != tag || got.Header["Content-Encoding"] != nil || got.Body != http.NoBody {
			t.Errorf("%s: %d, %v", what, got.StatusCode, got.Header)
		}
	}
}

// BenchmarkForms compares a form that is kept with the same, encoded anew.
func BenchmarkForms(b *testing.B) {
	for _, algorithm := range []string{"gzip", "br", "zstd"} {
		for name, most := range map[string]int64{"kept": 1 << 20, "anew": 0} {
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				env := filtertest.NewEnv(b, "pages")
				f := newFilter(b, env, "compress: "+algorithm)
				store := &cached{text: text(64 << 10), most: most}
				b.SetBytes(int64(len(store.text)))
				b.ReportAllocs()
				for b.Loop() {
					resp, _ := store.response()
					got := exchange(b, env, f, "GET", algorithm, resp).Response
					_, _ = io.Copy(io.Discard, got.Body)
					_ = got.Body.Close()
				}
			})
		}
	}
}
