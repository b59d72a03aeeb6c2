package static

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var modified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// site makes a directory with files, and returns it.
func site(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "www")
	for name, text := range map[string]string{
		"www/index.html": "<p>home", "www/a.txt": "0123456789", "www/a b;c.txt": "odd", "www/app.js": "let x", "www/app.js.gz": "GZ", "www/app.js.br": "BR",
		"www/noend": "<html>", "www/empty.txt": "", "www/docs/index.html": "<p>docs", "www/plain/x.css": "p{}", "www/plain/.hidden": "no", "www/plain/a:b<c": "odd",
		"www/.env": "SECRET=1", "www/.git/config": "no", "www/.well-known/security.txt": "contact", "www/docs/.well-known/x": "no", "outside.txt": "secret", "www/old.css": "old",
		"www/old.css.gz": "OLDER", "www/index/index.html/x": "",
	} {
		name = filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("a.txt", filepath.Join(dir, "inside")),
		os.Symlink("../outside.txt", filepath.Join(dir, "outside")),
		os.Symlink(filepath.Join(top, "outside.txt"), filepath.Join(dir, "absolute")),
		os.Symlink("..", filepath.Join(dir, "up")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
		os.Chtimes(filepath.Join(dir, "old.css.gz"), modified.Add(-time.Hour), modified.Add(-time.Hour)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newTarget(t testing.TB, dir, prefix, text string) target.Target {
	t.Helper()
	tg, err := tryTarget(t, dir, prefix, text)
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

func tryTarget(t testing.TB, dir, prefix, text string) (target.Target, error) {
	t.Helper()
	return Kind().Build(&filter.Env{Route: &filter.Route{Prefix: prefix}, Dir: filepath.Dir(dir)}, filtertest.Parse(t, text).Field("static"))
}

// answer is what a client sees.
type answer struct {
	status int
	body   string
	header map[string]string
}

// get returns what a target answers. Header has only the fields that are asked for.
func get(t testing.TB, tg target.Target, method, uri string, fields ...string) answer {
	t.Helper()
	r := httptest.NewRequest(method, "http://example.com"+uri, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	ex := &filter.Exchange{Request: r, Original: filter.Original{Method: method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}}
	resp, err := tg.Serve(ex)
	var refused *filter.Error
	if errors.As(err, &refused) {
		return answer{refused.HTTPStatus(), string(refused.Code), map[string]string{}}
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if method != "HEAD" && resp.ContentLength != int64(len(body)) {
		t.Errorf("%s: the length is %d, the body has %d bytes", uri, resp.ContentLength, len(body))
	}
	if given := resp.Header.Get("Content-Length"); resp.StatusCode != 304 && given != fmt.Sprint(resp.ContentLength) {
		t.Errorf("%s: Content-Length is %q, the length %d", uri, given, resp.ContentLength)
	}
	header := map[string]string{}
	for name, values := range resp.Header {
		header[name] = strings.Join(values, "|")
	}
	return answer{resp.StatusCode, string(body), header}
}

func TestWhichFile(t *testing.T) {
	dir := site(t)
	const notFound = "file_not_found"
	tests := []struct {
		text, prefix, uri string
		status            int
		body              string // or the location
	}{
		{"static: www", "", "/", 200, "<p>home"},
		{"static: www", "", "/a.txt", 200, "0123456789"},
		{"static: www", "", "/a%20b;c.txt", 200, "odd"},
		{"static: www", "", "/docs/", 200, "<p>docs"},
		{"static: www", "", "/docs", 301, "./docs/"},
		{"static: www", "", "/docs?x=1", 301, "./docs/?x=1"},
		{"static: www", "", "/empty.txt", 200, ""},
		{"static: www", "", "/inside", 200, "0123456789"},
		{"static: www", "", "/nothing", 404, notFound},
		{"static: www", "", "/a.txt/", 404, notFound},
		{"static: www", "", "/a.txt/b", 404, notFound},
		{"static: www", "", "/plain/", 404, notFound},
		{"static: www", "", "/index/", 404, notFound},
		{"static: www", "", "/outside", 404, notFound},
		{"static: www", "", "/absolute", 404, notFound},
		{"static: www", "", "/up/outside.txt", 404, notFound},
		{"static: www", "", "/loop", 404, notFound},
		{"static: www", "", "/pipe", 404, notFound},
		{"static: www", "", "/../outside.txt", 404, notFound},
		{"static: www", "", "/%2e%2e/outside.txt", 404, notFound},
		{"static: www", "", "/..%2foutside.txt", 404, notFound},
		{"static: www", "", "/docs/..%2f..%2foutside.txt", 404, notFound},
		{"static: www", "", "/a%00.txt", 404, notFound},
		{"static: www", "", "/" + strings.Repeat("x", 300), 404, notFound},
		{"static: www", "", "/.env", 404, notFound},
		{"static: www", "", "/.git/config", 404, notFound},
		{"static: www", "", "/.well-known/security.txt", 200, "contact"},
		{"static: www", "", "/docs/.well-known/x", 404, notFound},
		{"static: {dir: www, dotfiles: true}", "", "/.env", 200, "SECRET=1"},
		{"static: " + dir, "", "/a.txt", 200, "0123456789"},
		{"static: www", "/assets", "/assets/a.txt", 200, "0123456789"},
		{"static: www", "/assets/", "/assets/", 200, "<p>home"},
		{"static: www", "/assets", "/assets", 301, "./assets/"},
		{"static: www", "/assets", "/assetsa.txt", 404, notFound},
		{"static: www", "/assets", "/assets/../a.txt", 200, "0123456789"},
		{"static: {dir: www, strip_prefix: /}", "/docs", "/docs/", 200, "<p>docs"},
		{"static: {dir: www, strip_prefix: /x/y}", "/x", "/x/y/a.txt", 200, "0123456789"},
		{"static: {dir: www, index: [none.html, index.html]}", "", "/docs/", 200, "<p>docs"},
		{"static: {dir: www, index: []}", "", "/docs/", 404, notFound},
		{"static: {dir: www, spa: true}", "", "/users/7", 200, "<p>home"},
		{"static: {dir: www, spa: true}", "", "/users/", 200, "<p>home"},
		{"static: {dir: www, spa: true}", "", "/missing.js", 404, notFound},
		{"static: {dir: www, spa: true}", "", "/a.txt", 200, "0123456789"},
		{"static: {dir: www, spa: true}", "", "/.env", 404, notFound},
	}
	for _, tt := range tests {
		tg := newTarget(t, dir, tt.prefix, tt.text)
		got := get(t, tg, "GET", tt.uri)
		body := got.body
		if tt.status == 301 {
			body = got.header["Location"]
		}
		if got.status != tt.status || body != tt.body {
			t.Errorf("%s, %s: got %+v, want %d %q", tt.text, tt.uri, got, tt.status, tt.body)
		}
	}
}

func TestFields(t *testing.T) {
	dir := site(t)
	tag := etag(found{info: stat(t, dir, "a.txt")}, "")
	whole := map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Content-Length": "10", "Accept-Ranges": "bytes", "Etag": tag, "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT",
		"Cache-Control": "max-age=60",
	}
	with := func(changes ...string) map[string]string {
		h := maps.Clone(whole)
		for i := 0; i < len(changes); i += 2 {
			if h[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(h, changes[i])
			}
		}
		return h
	}
	part := with("Content-Range", "bytes 2-4/10", "Content-Length", "3")
	tests := []struct {
		name, method string
		fields       []string
		want         answer
	}{
		{"whole", "GET", nil, answer{200, "0123456789", whole}},
		{"head", "HEAD", nil, answer{200, "", whole}},
		{"etag known", "GET", []string{"If-None-Match", tag}, answer{304, "", map[string]string{"Etag": tag, "Cache-Control": "max-age=60"}}},
		{"time known", "GET", []string{"If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT"}, answer{304, "", map[string]string{"Etag": tag, "Cache-Control": "max-age=60"}}},
		{"another etag", "GET", []string{"If-None-Match", `"x"`}, answer{200, "0123456789", whole}},
		{"precondition", "GET", []string{"If-Match", `"x"`}, answer{412, "", with("Accept-Ranges", "", "Content-Length", "0", "Content-Type", "")}},
		{"range", "GET", []string{"Range", "bytes=2-4"}, answer{206, "234", part}},
		{"range of head", "HEAD", []string{"Range", "bytes=2-4"}, answer{206, "", part}},
		{"open range", "GET", []string{"Range", "bytes=7-"}, answer{206, "789", with("Content-Range", "bytes 7-9/10", "Content-Length", "3")}},
		{"suffix", "GET", []string{"Range", "bytes=-2"}, answer{206, "89", with("Content-Range", "bytes 8-9/10", "Content-Length", "2")}},
		{"if-range holds", "GET", []string{"Range", "bytes=2-4", "If-Range", tag}, answer{206, "234", part}},
		{"if-range fails", "GET", []string{"Range", "bytes=2-4", "If-Range", `"x"`}, answer{200, "0123456789", whole}},
		{"if-range fails for several", "GET", []string{"Range", "bytes=0-0,2-4", "If-Range", `"x"`}, answer{200, "0123456789", whole}},
		{"malformed range", "GET", []string{"Range", "bytes=4-2"}, answer{200, "0123456789", whole}},
		{"another unit", "GET", []string{"Range", "lines=1-2"}, answer{200, "0123456789", whole}},
		{"more than the whole", "GET", []string{"Range", "bytes=0-,0-,0-"}, answer{200, "0123456789", whole}},
		{"several, one of them there", "GET", []string{"Range", "bytes=2-4,20-"}, answer{206, "234", part}},
		{"behind the end", "GET", []string{"Range", "bytes=10-"}, answer{416, "invalid range: failed to overlap\n", map[string]string{
			"Content-Range": "bytes */10", "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", "Content-Length": "33",
		}}},
		{"POST", "POST", nil, answer{405, "method_not_allowed", map[string]string{}}},
	}
	tg := newTarget(t, dir, "", "static: {dir: www, cache_control: max-age=60}")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := get(t, tg, tt.method, "/a.txt", tt.fields...)
			if tt.want.status == 416 || tt.want.status == 412 { // what else stands there is net/http's
				for _, name := range []string{"Etag", "Last-Modified", "Cache-Control", "Content-Type", "Accept-Ranges"} {
					delete(got.header, name)
					delete(tt.want.header, name)
				}
			}
			if got.status != tt.want.status || got.body != tt.want.body || !maps.Equal(got.header, tt.want.header) {
				t.Errorf("\ngot  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func stat(t testing.TB, dir, name string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestPrecompressed(t *testing.T) {
	dir := site(t)
	for _, tt := range []struct{ text, uri, accept, body, encoding, vary string }{
		{"static: {dir: www, precompressed: true}", "/app.js", "gzip, br", "BR", "br", "Accept-Encoding"},
		{"static: {dir: www, precompressed: true}", "/app.js", "gzip, br;q=0", "GZ", "gzip", "Accept-Encoding"},
		{"static: {dir: www, precompressed: true}", "/app.js", "*;q=0.5", "BR", "br", "Accept-Encoding"},
		{"static: {dir: www, precompressed: true}", "/app.js", "zstd", "let x", "", "Accept-Encoding"},
		{"static: {dir: www, precompressed: true}", "/app.js", "", "let x", "", "Accept-Encoding"},
		{"static: {dir: www, precompressed: true}", "/old.css", "gzip", "old", "", "Accept-Encoding"},
		{"static: www", "/app.js", "gzip", "let x", "", ""},
	} {
		tg := newTarget(t, dir, "", tt.text)
		got := get(t, tg, "GET", tt.uri, "Accept-Encoding", tt.accept)
		if got.body != tt.body || got.header["Content-Encoding"] != tt.encoding || got.header["Vary"] != tt.vary || !strings.HasPrefix(got.header["Content-Type"], "text/") {
			t.Errorf("%+v: got %+v", tt, got)
		}
		if head := get(t, tg, "HEAD", tt.uri, "Accept-Encoding", tt.accept); !maps.Equal(head.header, got.header) {
			t.Errorf("%+v: HEAD has %v, GET %v", tt, head.header, got.header)
		}
		if tt.encoding != "" {
			if got := get(t, tg, "GET", tt.uri, "Accept-Encoding", tt.accept, "Range", "bytes=1-"); got.status != 206 || got.body != tt.body[1:] || got.header["Content-Encoding"] != tt.encoding {
				t.Errorf("range of %+v: got %+v", tt, got)
			}
		}
	}
}

func TestSPAIsNotCached(t *testing.T) {
	tg := newTarget(t, site(t), "", "static: {dir: www, spa: true, cache_control: max-age=60}")
	for uri, want := range map[string]string{"/users/7": "no-cache", "/app.js": "max-age=60"} {
		if got := get(t, tg, "GET", uri).header["Cache-Control"]; got != want {
			t.Errorf("%s: got %q", uri, got)
		}
	}
}

func TestListing(t *testing.T) {
	tg := newTarget(t, site(t), "", "static: {dir: www, listing: true}")
	got := get(t, tg, "GET", "/plain/")
	const want = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>/plain</title></head>
<body><h1>/plain</h1>
<ul>
<li><a href="../">../</a></li>
<li><a href="./a:b%3Cc">a:b&lt;c</a></li>
<li><a href="./x.css">x.css</a></li>
</ul></body></html>
`
	if got.status != 200 || got.body != want {
		t.Errorf("got %s", got.body)
	}
	if got := get(t, tg, "GET", "/"); got.body != "<p>home" {
		t.Errorf("with an index: got %q", got.body)
	}
	if got := get(t, tg, "HEAD", "/plain/"); got.status != 200 || got.body != "" || got.header["Content-Length"] != fmt.Sprint(len(want)) {
		t.Errorf("HEAD: got %+v", got)
	}
}

func TestADeploymentMaySwapTheDirectory(t *testing.T) {
	dir := site(t)
	link := filepath.Join(filepath.Dir(dir), "current")
	_ = os.Symlink("www", link)
	tg := newTarget(t, dir, "", "static: current")
	if got := get(t, tg, "GET", "/"); got.body != "<p>home" {
		t.Errorf("before: %+v", got)
	}
	if err := errors.Join(os.Remove(link), os.Symlink("www/docs", link)); err != nil {
		t.Fatal(err)
	}
	if got := get(t, tg, "GET", "/"); got.body != "<p>docs" {
		t.Errorf("after: %+v", got)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if got := get(t, tg, "GET", "/"); got.status != 500 {
		t.Errorf("gone: %+v", got)
	}
}

func TestExplain(t *testing.T) {
	dir := site(t)
	for uri, want := range map[string]string{
		"/a.txt": "the file " + dir + "/a.txt", "/docs": "301 to the path with a slash at its end: it is a directory", "/docs/": "the file " + dir + "/docs/index.html",
		"/plain/": "the list of the directory " + dir + "/plain", "/x": "nothing is found; the file " + dir + "/index.html instead", "/x.js": "404: x.js is not in " + dir,
	} {
		tg := newTarget(t, dir, "", "static: {dir: www, spa: true, listing: true}")
		if got := tg.Explain(&filter.Exchange{Request: httptest.NewRequest("GET", uri, nil)}); got != want {
			t.Errorf("%s: got %q, want %q", uri, got, want)
		}
	}
	if Kind().Name() != "static" {
		t.Error(Kind().Name())
	}
}

func TestConfigErrors(t *testing.T) {
	dir := site(t)
	for text, want := range map[string]string{
		`static: {}`:                                   `the key "dir" is missing`,
		`static: ""`:                                   "the directory has no name",
		`static: nowhere`:                              "no such file",
		`static: www/a.txt`:                            "it is not a directory",
		`static: {dir: www, index: ../x}`:              "cannot be the name of a file",
		`static: {dir: www, index: [], spa: true}`:     "needs an index",
		`static: {dir: www, strip_prefix: x}`:          "must begin with /",
		`static: {dir: www, cache_control: "a\nb"}`:    "cannot be the value of a field",
		"static:\n  spa: true\n  dir: www/a.txt":       "test.yaml:3:8",
		"static:\n  dir: www\n  index: [a, b/c]":       "test.yaml:3:14",
		`static: {dir: www, directory_listing: "yes"}`: "unknown key",
	} {
		_, err := tryTarget(t, dir, "", text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
}

// serveHTTP makes a handler of a target, for tests with a real server.
func serveHTTP(tg target.Target) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		resp, err := tg.Serve(&filter.Exchange{Request: r, Original: filter.Original{Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}})
		if err != nil {
			w.WriteHeader(filter.AsError(err).HTTPStatus())
			return
		}
		defer resp.Body.Close()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(w, resp.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}
