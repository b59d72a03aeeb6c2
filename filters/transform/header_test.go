package transform_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"cardea.dev/cardea/gatewaytest"
)

// origin serves one document with a strong tag, as an origin does that knows conditions and ranges.
func origin(text, tag string, seen *http.Header) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*seen = r.Header.Clone()
		if m := r.Header.Get("If-Match"); r.Method == "PUT" && m != "" && m != tag {
			w.WriteHeader(412)
			return
		}
		if r.Header.Get("If-None-Match") == tag {
			w.Header().Set("ETag", tag)
			w.WriteHeader(304)
			return
		}
		h := w.Header()
		for name, value := range map[string]string{
			"Content-Type": "application/json", "ETag": tag, "Last-Modified": "Tue, 15 Nov 1994 12:45:26 GMT", "Accept-Ranges": "bytes", "Content-Digest": "x",
			"Repr-Digest": "x", "Digest": "x", "Content-MD5": "x", "X-Other": "stays",
		} {
			h.Set(name, value)
		}
		_, _ = io.WriteString(w, text)
	}
}

func TestFieldsOfResponses(t *testing.T) {
	var seen http.Header
	text := upstream(t, `response: {drop: [a]}`, origin(`{"a":1,"b":2}`, `"v1"`, &seen))
	g := gatewaytest.New(t, text)
	resp, body := g.Get("/x", "Range: bytes=0-3", "If-Range: \"v1\"", "Accept-Encoding: gzip", "If-Modified-Since: Tue, 15 Nov 2044 12:45:26 GMT")
	if resp.StatusCode != 200 || body != `{"b":2}` {
		t.Fatalf("got %d %s", resp.StatusCode, body)
	}
	for _, name := range []string{"Accept-Ranges", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5", "Content-Encoding"} {
		if v := resp.Header.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	tag := resp.Header.Get("ETag")
	if !strings.HasPrefix(tag, `"v1~`) || resp.Header.Get("X-Other") != "stays" || resp.Header.Get("Last-Modified") == "" {
		t.Errorf("the fields are %v", resp.Header)
	}
	for _, name := range []string{"Range", "If-Range", "If-Modified-Since"} {
		if seen.Get(name) != "" {
			t.Errorf("the upstream gets %s", name)
		}
	}
	if seen.Get("Accept-Encoding") != "identity" {
		t.Errorf("the upstream gets Accept-Encoding: %s", seen.Get("Accept-Encoding"))
	}

	t.Run("it has not changed", func(t *testing.T) {
		for _, condition := range []string{tag, "W/" + tag, `"x", ` + tag, `"a,b",` + tag} {
			resp, body := g.Get("/x", "If-None-Match: "+condition)
			if strings.HasPrefix(condition, "W/") {
				continue // the upstream of this test compares strictly
			}
			if resp.StatusCode != 304 || resp.Header.Get("ETag") != tag || body != "" {
				t.Errorf("%s: got %d, %s, asked %s", condition, resp.StatusCode, resp.Header.Get("ETag"), seen.Get("If-None-Match"))
			}
		}
	})
	t.Run("the client has something else", func(t *testing.T) {
		for _, condition := range []string{`"v1"`, `"v1~000000000000"`, `W/"v1"`, `*`} {
			resp, _ := g.Get("/x", "If-None-Match: "+condition)
			if condition != "*" && (resp.StatusCode != 200 || seen.Get("If-None-Match") != "") {
				t.Errorf("%s: got %d", condition, resp.StatusCode)
			}
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		resp, _ := g.Do("HEAD", "/x", "")
		if resp.StatusCode != 200 || resp.Header.Get("ETag") != tag || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Content-Digest") != "" {
			t.Errorf("got %d %v", resp.StatusCode, resp.Header)
		}
	})
	t.Run("a change on a condition", func(t *testing.T) {
		for condition, want := range map[string]int{tag: 200, `"v0~000000000000"`: 412, `"v2"`: 412} {
			if resp, _ := g.Do("PUT", "/x", `{}`, "If-Match: "+condition); resp.StatusCode != want {
				t.Errorf("%s: got %d", condition, resp.StatusCode)
			}
		}
		if resp, _ := g.Do("PUT", "/x", `{}`, "If-None-Match: *"); resp.StatusCode != 200 || seen.Get("If-None-Match") != "*" {
			t.Errorf("got %d, asked %q", resp.StatusCode, seen.Get("If-None-Match"))
		}
	})
	t.Run("another gateway with the same rules", func(t *testing.T) {
		other := gatewaytest.New(t, text)
		if resp, _ := other.Get("/x", "If-None-Match: "+tag); resp.StatusCode != 304 {
			t.Errorf("got %d, %s", resp.StatusCode, resp.Header.Get("ETag"))
		}
		if err := g.SetConfig(text + "# a remark\n"); err != nil {
			t.Fatal(err)
		}
		if resp, _ := g.Get("/x", "If-None-Match: "+tag); resp.StatusCode != 304 {
			t.Errorf("after a reload: got %d, %s", resp.StatusCode, resp.Header.Get("ETag"))
		}
	})
	t.Run("other rules", func(t *testing.T) {
		if err := g.SetConfig(strings.Replace(text, "drop: [a]", "drop: [b]", 1)); err != nil {
			t.Fatal(err)
		}
		if resp, _ := g.Get("/x", "If-None-Match: "+tag); resp.StatusCode != 200 || resp.Header.Get("ETag") == tag {
			t.Errorf("got %d, %s", resp.StatusCode, resp.Header.Get("ETag"))
		}
	})
}

// TestValuesOfTheRequestLeaveNoValidator: the same document becomes another one for another request.
func TestValuesOfTheRequestLeaveNoValidator(t *testing.T) {
	for _, policy := range []string{`response: {set: {q: "{header.x-q}"}}`, `response: {jq: '. + {q: $header["x-q"]}'}`, `response: {template: "{body.b}"}`} {
		var seen http.Header
		g := gatewaytest.New(t, upstream(t, policy, origin(`{"b":2}`, `"v1"`, &seen)))
		resp, _ := g.Get("/x", `If-None-Match: "v1"`, "X-Q: 1")
		if resp.StatusCode != 200 || resp.Header.Get("ETag") != "" || resp.Header.Get("Last-Modified") != "" {
			t.Errorf("%s: got %d %v", policy, resp.StatusCode, resp.Header)
		}
	}
}

func TestFormatsHaveTagsOfTheirOwn(t *testing.T) {
	var seen http.Header
	g := gatewaytest.New(t, upstream(t, `response: {to: [json, csv]}`, origin(`[{"b":2}]`, `W/"v1"`, &seen)))
	tags := map[string]bool{}
	for _, accept := range []string{"application/json", "text/csv"} {
		resp, _ := g.Get("/x", "Accept: "+accept)
		tags[resp.Header.Get("ETag")] = true
		if resp.Header.Get("Vary") != "Accept" || seen.Get("Accept") != "application/json" || !strings.HasPrefix(resp.Header.Get("ETag"), `W/"v1~`) {
			t.Errorf("%s: got %v, asked %v", accept, resp.Header, seen)
		}
		again, _ := g.Get("/x", "Accept: "+accept, "If-None-Match: "+resp.Header.Get("ETag"))
		if again.StatusCode != 304 || again.Header.Get("Vary") != "Accept" {
			t.Errorf("%s: got %d %v", accept, again.StatusCode, again.Header)
		}
	}
	if len(tags) != 2 {
		t.Errorf("the tags are %v", tags)
	}
	if resp, _ := g.Get("/x", "Accept: image/png"); resp.StatusCode != 406 || resp.Header.Get("Vary") != "Accept" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
}

func TestResponsesThatAreLeftAlone(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		status  int
	}{
		"204":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204},
		"404":          {func(w http.ResponseWriter, _ *http.Request) { answersStatus(w, 404, "text/html", "<p>") }, 404},
		"an empty 200": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }, 200},
		"an empty 200 in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = http.NewResponseController(w).Flush()
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, `response: {drop: [a]}`, test.handler))
			if resp, body := g.Get("/x"); resp.StatusCode != test.status {
				t.Errorf("got %d %s\n%s", resp.StatusCode, body, g.Log())
			}
		})
	}
}

