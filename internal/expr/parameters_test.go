package expr_test

import (
	"strings"
	"testing"

	"cardea.dev/cardea/internal/expr"
)

func TestRouted(t *testing.T) {
	e, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	r := e.Routed([]string{"id", "org-name"})
	for source, want := range map[string]string{
		"path.id":                        "",
		"path.org-name":                  "",
		"path":                           "",
		`path["org-name"] + path.id`:     "",
		"path.map(k, path[k])[0]":        "",
		`header["path"] + query.id2`:     "",
		"path.idd":                       `no parameter "idd"; did you mean "id"?`,
		" path.idd ":                     "      |  path.idd \n      |  ^^^^^^^^",
		`path["x"]`:                      `no parameter "x"; known are: id, org-name`,
		`path[?"x"].orValue("y")`:        `no parameter "x"`,
		`"x" in path ? "a" : "b"`:        `no parameter "x"`,
		`has(path.x) ? path.id : "none"`: `no parameter "x"`,
		"header.a +\n  path.x":           "      |   path.x\n      |   ^^^^^^",
		`["a"].exists(a, path.ids == a) ? "1" : ""`: `no parameter "ids"`,
		"path.": "",
	} {
		_, err := r.Value(source)
		if source == "path." {
			if err == nil || strings.Contains(err.Error(), "parameter") {
				t.Errorf("%s: %v", source, err)
			}
			continue
		}
		if got := text(err); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s", source, got)
		}
	}
	if _, err := r.Condition("path.x == path.id"); err == nil || !strings.Contains(err.Error(), `no parameter "x"`) {
		t.Error(err)
	}
	if _, err := r.Template("/a/{path.id}/{ path.x }"); err == nil || !strings.Contains(err.Error(), "\n      |                ^^^^^^") {
		t.Error(err)
	}
	if _, err := e.Routed(nil).Value("path.id"); err == nil || !strings.Contains(err.Error(), "as in /users/{id}") {
		t.Error(err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
