package call_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/call"
)

func made(t *testing.T, text string) *call.Call {
	t.Helper()
	env := filtertest.NewEnv(t, "r", filtertest.Upstream("u", nil))
	c := &call.Config{}
	c.Default()
	if err := filtertest.Parse(t, text).Decode(c); err != nil {
		t.Fatal(err)
	}
	n, err := call.New(call.Scope{Env: env}, c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func asked(t *testing.T, n *call.Call) (*http.Request, error) {
	t.Helper()
	r, _ := http.NewRequest("PUT", "http://gateway/x?q=a%2Fb&two=a+b&x=%3C/x%3E+%26admin=1%22", nil)
	for name, v := range map[string]string{
		"X-A": "1", "X-B": "2", "Content-Type": "text/x", "If-None-Match": "x", "Range": "x", "Accept": "text/html", "Accept-Encoding": "br", "Te": "trailers", "Authorization": "Bearer x",
	} {
		r.Header.Set(name, v)
	}
	return n.Request(t.Context(), &filter.Exchange{Request: r})
}

// TestRequests: what is escaped, what goes along.
func TestRequests(t *testing.T) {
	for _, test := range []struct{ text, line, fields, without, body string }{
		{`u`, "GET /", "X-A=1 X-B=2 Authorization=Bearer x Accept=application/json Accept-Encoding=identity", "Content-Type If-None-Match Range Te", ""},
		{`"u/s/{query.q}?z={query.q}&w={query.two}"`, "GET /s/a%2Fb?z=a%2Fb&w=a+b", "", "", ""},
		{`u?x=1`, "GET /?x=1", "", "", ""},
		{`{call: DELETE u/x, forward: [x-a]}`, "DELETE /x", "X-A=1", "X-B Authorization", ""},
		{`{call: u, headers: {x-a: "", x-c: "{query.q}\r\nX-Evil: 1", accept: text/plain}}`, "GET /", "X-C=a/b  X-Evil: 1 Accept=text/plain", "X-A X-Evil", ""},
		{`{call: POST u, body: {a: "{query.q}", b: [1, "x {query.q}"], c: "{query.none}"}}`, "POST /", "Content-Type=application/json Content-Length=41", "", `{"a":"a/b","b":[1,"x a/b"],"c":null}`},
		{`{call: PUT u, content_type: text/plain, body: "{query.q}!"}`, "PUT /", "Content-Type=text/plain", "", `a/b!`},
		{`{call: PUT u, content_type: application/x-www-form-urlencoded, body: "a={query.x}&b=1"}`, "PUT /", "Content-Type=application/x-www-form-urlencoded", "", `a=%3C%2Fx%3E+%26admin%3D1%22&b=1`},
		{`{call: PUT u, content_type: "text/xml; charset=utf-8", body: "<a b='{query.x}'>{query.x}</a>"}`, "PUT /", "", "", `<a b='&lt;/x&gt; &amp;admin=1&#34;'>&lt;/x&gt; &amp;admin=1&#34;</a>`},
		{`{call: PUT u, content_type: application/soap+xml, body: "<a>{query.x}</a>"}`, "PUT /", "", "", `<a>&lt;/x&gt; &amp;admin=1&#34;</a>`},
	} {
		req, err := asked(t, made(t, test.text))
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		if got := req.Method + " " + req.URL.RequestURI(); got != test.line {
			t.Errorf("%s is %s", test.text, got)
		}
		b, _ := io.ReadAll(req.Body)
		if string(b) != test.body || req.ContentLength != int64(len(b)) {
			t.Errorf("%s: body %s, of %d bytes", test.text, b, req.ContentLength)
		}
		for _, name := range strings.Fields(test.without) {
			if req.Header[name] != nil {
				t.Errorf("%s: %s is %q", test.text, name, req.Header[name])
			}
		}
		for name, want := range fieldsOf(test.fields) {
			if got := req.Header.Get(name); name != "Content-Length" && got != want {
				t.Errorf("%s: %s is %q, wanted %q", test.text, name, got, want)
			}
		}
	}
}

// fieldsOf reads "A=1 B=2", in which a value may have spaces.
func fieldsOf(s string) map[string]string {
	all, last := map[string]string{}, ""
	for i, word := range strings.Split(s, " ") {
		if name, value, is := strings.Cut(word, "="); is {
			last = name
			all[name] = value
		} else if i > 0 {
			all[last] += " " + word
		}
	}
	return all
}

// TestNoRequest: a value that a path needs is missing, or cannot stand there.
func TestNoRequest(t *testing.T) {
	for _, text := range []string{`"u/{query.none}"`, `"u/{header.x-dots}"`, `"u/{header.x-long}"`, `"u/?q={header.x-long}"`, `{call: u, headers: {x-a: "{header.x-long}"}}`} {
		n := made(t, text)
		r, _ := http.NewRequest("GET", "http://gateway/", nil)
		r.Header.Set("X-Dots", "..")
		r.Header.Set("X-Long", strings.Repeat("x", call.MaxValue+1))
		if req, err := n.Request(t.Context(), &filter.Exchange{Request: r}); err == nil {
			t.Errorf("%s is %s", text, req.URL)
		}
	}
}

// TestLimits: the nearer end counts, and says so; one that was lifted does not come.
func TestLimits(t *testing.T) {
	late := errors.New("all together")
	own := made(t, `{call: "u/x?key=secret", timeout: 1ms}`).Limit(t.Context(), time.Now().Add(time.Hour), late)
	<-own.Done()
	var e *filter.Error
	if !errors.As(context.Cause(own), &e) || e.Code != filter.UpstreamTimeout || e.Cause == nil || strings.Contains(e.Cause.Error(), "secret") {
		t.Errorf("its own time: %v", context.Cause(own))
	}
	all := made(t, `{call: u, timeout: 1h}`).Limit(t.Context(), time.Now().Add(-time.Second), late)
	<-all.Done()
	if context.Cause(all) != late {
		t.Errorf("that of all: %v", context.Cause(all))
	}
	lifted := made(t, `{call: u, timeout: 1h}`).Limit(t.Context(), time.Time{}, late)
	lifted.Lift()
	if lifted.Err() != nil {
		t.Error("it has ended")
	}
	lifted.End()
	if context.Cause(lifted) != context.Canceled {
		t.Errorf("at its end: %v", context.Cause(lifted))
	}
}

// TestJSON: what an answer must say of itself.
func TestJSON(t *testing.T) {
	for _, test := range []struct {
		status         int
		kind, encoding string
		ok, none       bool
	}{
		{200, "application/json", "", true, false},
		{200, "application/problem+json; charset=UTF-8", "identity", true, false},
		{204, "", "", true, true},
		{200, "", "", false, false},
		{200, "text/html", "", false, false},
		{200, "application/json; charset=latin1", "", false, false},
		{200, "application/json", "br", false, false},
		{200, "application/json", "gzip", false, false},
		{200, ";;", "", false, false},
	} {
		resp := &http.Response{StatusCode: test.status, ContentLength: -1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}
		if test.kind != "" {
			resp.Header.Set("Content-Type", test.kind)
		}
		if test.encoding != "" {
			resp.Header.Set("Content-Encoding", test.encoding)
		}
		r, err := call.JSON(resp)
		if (err == nil) != test.ok || test.ok && (r == nil) != test.none {
			t.Errorf("%+v: %v %v", test, r, err)
		}
	}
}
