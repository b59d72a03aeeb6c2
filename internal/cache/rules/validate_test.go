package rules

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

func TestAddValidators(t *testing.T) {
	for _, c := range []struct {
		stored, want []string
		ok           bool
	}{
		{[]string{"Etag", `"a"`, "Last-Modified", at(-time.Hour)}, []string{"If-None-Match", `"a"`, "If-Modified-Since", at(-time.Hour)}, true},
		{[]string{"Etag", `W/"a"`}, []string{"If-None-Match", `W/"a"`}, true},
		{[]string{"Last-Modified", at(-time.Hour)}, []string{"If-Modified-Since", at(-time.Hour)}, true},
		{nil, nil, false},
	} {
		r := store(t, &Settings{}, 200, header(cc("max-age=9", c.stored...)...))
		h := header("If-None-Match", `"client"`, "If-Modified-Since", at(0), "If-Match", "*", "If-Unmodified-Since", at(0), "Range", "bytes=0-1", "If-Range", `"x"`)
		Unconditional(h)
		if ok := AddValidators(h, r); ok != c.ok || len(h) != len(c.want)/2 {
			t.Errorf("%v: %v %v", c.stored, ok, h)
		}
		for i := 0; i < len(c.want); i += 2 {
			if h.Get(c.want[i]) != c.want[i+1] {
				t.Errorf("%v: %v", c.stored, h)
			}
		}
	}
	missing := store(t, &Settings{}, 404, header(cc("max-age=9", "Etag", `"a"`)...))
	if AddValidators(http.Header{}, missing) {
		t.Error("a 404 is validated: only a 2xx can be")
	}
}

// answered is an exchange whose upstream answered a minute after the response was stored.
func answered(status int, pairs ...string) *Exchanged {
	later := now.Add(time.Minute)
	r := get()
	q := ParseRequest(r)
	return &Exchanged{Request: r, Asked: &q, Response: &http.Response{StatusCode: status, Header: header(pairs...)}, Requested: later, Received: later}
}

func TestUpdateSelects(t *testing.T) {
	for _, c := range []struct {
		section     string
		stored, new []string
		want        bool
	}{
		{"4.3.4", []string{"Etag", `"a"`}, []string{"Etag", `"a"`}, true},
		{"4.3.4", []string{"Etag", `"a"`}, []string{"Etag", `"b"`}, false},
		{"4.3.4", []string{"Etag", `W/"a"`}, []string{"Etag", `W/"a"`}, true},
		{"4.3.4", []string{"Etag", `W/"a"`}, []string{"Etag", `"a"`}, false},
		{"4.3.4", []string{"Etag", `"a"`}, []string{"Etag", `W/"a"`}, true},
		{"4.3.4", []string{"Etag", `"a"`, "Last-Modified", at(-time.Hour)}, []string{"Etag", `"a"`, "Last-Modified", at(-time.Minute)}, true},
		{"4.3.4", []string{"Last-Modified", at(-time.Hour)}, []string{"Last-Modified", at(-time.Hour)}, true},
		{"4.3.4", []string{"Last-Modified", at(-time.Hour)}, []string{"Last-Modified", at(-time.Minute)}, false},
		{"4.3.4", []string{"Last-Modified", at(-time.Hour)}, []string{"Etag", `"a"`}, false},
		{"4.3.4", []string{"Etag", `"a"`}, nil, true},
		{"4.3.4", []string{"Etag", `"a"`}, []string{"Etag", `"a"`, "Etag", `"b"`}, false},
		{"4.1", []string{"Etag", `"a"`}, []string{"Vary", "Accept"}, false},
		{"4.1", []string{"Etag", `"a"`}, []string{"Vary", "*"}, false},
		{"4.1", []string{"Etag", `"a"`, "Vary", "Accept, Cookie"}, []string{"Vary", "cookie", "Vary", "accept"}, true},
		{"4.1", []string{"Etag", `"a"`, "Vary", "Accept, Cookie"}, []string{"Vary", "Accept"}, false},
	} {
		r := store(t, &Settings{}, 200, header(cc("max-age=9", c.stored...)...))
		if got, why := Update(&Settings{}, answered(304, c.new...), r); (got != nil) != c.want || why != "" {
			t.Errorf("%s: %v by %v: %v %q", c.section, c.stored, c.new, got != nil, why)
		}
	}
}

