package pathtemplate

import (
	"net/url"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/expr"
)

// values are what stands in braces.
type values map[string]string

func (v values) Get(name string) (string, bool) { s, ok := v[name]; return s, ok }

func env(t *testing.T) *filter.Env {
	t.Helper()
	e, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	return &filter.Env{Expr: e, Route: &filter.Route{Match: "/x/{rest...}"}}
}

func TestValuesStayInTheirPlace(t *testing.T) {
	for template, byValue := range map[string]map[string]string{
		"/u/{path.v}":      {"a": "/u/a", "a b": "/u/a%20b", "a/b": "/u/a%2Fb", "a;b": "/u/a%3Bb", "ü": "/u/%C3%BC", "a?b#c": "/u/a%3Fb%23c", "%2e": "!", "..": "!", ".": "!", "": "!", "a\x00": "!", "..\\x": "!"},
		"/u/{path.v...}/z": {"a/b": "/u/a/b/z", "a/../b": "!", "": "/u//z"},
		"/u/{path.rest}":   {"a/b c": "", "": ""},
		"/u?q={path.v}&p":  {"a b": "/u?q=a+b&p", "a&b=c": "/u?q=a%26b%3Dc&p", "": "/u?q=&p", "..": "/u?q=..&p"},
		"/{path.v}x.{path.v}": {
			".": "!", "a": "/ax.a",
		},
	} {
		path, query, asked, err := New(env(t), template, nil)
		if err != nil {
			t.Errorf("%s: %v", template, err)
			continue
		}
		for value, want := range byValue {
			ex := &filter.Exchange{Params: values{"v": value}}
			got, err := path.Join(ex, nil)
			if err == nil {
				got, err = Finish(got)
			}
			if err == nil && asked {
				var q string
				q, err = query.Join(ex, nil)
				got += "?" + q
			}
			if err != nil {
				got = "!"
			}
			if want != "" && got != want {
				t.Errorf("%s with %q: %q, wanted %q (%v)", template, value, got, want, err)
			}
		}
	}
}

func TestTemplatesThatAreWrong(t *testing.T) {
	for template, want := range map[string]string{
		"u": "slash", "": "slash", "{path.v}": "slash", "/a/../b": "segment", "/%2e%2E/{path.v}": "segment", "/a%zz": "%25", "/a#b": "%23", "/a\x01": "control", "/{nothing}": "unknown variable",
	} {
		if _, _, _, err := New(env(t), template, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, wanted %q", template, err, want)
		}
	}
}

func TestSetPath(t *testing.T) {
	for escaped, want := range map[string]string{"/a%2Fb": "/a%2Fb", "/a b": "/a%20b", "/%C3%BC": "/%C3%BC", "/a;b": "/a;b"} {
		var u url.URL
		if err := SetPath(&u, escaped); err != nil || u.EscapedPath() != want {
			t.Errorf("%q: %q, %v", escaped, u.EscapedPath(), err)
		}
	}
	if err := SetPath(&url.URL{}, "/%zz"); err == nil {
		t.Error("a broken escape is taken")
	}
}
