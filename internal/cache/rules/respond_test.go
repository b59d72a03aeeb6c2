package rules

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// body is a stored body.
type body struct{ *bytes.Reader }

func (body) Close() error { return nil }

const text = "0123456789abcdefghij"

// answer is what a client gets of a response with some fields.
func answer(t *testing.T, method string, status int, response, request []string) (*Answer, http.Header, string) {
	t.Helper()
	r := &stored.Response{Method: "GET", Status: status, Size: int64(len(text)), Received: now, Requested: now, Header: stored.NewFields(header(response...))}
	q := ParseRequest(get(request...))
	a, h := &Answer{}, http.Header{}
	Respond(a, h, method, &q, r, now.Add(1234*time.Second))
	if reader := a.Content(body{bytes.NewReader([]byte(text))}); reader != nil {
		all, err := io.ReadAll(reader)
		if err != nil || int64(len(all)) != a.Length {
			t.Errorf("%v: %d bytes, %v, said %d", request, len(all), err, a.Length)
		}
		return a, h, string(all)
	}
	return a, h, ""
}

func TestRespondConditions(t *testing.T) {
	tag := []string{"Etag", `"a"`, "Last-Modified", at(-time.Hour), "Date", at(0)}
	weak := []string{"Etag", `W/"a"`}
	for _, c := range []struct {
		section  string
		method   string
		status   int
		response []string
		request  []string
		want     int
	}{
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `"a"`}, 304},
		{"13.1.2", "HEAD", 200, tag, []string{"If-None-Match", `"a"`}, 304},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `W/"a"`}, 304},
		{"13.1.2", "GET", 200, weak, []string{"If-None-Match", `"a"`}, 304},
		{"13.1.2", "GET", 200, weak, []string{"If-None-Match", `"x", W/"y" ,, "a"`}, 304},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `"x"`, "If-None-Match", `"a"`}, 304},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `"x,"a","`}, 200},
		{"13.1.2", "GET", 200, []string{"Etag", `"x,y"`}, []string{"If-None-Match", `"z", "x,y"`}, 304},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `"b"`}, 200},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `"A"`}, 200},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", `a`}, 200},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", ``}, 200},
		{"13.1.2", "GET", 200, tag, []string{"If-None-Match", "*"}, 304},
		{"13.1.2", "GET", 200, nil, []string{"If-None-Match", "*"}, 304},
		{"13.1.2", "GET", 200, nil, []string{"If-None-Match", `""`}, 200},
		{"13.1.2", "GET", 200, nil, []string{"If-None-Match", `, ,`}, 200},
		// If-None-Match takes precedence.
		{"13.2.2", "GET", 200, tag, []string{"If-None-Match", `"b"`, "If-Modified-Since", at(0)}, 200},
		{"13.2.2", "GET", 200, tag, []string{"If-None-Match", `"a"`, "If-Modified-Since", at(-2 * time.Hour)}, 304},
		{"13.1.3", "GET", 200, tag, []string{"If-Modified-Since", at(-time.Hour)}, 304},
		{"13.1.3", "GET", 200, tag, []string{"If-Modified-Since", at(-time.Hour - time.Second)}, 200},
		{"13.1.3", "GET", 200, tag, []string{"If-Modified-Since", "yesterday"}, 200},
		{"13.1.3", "GET", 200, tag, []string{"If-Modified-Since", at(0), "If-Modified-Since", at(0)}, 200},
		{"13.1.3", "GET", 200, tag, []string{"If-Modified-Since", "Sunday, 01-Mar-26 11:00:00 GMT"}, 304},
		// Without Last-Modified: Date, or when it came.
		{"4.3.2", "GET", 200, []string{"Date", at(-time.Minute)}, []string{"If-Modified-Since", at(-time.Minute)}, 304},
		{"4.3.2", "GET", 200, []string{"Date", at(-time.Minute)}, []string{"If-Modified-Since", at(-time.Hour)}, 200},
		{"4.3.2", "GET", 200, nil, []string{"If-Modified-Since", at(0)}, 304},
		{"4.3.2", "GET", 200, nil, []string{"If-Modified-Since", at(-time.Second)}, 200},
		// Not for caches, and not for what is no 200.
		{"4.3.2", "GET", 200, tag, []string{"If-Match", `"b"`, "If-Unmodified-Since", at(-2 * time.Hour)}, 200},
		{"13.2.1", "GET", 404, tag, []string{"If-None-Match", `"a"`}, 404},
		{"13.2.1", "GET", 301, tag, []string{"If-None-Match", "*"}, 301},
		{"13.2.1", "POST", 200, tag, []string{"If-None-Match", `"a"`}, 200},
	} {
		a, _, content := answer(t, c.method, c.status, c.response, c.request)
		if a.Status != c.want {
			t.Errorf("%s: %s %d %v for %v: %d, want %d", c.section, c.method, c.status, c.response, c.request, a.Status, c.want)
		}
		if wantBody := a.Status != 304 && c.method != "HEAD"; (content == text) != wantBody {
			t.Errorf("%v: content %q", c.request, content)
		}
	}
}