func TestPartsAreNoDocuments(t *testing.T) {
	g := gatewaytest.New(t, upstream(t, `response: {drop: [a]}`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-1/7")
		answersStatus(w, 206, "application/json", `{}`)
	}))
	if resp, _ := g.Get("/x", "Range: bytes=0-1"); resp.StatusCode != 502 {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// TestCodings: an upstream may encode its answer though it was asked not to.
func TestCodings(t *testing.T) {
	for name, test := range map[string]struct {
		coding, body string
		status       int
	}{
		"gzip":              {"gzip", gzipped(`{"a":1,"b":2}`), 200},
		"broken":            {"gzip", gzipped(`{"a":1,"b":2}`)[:12], 502},
		"something else":    {"gzip", `{"a":1,"b":2}`, 502},
		"unknown":           {"br", `x`, 502},
		"several":           {"gzip, gzip", gzipped(gzipped(`{}`)), 502},
		"a bomb":            {"gzip", gzipped(`"` + strings.Repeat("a", 10<<20) + `"`), 502},
		"a bomb in deflate": {"deflate", strings.Repeat("\x00", 100), 502},
	} {
		t.Run(name, func(t *testing.T) {
			g := gatewaytest.New(t, upstream(t, `response: {drop: [a]}`, answers("application/json", test.body, "Content-Encoding: "+test.coding)))
			resp, body := g.Get("/x", "Accept-Encoding: gzip")
			if resp.StatusCode != test.status || test.status == 200 && (body != `{"b":2}` || resp.Header.Get("Content-Encoding") != "") {
				t.Errorf("got %d %v %.100q", resp.StatusCode, resp.Header, body)
			}
		})
	}
}

// TestTheCacheKeepsWhatComesOut of the transformation, for each format, and asks again with the upstream's own validator.
func TestTheCacheKeepsWhatComesOut(t *testing.T) {
	asked := 0
	text := upstream(t, `response: {to: [json, csv]}`, func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, `[{"a":1}]`)
	})
	g := gatewaytest.New(t, text+"  cache: {}\n")
	for range 2 {
		for accept, want := range map[string]string{"application/json": `[{"a":1}]`, "text/csv": "a\r\n1\r\n"} {
			resp, body := g.Get("/x", "Accept: "+accept)
			if resp.StatusCode != 200 || body != want {
				t.Errorf("%s: got %d %s", accept, resp.StatusCode, body)
			}
		}
	}
	if asked != 2 {
		t.Errorf("the upstream was asked %d times", asked)
	}
	resp, body := g.Get("/x", "Accept: text/csv", "Cache-Control: no-cache")
	if resp.StatusCode != 200 || body != "a\r\n1\r\n" || asked != 3 {
		t.Errorf("got %d %s; asked %d times", resp.StatusCode, body, asked)
	}
}

