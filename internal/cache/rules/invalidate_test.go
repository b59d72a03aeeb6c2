package rules

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

func TestInvalidated(t *testing.T) {
	const own = "https://example.com/a/b?q=1"
	for _, c := range []struct {
		method   string
		status   int
		response []string
		want     []string
	}{
		{"POST", 200, nil, []string{own}},
		{"PUT", 204, nil, []string{own}},
		{"DELETE", 303, nil, []string{own}},
		{"PATCH", 302, nil, []string{own}},
		{"FROBNICATE", 200, nil, []string{own}},
		{"post", 200, nil, []string{own}},
		{"POST", 400, nil, nil},
		{"POST", 500, []string{"Location", "/x"}, nil},
		{"POST", 103, nil, nil},
		{"GET", 200, []string{"Location", "/x"}, nil},
		{"HEAD", 200, nil, nil},
		{"OPTIONS", 200, nil, nil},
		{"TRACE", 200, nil, nil},
		{"QUERY", 200, nil, nil},
		{"POST", 201, []string{"Location", "/x", "Content-Location", "../y?z=1#f"}, []string{own, "https://example.com/x", "https://example.com/y?z=1"}},
		{"POST", 201, []string{"Location", "https://EXAMPLE.com:443/x"}, []string{own, "https://example.com/x"}},
		{"POST", 201, []string{"Location", own}, []string{own}},
		{"POST", 201, []string{"Location", "?"}, []string{own, "https://example.com/a/b?"}},
		// Another origin.
		{"POST", 201, []string{"Location", "https://other.com/x"}, []string{own}},
		{"POST", 201, []string{"Location", "http://example.com/x"}, []string{own}},
		{"POST", 201, []string{"Location", "https://example.com:8443/x"}, []string{own}},
		{"POST", 201, []string{"Location", "//other.com/x", "Content-Location", "mailto:a@example.com"}, []string{own}},
		{"POST", 201, []string{"Location", "https://user@other.com/x", "Content-Location", "http://[::1/"}, []string{own}},
		{"POST", 201, []string{"Location", "https://other.com@example.com/x"}, []string{own, "https://example.com/x"}},
		{"POST", 201, []string{"Location", "%zz"}, []string{own}},
	} {
		target, err := url.Parse(own)
		if err != nil {
			t.Fatal(err)
		}
		if got := Invalidated(c.method, target, &http.Response{StatusCode: c.status, Header: header(c.response...)}); !slices.Equal(got, c.want) {
			t.Errorf("%s %d %v: %q, want %q", c.method, c.status, c.response, got, c.want)
		}
	}
}

func TestURL(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP://Example.COM:80":            "http://example.com/",
		"https://example.com:443/A%2fb?#x": "https://example.com/A%2fb?",
		"https://example.com:80/":          "https://example.com:80/",
		"http://[::1]:80/":                 "http://[::1]/",
		"http://example.com:/a?B=%41":      "http://example.com/a?B=%41",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := URL(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestTags(t *testing.T) {
	got := Tags(header("Surrogate-Key", "b a  a", "Surrogate-Key", "c", "Cache-Tag", "d e, f ,,a"))
	if want := []string{"a", "b", "c", "d e", "f"}; !slices.Equal(got, want) {
		t.Errorf("tags %q, want %q", got, want)
	}
	if got := Tags(header("X", "a")); got != nil {
		t.Errorf("tags of nothing: %q", got)
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status Status
		want   string
	}{
		{Status{Cache: "Cardea", Hit: true, HasTTL: true, TTL: 30500 * time.Millisecond}, "Cardea; hit; ttl=30"},
		{Status{Cache: "Cardea", Hit: true, HasTTL: true, TTL: -412 * time.Second}, "Cardea; hit; ttl=-412"},
		{Status{Cache: "a b", Forward: "uri-miss", Stored: true, Collapsed: true}, `"a b"; fwd=uri-miss; stored; collapsed`},
		{Status{Cache: "Cardea", Forward: "stale", Answered: 304}, "Cardea; fwd=stale; fwd-status=304"},
		{Status{Cache: "Cardea", Hit: true, Stored: true, Answered: 304}, "Cardea; hit"},
		{Status{Cache: "Cardea", Forward: "bypass", Key: "GET https://x/\nroute=a\"\\ü", Detail: "no-store"}, `Cardea; fwd=bypass; key="GET https://x/ route=a\"\\%C3%BC"; detail=no-store`},
		{Status{Cache: "1", Detail: "a b"}, `"1"; detail="a b"`},
	} {
		if got := c.status.String(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.status, got, c.want)
		}
	}
}
