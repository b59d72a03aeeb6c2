package redirect

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/target"
)

func newTarget(t testing.TB, text string) (target.Target, error) {
	t.Helper()
	return Kind().Build(filtertest.NewEnv(t, "r"), filtertest.Parse(t, text).Field("redirect"))
}

// exchange is a request for http://old.example.com/a%20b/c?x=1&y=%2F with a parameter "v".
func exchange(v string) *filter.Exchange {
	r := httptest.NewRequest("GET", "http://old.example.com:8080/a%20b/c?x=1&y=%2F", nil)
	return &filter.Exchange{
		Request: r, Params: filtertest.Params{"v": v},
		Original: filter.Original{Method: "GET", Scheme: "http", Host: "old.example.com", Path: "/a%20b/c", Query: "x=1&y=%2F"},
	}
}

func TestLocations(t *testing.T) {
	tests := []struct {
		text, v  string
		location string
		status   int
	}{
		{`redirect: "https://new.example.com{path}"`, "", "https://new.example.com/a%20b/c?x=1&y=%2F", 307},
		{`redirect: https://new.example.com`, "", "https://new.example.com?x=1&y=%2F", 307},
		{`redirect: HTTPS://new.example.com:8443/`, "", "https://new.example.com:8443/?x=1&y=%2F", 307},
		{`redirect: /elsewhere`, "", "/elsewhere?x=1&y=%2F", 307},
		{`redirect: {to: /elsewhere, keep_query: false, status: 303}`, "", "/elsewhere", 303},
		{`redirect: {to: "/elsewhere?own=1", status: 308}`, "", "/elsewhere?own=1", 308},
		{`redirect: "/elsewhere?{query}&own=1"`, "", "/elsewhere?x=1&y=%2F&own=1", 307},
		{`redirect: "/elsewhere#top"`, "", "/elsewhere?x=1&y=%2F#top", 307},
		{`redirect: "/elsewhere?a=b#{path.v}"`, "x y", "/elsewhere?a=b#x%20y", 307},
		{`redirect: {scheme: https}`, "", "https://old.example.com/a%20b/c?x=1&y=%2F", 307},
		{`redirect: {scheme: https, port: 8443, status: 301}`, "", "https://old.example.com:8443/a%20b/c?x=1&y=%2F", 301},
		{`redirect: {host: www.example.com, status: 302}`, "", "http://www.example.com/a%20b/c?x=1&y=%2F", 302},
		{`redirect: {path: "/v2/{path.v}", keep_query: false}`, "7", "/v2/7", 307},
		{`redirect: {path: "/v2{path}"}`, "", "/v2/a%20b/c?x=1&y=%2F", 307},
		{`redirect: "{scheme}://{host}:9000/x"`, "", "http://old.example.com:9000/x?x=1&y=%2F", 307},
		{`redirect: {to: "https://{path.v}.example.com/login?from={path}&v={path.v}"}`, "acme", "https://acme.example.com/login?from=/a%2520b/c&v=acme", 307},
		{`redirect: {to: "/x/{path.v}", keep_query: false}`, "a/b c?d#e%\\ü\r\nSet-Cookie: x", "/x/a/b%20c%3Fd%23e%25%5C%C3%BC%0D%0ASet-Cookie%3A%20x", 307},
		{`redirect: {to: "/x?v={path.v}", keep_query: false}`, "a&b=c/d#e", "/x?v=a%26b%3Dc%2Fd%23e", 307},
		{`redirect: {to: "/{path.v}", keep_query: false}`, "/evil.example", "/evil.example", 307},
		{`redirect: {to: "/{path.v}", keep_query: false}`, "///\\evil.example", "/%5Cevil.example", 307},
	}
	for _, tt := range tests {
		tg, err := newTarget(t, tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		resp, err := tg.Serve(exchange(tt.v))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := resp.Header.Get("Location"); got != tt.location || resp.StatusCode != tt.status || resp.ContentLength != 0 || resp.Header.Get("Content-Length") != "0" {
			t.Errorf("%s:\ngot  %d %s\nwant %d %s", tt.text, resp.StatusCode, got, tt.status, tt.location)
		}
	}
}

func TestSlashesInThePathAreNoHost(t *testing.T) {
	for _, text := range []string{`redirect: {to: "{path}", keep_query: false}`, `redirect: {path: "{path}", keep_query: false}`} {
		tg, err := newTarget(t, text)
		if err != nil {
			t.Fatal(err)
		}
		ex := exchange("")
		ex.Original.Path = "//evil.example/x"
		resp, err := tg.Serve(ex)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Location"); got != "/evil.example/x" {
			t.Errorf("got %s", got)
		}
	}
}