func TestUpdateFields(t *testing.T) {
	r := store(t, &Settings{}, 200, header("Cache-Control", "max-age=9", "Etag", `"a"`, "Content-Type", "text/plain", "Content-Encoding", "gzip", "X-Old", "1", "X-Both", "1", "X-Both", "2",
		"Warning", `110 x "stale"`, "Age", "7", "Date", at(0), "Surrogate-Key", "one"))
	x := answered(304, "Cache-Control", "max-age=90", "Etag", `"a"`, "Content-Type", "text/html", "Content-Encoding", "br", "Content-Length", "0", "Content-Range", "bytes 0-0/9", "Content-Foo", "1",
		"X-Both", "3", "X-New", "1", "Set-Cookie", "a=b", "Connection", "x-hop", "X-Hop", "1", "Transfer-Encoding", "chunked", "Surrogate-Key", "two", "Expires", "0")
	got, why := Update(&Settings{}, x, r)
	if got == nil || why != "" {
		t.Fatalf("not updated: %q", why)
	}
	want := header("Cache-Control", "max-age=90", "Etag", `"a"`, "Content-Type", "text/html", "Content-Encoding", "gzip", "Content-Foo", "1", "X-Old", "1", "X-Both", "3", "X-New", "1",
		"Date", at(time.Minute), "Surrogate-Key", "two", "Expires", "0")
	h := got.Header.Header()
	if len(h) != len(want) {
		t.Errorf("fields %v, want %v", h, want)
	}
	for name := range want {
		if !slices.Equal(h[name], want[name]) {
			t.Errorf("%s: %v, want %v", name, h[name], want[name])
		}
	}
	if got.Terms.Lifetime != 90*time.Second || got.Terms.InitialAge != 0 || !got.Received.Equal(x.Received) || got.Size != r.Size || !slices.Equal(got.Tags, []string{"two"}) {
		t.Errorf("updated to %+v", got)
	}
	if left := got.Left(x.Received); left != 90*time.Second {
		t.Errorf("fresh for %v", left)
	}
	if r.Header.Get("X-Both") != "1" {
		t.Error("the old response has changed")
	}
}

func TestUpdateForbids(t *testing.T) {
	r := store(t, &Settings{}, 200, header("Cache-Control", "max-age=9", "Etag", `"a"`))
	for control, want := range map[string]Why{"no-store": WhyNoStore, "private": WhyPrivate, "no-cache": "", "max-age=0": ""} {
		got, why := Update(&Settings{}, answered(304, "Etag", `"a"`, "Cache-Control", control), r)
		if got == nil || why != want {
			t.Errorf("%s: %v %q", control, got, why)
		}
	}
	x := answered(304)
	x.Authorized = true
	if got, why := Update(&Settings{}, x, r); got == nil || why != WhyAuthorization {
		t.Errorf("authorized: %v %q", got, why)
	}
	unkeyed := store(t, &Settings{}, 200, header("Etag", `"a"`, "Vary", "*"))
	if got, why := Update(&Settings{}, answered(304, "Etag", `"a"`, "Vary", "*"), unkeyed); got == nil || why != "" || !got.Terms.Flags.Has(stored.Unkeyed) {
		t.Errorf("Vary: *: %v %q", got, why)
	}
	if got, _ := Update(&Settings{}, answered(304), unkeyed); got != nil {
		t.Error("Vary: *: selected by a 304 that names nothing")
	}
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		status int
		new    []string
		want   bool
	}{
		{200, []string{"Etag", `"a"`, "Content-Length", "100", "X-New", "1"}, true},
		{200, []string{"X-New", "1"}, true},
		{200, []string{"Etag", `"b"`}, false},
		{200, []string{"Last-Modified", at(0)}, false},
		{200, []string{"Content-Length", "99"}, false},
		{200, []string{"Content-Length", "x"}, false},
		{200, []string{"Vary", "Accept"}, false},
		{404, nil, false},
	} {
		r := store(t, &Settings{}, 200, header("Cache-Control", "max-age=9", "Etag", `"a"`, "Last-Modified", at(-time.Hour)))
		got, _ := Head(&Settings{}, answered(c.status, c.new...), r)
		if (got != nil) != c.want {
			t.Errorf("%d %v: %v", c.status, c.new, got != nil)
		}
		if got != nil && (got.Header.Get("Last-Modified") == "" || !got.Received.After(r.Received)) {
			t.Errorf("%v: updated to %+v", c.new, got)
		}
	}
}
