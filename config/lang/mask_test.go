package lang

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vault has secrets.
type vault struct {
	Key  Secret   `yaml:"key"`
	Keys []Secret `yaml:"keys"`
	URL  string   `yaml:"url"`
	N    int      `yaml:"n"`
}

func TestErrorsHideSecrets(t *testing.T) {
	tests := map[string]string{
		"literal":     `{key: hunter2, n: x}`,
		"after":       `{n: x, keys: [hunter2, "hunter2"]}`,
		"typo":        `{client_secrt: hunter2, n: x}`,
		"url":         `{url: "redis://u:hunter2@host", n: x}`,
		"field":       `{authorization: hunter2, "X-Api-Key": hunter2, n: x}`,
		"block":       "key: |\n  hunter2\n  hunter2\nn: x",
		"variable":    `{url: "${TOKEN}", n: "${TOKEN}"}`,
		"interpolate": `{n: "a${TOKEN}b"}`,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			n, err := ParseTree("x.yaml", []byte(text), Options{Env: testEnv})
			if err != nil {
				t.Fatal(err)
			}
			var v vault
			err = n.Decode(&v)
			err = errors.Join(err, errors.Join(n.Locate(FieldErrorf("url", "%q is bad, as is %s", v.URL, v.URL)).Err()))
			raw, jsonErr := json.Marshal(n.Locate(err))
			if jsonErr != nil {
				t.Fatal(jsonErr)
			}
			if shown := err.Error() + string(raw); strings.Contains(shown, "hunter2") {
				t.Error(shown)
			}
		})
	}
}

func TestMaskKeepsTheMark(t *testing.T) {
	n, err := ParseTree("x.yaml", []byte(`{key: abcdefghijklmnop, n: x}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	switches, err := ParseTree("x.yaml", []byte(`{credentials: true, max_tokens: off, n: x}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if shown := switches.Field("n").Errorf("wrong").Error(); strings.Contains(shown, "***") {
		t.Error(shown)
	}
	want := "x.yaml:1:28: n: \"x\" is not a whole number\n    1 | {key: ***, n: x}\n      |               ^\n   expected a whole number"
	if diff := cmp.Diff(want, n.Decode(&vault{}).Error()); diff != "" {
		t.Error(diff)
	}
}

func TestRedacted(t *testing.T) {
	text := `
key: &k abc
keys: [*k, "${TOKEN}", "x${TOKEN}"]
url: postgres://u:p@h/db
other: {a: [], b: {}, c: "off", d: off, e: , f: "a: b # c", g: "multi\nline", "y n": - x, 'é': é}
fields: {set: {Authorization: "Bearer ${TOKEN}", Proxy-Authorization: Basic abc, X-Api-Key: [abc, "${TOKEN}"], Accept: b}, credentials: true}
nested: [[1, 2], [{a: 1, b: 2}, {c: [d]}]]
`
	n, err := ParseTree("x.yaml", []byte(strings.Replace(text, "- x", "-x", 1)), Options{Env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Decode(&struct {
		vault `yaml:"-"`
		V     vault           `yaml:",inline"`
		Rest  map[string]Node `yaml:",inline"`
	}{}); err != nil {
		t.Fatal(err)
	}
	got := Redacted(n)
	golden(t, "testdata/redacted.yaml", got)
	if _, err := ParseTree("y.yaml", got, Options{Env: testEnv}); err != nil {
		t.Error(err)
	}
}

func TestLongLines(t *testing.T) {
	n, err := ParseTree("x.yaml", []byte("{url: "+strings.Repeat("é", 300)+", n: x, keys: ["+strings.Repeat("a, ", 200)+"]}"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/long.txt", []byte(n.Decode(&vault{}).Error()+"\n"))
}

func TestJSON(t *testing.T) {
	n, err := ParseTree("x.yaml", []byte("n: x\nkye: a\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(n.Decode(&vault{}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/errors.json", append(raw, '\n'))
}