func TestNotModifiedFields(t *testing.T) {
	response := []string{
		"Cache-Control", "max-age=9", "Content-Location", "/x", "Date", at(0), "Etag", `"a"`, "Expires", at(0), "Vary", "Accept", "Last-Modified", at(0),
		"Content-Type", "text/plain", "Content-Encoding", "gzip", "Content-Language", "en", "Access-Control-Allow-Origin", "*",
	}
	a, h, _ := answer(t, "GET", 200, response, []string{"If-None-Match", `"a"`})
	for _, name := range []string{"Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Vary", "Age", "Access-Control-Allow-Origin"} {
		if h.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	if len(h) != 8 || a.Length != -1 || a.Send {
		t.Errorf("%+v %v", a, h)
	}
	_, h, _ = answer(t, "GET", 200, []string{"Last-Modified", at(0)}, []string{"If-Modified-Since", at(0)})
	if h.Get("Last-Modified") == "" {
		t.Error("no Last-Modified where there is no Etag")
	}
}

func TestRespondWhole(t *testing.T) {
	for _, method := range []string{"GET", "HEAD"} {
		a, h, content := answer(t, method, 200, []string{"X-A", "1"}, nil)
		if a.Status != 200 || a.Length != int64(len(text)) || h.Get("Age") != "1234" || h.Get("X-A") != "1" {
			t.Errorf("%s: %+v %v", method, a, h)
		}
		if method == "HEAD" != (content == "") || a.Send != (method == "GET") || a.Whole != a.Send {
			t.Errorf("%s: content %q", method, content)
		}
	}
}

func TestRespondRange(t *testing.T) {
	many := "bytes=" + strings.Repeat("0-0,2-2,", MaxRanges/2) + "4-4"
	for _, c := range []struct {
		section string
		method  string
		status  int
		field   string
		want    int
		content string
	}{
		{"14.1.2", "GET", 200, "bytes=0-0", 206, "0"},
		{"14.1.2", "GET", 200, "bytes=5-9", 206, "56789"},
		{"14.1.2", "GET", 200, "bytes=15-", 206, "fghij"},
		{"14.1.2", "GET", 200, "bytes=15-999", 206, "fghij"},
		{"14.1.2", "GET", 200, "bytes=15-99999999999999999999999", 206, "fghij"},
		{"14.1.2", "GET", 200, "bytes=-3", 206, "hij"},
		{"14.1.2", "GET", 200, "bytes=-999", 206, text},
		{"14.1.2", "GET", 200, "bytes=0-", 206, text},
		{"14.1", "GET", 200, "BYTES=0-1", 206, "01"},
		{"14.1.1", "GET", 200, "bytes= , 0-1 ,", 206, "01"},
		{"14.1.1", "GET", 200, "bytes=0-1,99-", 206, "01"},
		{"14.1.1", "GET", 200, "bytes=0-5,3-9", 206, text[:10]},
		{"14.1.1", "GET", 200, "bytes=0-5,6-9", 206, text[:10]},
		{"14.1.1", "GET", 200, "bytes=0-5,-1,3-99", 206, text},
		{"14.4", "GET", 200, "bytes=20-", 416, ""},
		{"14.4", "GET", 200, "bytes=20-,99-100", 416, ""},
		{"14.4", "GET", 200, "bytes=-0", 416, ""},
		{"14.4", "GET", 200, "bytes=99999999999999999999999-", 416, ""},
		// Ignored: what cannot be read, other units, too many, other methods and statuses.
		{"14.2", "GET", 200, "bytes=9-5", 200, text},
		{"14.2", "GET", 200, "bytes=0-1,9-5", 200, text},
		{"14.2", "GET", 200, "bytes=", 200, text},
		{"14.2", "GET", 200, "bytes=,", 200, text},
		{"14.2", "GET", 200, "bytes=-", 200, text},
		{"14.2", "GET", 200, "bytes=--1", 200, text},
		{"14.2", "GET", 200, "bytes=a-b", 200, text},
		{"14.2", "GET", 200, "bytes=0 - 1", 200, text},
		{"14.2", "GET", 200, "bytes=+0-1", 200, text},
		{"14.2", "GET", 200, "bytes=1", 200, text},
		{"14.2", "GET", 200, "bytes 0-1", 200, text},
		{"14.2", "GET", 200, "bytes =0-1", 200, text},
		{"14.2", "GET", 200, "lines=0-1", 200, text},
		{"14.2", "GET", 200, "0-1", 200, text},
		{"14.2", "GET", 200, many, 200, text},
		{"14.2", "HEAD", 200, "bytes=0-1", 200, ""},
		{"14.2", "POST", 200, "bytes=0-1", 200, text},
		{"14.2", "GET", 404, "bytes=0-1", 404, text},
	} {
		a, h, content := answer(t, c.method, c.status, []string{"Content-Type", "text/plain", "Cache-Control", "max-age=9"}, []string{"Range", c.field})
		if a.Status != c.want || content != c.content {
			t.Errorf("%s: %s %q: %d %q", c.section, c.method, c.field, a.Status, content)
		}
		switch a.Status {
		case 206:
			start := strings.Index(text, content)
			if want := "bytes " + strconv.Itoa(start) + "-" + strconv.Itoa(start+len(content)-1) + "/20"; h.Get("Content-Range") != want {
				t.Errorf("%q: Content-Range %q, want %q", c.field, h.Get("Content-Range"), want)
			}
		case 416:
			if h.Get("Content-Range") != "bytes */20" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "" {
				t.Errorf("%q: %v", c.field, h)
			}
		}
	}
	if a, _, _ := answer(t, "GET", 200, nil, []string{"Range", "bytes=0-1", "Range", "bytes=3-4"}); a.Status != 200 {
		t.Errorf("two fields: %d", a.Status)
	}
	if a, _, _ := answer(t, "GET", 200, []string{"Etag", `"a"`}, []string{"Range", "bytes=0-1", "If-None-Match", `"a"`}); a.Status != 304 {
		t.Errorf("13.2.2: a range of what is current: %d", a.Status)
	}
}

func TestRespondRangeOfNothing(t *testing.T) {
	for _, size := range []int64{0, -1} {
		r := &stored.Response{Status: 200, Size: size, Received: now}
		for _, field := range []string{"bytes=0-", "bytes=-5"} {
			q := ParseRequest(get("Range", field))
			var a Answer
			Respond(&a, http.Header{}, "GET", &q, r, now)
			if a.Status != 200 || !a.Whole || a.Length != size {
				t.Errorf("%s of %d: %+v", field, size, a)
			}
		}
	}
}

func TestIfRange(t *testing.T) {
	for _, c := range []struct {
		response []string
		value    string
		want     int
	}{
		{[]string{"Etag", `"a"`}, `"a"`, 206},
		{[]string{"Etag", `"a"`}, `"b"`, 200},
		{[]string{"Etag", `W/"a"`}, `W/"a"`, 200},
		{[]string{"Etag", `W/"a"`}, `"a"`, 200},
		{[]string{"Etag", `"a"`}, `W/"a"`, 200},
		{[]string{"Etag", `"a"`}, `a`, 200},
		{[]string{"Etag", `"a"`}, ``, 200},
		{[]string{"Last-Modified", at(-time.Hour), "Date", at(0)}, at(-time.Hour), 206},
		{[]string{"Last-Modified", at(-time.Hour), "Date", at(0)}, at(-time.Minute), 200},
		{[]string{"Last-Modified", at(-time.Hour), "Date", at(0)}, at(-2 * time.Hour), 200},
		{[]string{"Last-Modified", at(0), "Date", at(0)}, at(0), 200},
		{[]string{"Date", at(0)}, at(0), 200},
		{nil, `"a"`, 200},
	} {
		a, _, _ := answer(t, "GET", 200, c.response, []string{"Range", "bytes=0-1", "If-Range", c.value})
		if a.Status != c.want {
			t.Errorf("%v for %q: %d", c.response, c.value, a.Status)
		}
	}
	// Out of range, but of another representation: the whole.
	if a, _, _ := answer(t, "GET", 200, []string{"Etag", `"a"`}, []string{"Range", "bytes=99-", "If-Range", `"b"`}); a.Status != 200 {
		t.Errorf("416 of another representation: %d", a.Status)
	}
}

func TestRespondMultipart(t *testing.T) {
	a, h, content := answer(t, "GET", 200, []string{"Content-Type", "text/x; a=b"}, []string{"Range", "bytes=10-11, 0-1, 99-, -1"})
	kind, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	if a.Status != 206 || kind != "multipart/byteranges" || err != nil || h.Get("Content-Range") != "" {
		t.Fatalf("%d %v", a.Status, h)
	}
	parts := multipart.NewReader(strings.NewReader(content), parameters["boundary"])
	for _, want := range [][2]string{{"bytes 10-11/20", "ab"}, {"bytes 0-1/20", "01"}, {"bytes 19-19/20", "j"}} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(p)
		if string(got) != want[1] || err != nil || p.Header.Get("Content-Range") != want[0] || p.Header.Get("Content-Type") != "text/x; a=b" {
			t.Errorf("part %v %q %v", p.Header, got, err)
		}
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("after the last part: %v", err)
	}
	_, other, _ := answer(t, "GET", 200, nil, []string{"Range", "bytes=0-1,5-6"})
	if other.Get("Content-Type") == h.Get("Content-Type") {
		t.Error("boundaries can be guessed")
	}
}