func TestIPv6Host(t *testing.T) {
	tg, _ := newTarget(t, "redirect: {scheme: https}")
	for _, host := range []string{"::1", "[::1]"} {
		ex := exchange("")
		ex.Original.Host = host
		resp, err := tg.Serve(ex)
		if err != nil || resp.Header.Get("Location") != "https://[::1]/a%20b/c?x=1&y=%2F" {
			t.Errorf("%s: %v, %v", host, resp, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		text, v string
		change  func(*filter.Exchange)
		want    filter.Code
	}{
		{`redirect: "https://{path.v}.example.com/"`, "evil.com/", nil, filter.BadRequest},
		{`redirect: "https://{path.v}.example.com/"`, "user@evil", nil, filter.BadRequest},
		{`redirect: "https://{path.v}.example.com/"`, "", nil, filter.BadRequest},
		{`redirect: "https://{path.v}.example.com/"`, "a..b", nil, filter.BadRequest},
		{`redirect: {scheme: https}`, "", func(ex *filter.Exchange) { ex.Original.Host = "a/b" }, filter.BadRequest},
		{`redirect: {scheme: https}`, "", func(ex *filter.Exchange) { ex.Original.Host = "" }, filter.BadRequest},
		{`redirect: "{path}"`, "", nil, filter.InternalError},
		{`redirect: {scheme: http}`, "", func(ex *filter.Exchange) { ex.Request.Host = "old.example.com" }, filter.InternalError},
	}
	for _, tt := range tests {
		tg, err := newTarget(t, tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		ex := exchange(tt.v)
		if tt.change != nil {
			tt.change(ex)
		}
		resp, err := tg.Serve(ex)
		var refused *filter.Error
		if !errors.As(err, &refused) || refused.Code != tt.want || resp != nil {
			t.Errorf("%s with %q: %v, %v", tt.text, tt.v, resp, err)
		}
		if got := tg.Explain(ex); !strings.HasPrefix(got, "refused: ") {
			t.Errorf("%s: %s", tt.text, got)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		`redirect: {}`:                                        "there is nowhere to go",
		`redirect: ""`:                                        "there is nowhere to go",
		`redirect: {to: /x, host: example.com}`:               "have no place beside it",
		`redirect: {to: /x, status: 200}`:                     "200 is not the status of a redirect",
		`redirect: {scheme: ftp}`:                             "redirect.scheme",
		`redirect: {host: example.com/x}`:                     "is more than a host",
		`redirect: {path: x}`:                                 "the path must begin with /",
		`redirect: {port: 70000}`:                             "redirect.port",
		`redirect: //example.com/`:                            "write https:// before it",
		`redirect: example.com`:                               "cannot be the beginning of an address",
		`redirect: "javascript:alert(1)"`:                     "cannot be the beginning of an address",
		`redirect: "{path.v}"`:                                "would let clients choose",
		`redirect: "https://{path.v}"`:                        "would let clients choose",
		`redirect: "https://{path.v}/x"`:                      "would let clients choose",
		`redirect: "https://{path.v}.com/x"`:                  "would let clients choose",
		`redirect: "https://{path.v}example.com/x"`:           "would let clients choose",
		`redirect: "https://example.com{path.v}"`:             "would let clients choose",
		`redirect: "https://{host}.example.com{path.v}"`:      "would let clients choose",
		`redirect: "https://{host}{path.v}"`:                  "would let clients choose",
		`redirect: "https://user@example.com/"`:               "cannot be a host",
		`redirect: https://`:                                  "the address has no host",
		`redirect: "https:///x"`:                              "the address has no host",
		`redirect: "/x/{path.v"`:                              "never closed",
		`redirect: "/x/path.v}"`:                              "without an opening one",
		`redirect: "/x/{ }"`:                                  "nothing stands in these braces",
		`redirect: "/x/{nonsense}"`:                           `unknown variable "nonsense"`,
		`redirect: "/x/{query}"`:                              "{query} has its place after a ?",
		`redirect: "/x/a}}b"`:                                 "percent-encode it",
		`redirect: "/x y"`:                                    "percent-encode it",
		`redirect: "/x\r\nSet-Cookie: a=b"`:                   "percent-encode it",
		`redirect: "/\\example.com"`:                          "percent-encode it",
		"redirect:\n  status: 301\n  host: '{path.v}.com'":    "test.yaml:3:9",
		"redirect:\n  status: 301\n  to: https://{nonsense}/": "test.yaml:3:7",
	} {
		_, err := newTarget(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in it", text, err, want)
		}
	}
	if _, err := newTarget(t, `redirect: '/x/{{"a": "}"}["a"]}'`); err != nil {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	tg, _ := newTarget(t, "redirect: {scheme: https, status: 308}")
	if got, want := tg.Explain(exchange("")), "308 to https://old.example.com/a%20b/c?x=1&y=%2F"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if Kind().Name() != "redirect" {
		t.Error(Kind().Name())
	}
}

// FuzzNoOpenRedirect looks for values and request lines that lead to another host.
func FuzzNoOpenRedirect(f *testing.F) {
	for _, s := range []string{"", "/evil.example", "\\evil.example", "evil.example/", "a@evil.example", "\t//evil.example", "\r\nX: y", ".", "..//x"} {
		f.Add(s, s)
	}
	var targets []target.Target
	for _, text := range []string{
		`redirect: "/{path.v}"`, `redirect: "{path}"`, `redirect: "{path}{path.v}"`, `redirect: "https://{path.v}.example.com{path}"`,
		`redirect: "https://www.example.com{path}?{query}#{path.v}"`, `redirect: "https://www.example.com/{path.v}"`,
	} {
		tg, err := newTarget(f, text)
		if err != nil {
			f.Fatal(err)
		}
		targets = append(targets, tg)
	}
	base, _ := url.Parse("https://old.example.com/")
	f.Fuzz(func(t *testing.T, v, line string) {
		ex := exchange(v)
		ex.Original.Path, ex.Original.Query = line, line
		for _, tg := range targets {
			resp, err := tg.Serve(ex)
			if err != nil {
				continue
			}
			location := resp.Header.Get("Location")
			if strings.ContainsFunc(location, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) || strings.HasPrefix(location, "//") {
				t.Fatalf("unsafe: %q", location)
			}
			if u, err := base.Parse(location); err == nil && !strings.HasSuffix(u.Host, ".example.com") {
				t.Fatalf("%q leads to %q", location, u.Host)
			}
		}
	})
}

func TestThroughARealServer(t *testing.T) {
	tg, _ := newTarget(t, `redirect: "/new{path}"`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/new/") {
			return
		}
		ex := &filter.Exchange{Request: r, Original: filter.Original{Scheme: "http", Host: "127.0.0.1", Path: r.URL.EscapedPath(), Query: r.URL.RawQuery}}
		resp, err := tg.Serve(ex)
		if err != nil {
			panic(err)
		}
		w.Header().Set("Location", resp.Header.Get("Location"))
		w.WriteHeader(resp.StatusCode)
	}))
	defer s.Close()
	resp, err := s.Client().Get(s.URL + "/a%2Fb?x=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Request.URL.RequestURI(); got != "/new/a%2Fb?x=1" || resp.StatusCode != 200 {
		t.Errorf("got %s, %d", got, resp.StatusCode)
	}
}

func BenchmarkServe(b *testing.B) {
	tg, err := newTarget(b, `redirect: "https://new.example.com{path}"`)
	if err != nil {
		b.Fatal(err)
	}
	ex := exchange("")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = tg.Serve(ex)
	}
}
