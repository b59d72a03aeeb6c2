package static

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"cardea.dev/cardea/filter"
)

func TestSeveralRanges(t *testing.T) {
	tg := newTarget(t, site(t), "", "static: www")
	got := get(t, tg, "GET", "/a.txt", "Range", "bytes=0-1, 4-4 ,-2,20-")
	kind, _, err := mime.ParseMediaType(got.header["Content-Type"])
	if got.status != 206 || kind != "multipart/byteranges" || err != nil || got.header["Content-Range"] != "" {
		t.Fatalf("got %+v", got)
	}
	s := httptest.NewServer(serveHTTP(tg))
	defer s.Close()
	r, _ := http.NewRequest("GET", s.URL+"/a.txt", nil)
	r.Header.Set("Range", "bytes=0-1,4-4,-2,20-")
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	parts := multipart.NewReader(resp.Body, params["boundary"])
	for _, want := range []string{"bytes 0-1/10 text/plain; charset=utf-8 01", "bytes 4-4/10 text/plain; charset=utf-8 4", "bytes 8-9/10 text/plain; charset=utf-8 89"} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if got := part.Header.Get("Content-Range") + " " + part.Header.Get("Content-Type") + " " + string(body); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestRangeSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"bytes=0-0":                    "[{0 1}] false true",
		"bytes=0-0,1-1":                "[{0 1} {1 1}] true true",
		"BYTES = 5-100":                "[{5 5}] false true",
		"bytes=-100":                   "[{0 10}] false true",
		"bytes=-0":                     "[] false true",
		"bytes=10-":                    "[] false true",
		"bytes=99999999999999999999-":  "[] false true",
		"bytes=0-99999999999999999999": "[{0 10}] false true",
		"bytes=,0-1,":                  "[{0 2}] false true",
		"bytes=":                       "[] false false",
		"bytes":                        "[] false false",
		"bytes=-":                      "[] false false",
		"bytes=a-b":                    "[] false false",
		"bytes=+1-2":                   "[] false false",
		"bytes=3-2":                    "[] false false",
		"bytes=1":                      "[] false false",
		"bytes=0-1,x":                  "[] true false",
		"octets=0-1":                   "[] false false",
	} {
		ranges, many, ok := parseRanges(text, 10)
		if !ok {
			ranges = nil
		}
		if got := fmt.Sprintf("%v %v %v", ranges, many, ok); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestALargeFileStreams reads a file of 4 GiB, most of which is a hole, from near its end.
func TestALargeFileStreams(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "www")
	const size = 4 << 30
	f, err := create(dir, "large.bin")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Skip("no sparse files here: ", err)
	}
	tg := newTarget(t, dir, "", "static: www")
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/large.bin", nil)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := tg.Serve(ex)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.CopyN(io.Discard, resp.Body, 8<<20)
	runtime.ReadMemStats(&after)
	if n != 8<<20 || err != nil || resp.ContentLength != size {
		t.Errorf("%d bytes, %v; the length is %d", n, err, resp.ContentLength)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d bytes of memory for a part of a file", used)
	}
	_ = resp.Body.Close()
	if got := get(t, tg, "GET", "/large.bin", "Range", "bytes=-3"); got.status != 206 || got.body != "\x00\x00\x00" {
		t.Errorf("got %+v", got)
	}
}

func create(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, name))
}

func TestAFileThatShrinksDoesNotEndWell(t *testing.T) {
	dir := site(t)
	tg := newTarget(t, dir, "", "static: www")
	for _, ranges := range []string{"", "bytes=0-1,4-9"} {
		name := filepath.Join(dir, "a.txt")
		if err := os.WriteFile(name, []byte("0123456789"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/a.txt", nil)
		if ranges != "" {
			r.Header.Set("Range", ranges)
		}
		resp, err := tg.Serve(&filter.Exchange{Request: r})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 5); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: the error is %v", ranges, err)
		}
		_ = resp.Body.Close()
	}
}

// TestFilesAreClosed counts the process's open files.
func TestFilesAreClosed(t *testing.T) {
	tg := newTarget(t, site(t), "", "static: {dir: www, listing: true, precompressed: true, spa: true}")
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc here")
		}
		return len(entries)
	}
	visit := func() {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, uri := range []string{"/", "/a.txt", "/docs", "/docs/", "/plain/", "/app.js", "/old.css", "/x", "/x.js", "/pipe", "/outside", "/index/"} {
				for _, fields := range [][]string{
					nil, {"Range", "bytes=1-2"}, {"Range", "bytes=0-0,2-2"}, {"Range", "bytes=100-"}, {"If-None-Match", "*"}, {"If-Match", `"x"`}, {"Accept-Encoding", "gzip"},
				} {
					get(t, tg, method, uri, fields...)
				}
				tg.Explain(&filter.Exchange{Request: httptest.NewRequest(method, uri, nil)})
			}
		}
	}
	visit()
	before := open()
	visit()
	if after := open(); after > before {
		t.Errorf("%d files were open, then %d", before, after)
	}
}

func BenchmarkServe(b *testing.B) {
	dir := site(b)
	tg := newTarget(b, dir, "", "static: www")
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/a.txt", nil)}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := tg.Serve(ex)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}