// TestNotModifiedTellsOfWhatComesOut: what a 304 says is added to what a cache has.
func TestNotModifiedTellsOfWhatComesOut(t *testing.T) {
	text := upstream(t, `response: {to: csv}`, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"v1"`)
		h.Set("Content-Digest", "sha-256=:x:")
		if r.Header.Get("If-None-Match") == `"v1"` {
			h.Set("Content-Length", "9")
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, `[{"a":1}]`)
	})
	for _, cache := range []string{"", "  cache: {}\n"} {
		g := gatewaytest.New(t, text+cache)
		first, want := g.Get("/x")
		again, _ := g.Get("/x", "If-None-Match: "+first.Header.Get("ETag"))
		for _, resp := range []*http.Response{first, again} {
			if typ := resp.Header.Get("Content-Type"); typ != "text/csv; charset=utf-8" && (typ != "" || resp.StatusCode != 304) || resp.Header.Get("Content-Digest") != "" {
				t.Errorf("%d has %v", resp.StatusCode, resp.Header)
			}
		}
		if again.StatusCode != 304 || again.Header.Get("Content-Length") == "9" {
			t.Errorf("got %d %v", again.StatusCode, again.Header)
		}
		if resp, body := g.Get("/x"); resp.Header.Get("Content-Type") != "text/csv; charset=utf-8" || body != want || resp.Header.Get("Content-Digest") != "" {
			t.Errorf("then got %v %s", resp.Header, body)
		}
	}
}

// TestTrailers come through, but for digests of what was sent before.
func TestTrailers(t *testing.T) {
	for _, length := range []int{0, 100 << 10} {
		g := gatewaytest.New(t, upstream(t, `response: {drop: [a]}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Trailer", "X-Sum, Content-Digest")
			_, _ = io.WriteString(w, `{"a":1,"b":"`+strings.Repeat("x", length)+`"}`)
			w.Header().Set("X-Sum", "42")
			w.Header().Set("Content-Digest", "x")
		}))
		resp, _ := g.Get("/x", "TE: trailers")
		if resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("Content-Digest") != "" {
			t.Errorf("the trailers are %v", resp.Trailer)
		}
	}
}
