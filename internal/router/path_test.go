package router

import (
	"slices"
	"strings"
	"testing"
)

func mustPath(t testing.TB, pattern string) Path {
	t.Helper()
	p, err := ParsePath(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePath(t *testing.T) {
	type parsed struct {
		key    string
		params string
	}
	for pattern, want := range map[string]parsed{
		"/":                              {"/", ""},
		"/health":                        {"/health", ""},
		"/health/":                       {"/health/", ""},
		"/users/{id}":                    {"/users/{}", "id"},
		"/users/{user-id}/x":             {"/users/{}/x", "user-id"},
		"/files/{name}.json":             {"/files/{}.json", "name"},
		"/files/*.json":                  {"/files/{}.json", ""},
		"/v{n}/x":                        {"/v{}/x", "n"},
		"/a/*/b":                         {"/a/{}/b", ""},
		"/**":                            {"/**", ""},
		"/files/**":                      {"/files/**", ""},
		"/files/{rest...}":               {"/files/**", "rest"},
		"/{a}/{b}/{c...}":                {"/{}/{}/**", "a b c"},
		"/café":                          {"/caf%C3%A9", ""},
		"/caf%c3%a9":                     {"/caf%C3%A9", ""},
		"/%61 b":                         {"/a%20b", ""},
		"/a%2fb":                         {"/a%2Fb", ""},
		"/v1/x:cancel":                   {"/v1/x:cancel", ""},
		"/%7Bx%7D":                       {"/%7Bx%7D", ""},
		"~^/v[0-9]+/.*$":                 {"~^/v[0-9]+/.*$", ""},
		"~^/(?P<a>[0-9]+)/(?<b>.*)(x?)$": {"~^/(?P<a>[0-9]+)/(?<b>.*)(x?)$", "a b"},
	} {
		p, err := ParsePath(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		if got := (parsed{p.key(), strings.Join(p.Params(), " ")}); got != want {
			t.Errorf("%s: got %v, want %v", pattern, got, want)
		}
		if p.String() != pattern {
			t.Errorf("%s: String gives %s", pattern, p)
		}
	}
}

func TestParsePathErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"":               "it is empty",
		"users":          "must start with /",
		"/a/**/b":        "only at the end",
		"/{r...}/b":      "only at the end",
		"/a**":           "a segment of its own",
		"/a//b":          "empty segment",
		"/a/../b":        "can never match",
		"/a/%2e":         "can never match",
		"/a?b":           "no ? or #",
		"/{id":           "{ without a }",
		"/id}":           "} without a {",
		"/{a}}":          "} without a {",
		"/{}":            "needs a name",
		"/{a}{b}":        "more than one parameter",
		"/{a}-*":         "more than one parameter",
		"/{id:[0-9]+}":   "use a regular expression",
		"/{1}":           "starts with a letter",
		"/{...}":         "a segment of its own",
		"/x{rest...}":    "a segment of its own",
		"/{a}/{a}":       "two parameters called a",
		"/%zz":           "percent sign",
		"/a%00":          "control character",
		"/a\\b":          "backslash",
		"~^/(":           "missing closing )",
		"~^users/.*":     "can never match",
		"~^/é":           "%C3%A9",
		"~(?P<a>x)|(?P<": "missing",
	} {
		_, err := ParsePath(pattern)
		if want == "missing" {
			if err == nil {
				t.Errorf("%s: no error", pattern)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want … %s …", pattern, err, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for pattern, want := range map[string]string{
		"/users/{id}":        "/users/?",
		"/users/*/a":         "/users/?/a",
		"/f/v{n}.json":       "/f/v?.json",
		"/caf\u00e9":         "/caf%C3%A9",
		"/":                  "/",
		"/users/":            "/users/",
		"/**":                "unknown",
		"/users/**":          "unknown",
		"/files/{rest...}":   "unknown",
		"~^/users/([0-9]+)$": "unknown",
	} {
		got, ok := mustPath(t, pattern).Pattern("?")
		if !ok {
			got = "unknown"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
	if got, ok := (Path{}).Pattern("?"); ok {
		t.Errorf("any path: got %s", got)
	}
}

func TestJoin(t *testing.T) {
	for _, c := range []struct{ outer, child, want string }{
		{"/orders/**", "/reports/**", "/orders/reports/**"},
		{"/orders/**", "/**", "/orders/**"},
		{"/orders/**", "/", "/orders/"},
		{"/**", "/a", "/a"},
		{"/**", "~^/a$", "~^/a$"},
		{"", "/a/{x}", "/a/{x}"},
		{"", "~^/a$", "~^/a$"},
		{"/a/**", "", "/a/**"},
		{"/a", "", "/a"},
		{"/t/{tenant}/{rest...}", "/u/{id}", "/t/{tenant}/u/{id}"},
		{"/{all...}", "/u/{id}", "/u/{id}"},
		{"/a", "/b", "error: must end in /**"},
		{"~^/a/.*$", "/b", "error: must end in /**"},
		{"/a/**", "~^/b$", "error: whole path"},
		{"/{id}/**", "/{id}", "error: two parameters called id"},
	} {
		var outer, child Path
		if c.outer != "" {
			outer = mustPath(t, c.outer)
		}
		if c.child != "" {
			child = mustPath(t, c.child)
		}
		joined, err := outer.Join(child)
		if text, isError := strings.CutPrefix(c.want, "error: "); isError {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s + %s: got %v, %v, want error %s", c.outer, c.child, joined, err, text)
			}
			continue
		}
		if err != nil || joined.String() != c.want {
			t.Errorf("%s + %s: got %v, %v, want %s", c.outer, c.child, joined, err, c.want)
		}
		if want := mustPath(t, c.want); !slices.Equal(joined.Params(), want.Params()) || joined.key() != want.key() || (joined.captures == nil) != (want.captures == nil) {
			t.Errorf("%s + %s: not the same as %s", c.outer, c.child, c.want)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/{b}/**", "/{x...}", "/v{n}.json", "/*", "~^/a(?P<x>.)$", "/%zz", "/é", "/{", "/a//b", "/..;/", "/%C3{x}%A9"} {
		f.Add(seed, "/a/b")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := ParsePath(pattern)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot parse path ") {
				t.Fatalf("error without object: %v", err)
			}
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || again.key() != p.key() || !slices.Equal(again.Params(), p.Params()) {
			t.Fatalf("%q prints as %q, which parses as %v, %v", pattern, p, again, err)
		}
		normal, _, err := Normalize(path)
		if err != nil {
			return
		}
		// What the tree finds is what the pattern by itself says, and its parameters can be taken out.
		table, _ := New([]Rule{{Path: p, Value: 7}})
		r := Request{Path: normal, Params: &Params{}}
		if _, ok := table.Match(&r); ok != p.matches(normal) {
			t.Fatalf("%q on %q: table says %v, pattern %v", pattern, normal, ok, !ok)
		} else if ok && r.Params.Len() != len(p.Params()) {
			t.Fatalf("%q on %q: %d params, want %d", pattern, normal, r.Params.Len(), len(p.Params()))
		}
	})
}
