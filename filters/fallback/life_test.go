package fallback

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// TestLastGoodExpires with its max_age, counted from when it was good, and from how old it was then.
func TestLastGoodExpires(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	env := filtertest.NewEnv(t, "r")
	c := &Config{}
	c.Default()
	if err := filtertest.Parse(t, "{last_good: {max_age: 10m}}").Decode(c); err != nil {
		t.Fatal(err)
	}
	p, err := newPolicy(env, c, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string, status int, fields ...string) (*http.Response, string) {
		t.Helper()
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", path, nil), Route: env.Route, Original: filter.Original{Method: "GET", Scheme: "http", Host: "example.com", Path: path}}
		ex.Prepare(env.Slots())
		if err := p.request(ex); err != nil {
			t.Fatal(err)
		}
		ex.Response = &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: -1, Body: io.NopCloser(strings.NewReader("body"))}
		for _, f := range fields {
			name, value, _ := strings.Cut(f, ": ")
			ex.Response.Header.Set(name, value)
		}
		if err := p.response(ex); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(ex.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		ex.Response.Body.Close()
		p.finish(ex)
		return ex.Response, string(body)
	}
	ask("/new", 200)
	ask("/old", 200, "Age: 540")
	for _, step := range []struct {
		after time.Duration
		path  string
		age   string // "": there is none any more
	}{
		{0, "/new", "0"},
		{time.Minute, "/new", "60"},
		{time.Minute, "/old", "600"},
		{time.Minute + time.Second, "/old", ""},
		{10 * time.Minute, "/new", "600"},
		{10*time.Minute + time.Second, "/new", ""},
	} {
		now = time.Unix(1_700_000_000, 0).Add(step.after)
		resp, _ := ask(step.path, 503)
		if got := resp.Header.Get("Age"); got != step.age || (resp.StatusCode == 200) != (step.age != "") {
			t.Errorf("%s after %s: %d, Age %q, want %q", step.path, step.after, resp.StatusCode, got, step.age)
		}
	}
}
