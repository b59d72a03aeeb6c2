package config

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cardea.dev/cardea/config/lang"
)

// corsPolicy, jwtPolicy and others stand for the real policies and targets, in their forms.
type corsPolicy struct {
	// Origins are the origins that may ask.
	Origins []string `yaml:"origins,short"`
	// MaxAge is how long a browser remembers.
	MaxAge Duration `yaml:"max_age" max:"1d"`
}

// Default sets 10m for MaxAge.
func (c *corsPolicy) Default() { _ = c.MaxAge.UnmarshalText([]byte("10m")) }

type jwtPolicy struct {
	Issuer string `yaml:"issuer,required"`
	Key    Secret `yaml:"key"`
	Leeway int    `yaml:"leeway" min:"0" max:"300"`
	Mode   string `yaml:"mode" enum:"strict,open"`
}

type oidcPolicy struct {
	Issuer   string `yaml:"issuer,required"`
	ClientID string `yaml:"client_id,required"`
}

type limitPolicy struct {
	Rate string `yaml:"rate,short"`
}

type toTarget struct {
	Upstream string `yaml:"upstream,short,required"`
}

type aggregateTarget struct {
	Timeout Duration              `yaml:"timeout"`
	Calls   map[string]callOfTest `yaml:",inline"`
}

type callOfTest struct {
	Call     string   `yaml:"call,short,required"`
	Optional bool     `yaml:"optional"`
	Timeout  Duration `yaml:"timeout"`
	Default  Node     `yaml:"default"`
}

// testSchema are the options with those policies.
func testSchema(t *testing.T) SchemaOptions {
	t.Helper()
	comments, err := ReadComments(map[string]string{"cardea.dev/cardea/config": "."})
	if err != nil {
		t.Fatal(err)
	}
	return SchemaOptions{
		Comments: comments,
		Policies: map[string]reflect.Type{
			"cors": reflect.TypeFor[corsPolicy](), "jwt": reflect.TypeFor[jwtPolicy](), "oidc": reflect.TypeFor[oidcPolicy](), "rate_limit": reflect.TypeFor[limitPolicy](),
		},
		Targets: map[string]reflect.Type{"to": reflect.TypeFor[toTarget](), "aggregate": reflect.TypeFor[aggregateTarget]()},
		Title:   "Cardea",
	}
}

// compileSchema makes a validator of a schema.
func compileSchema(t *testing.T, s *SchemaNode) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.JSON()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("mem:///schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem:///schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// jsonOf reads a YAML text as JSON.
func jsonOf(t *testing.T, text string) any {
	t.Helper()
	n, err := ParseTree("x.yaml", []byte(text), Options{Env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	var x any
	if err := n.Decode(&x); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchema(t *testing.T) {
	example, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("example.yaml", example, Options{}); err != nil {
		t.Error(err)
	}
	schema := compileSchema(t, Schema(testSchema(t)))
	good := []string{
		string(example), "{}", "cors: off", "cors: {}", "cors: on", "x-any: {a: b}", "routes:", "routes: {match: /a, jwt: {issuer: a, key: 5}}",
		"shutdown: 5s", "shutdown: {drain: off}", "shutdown: '$${X}'", "jwt: {issuer: a, leeway: '$${X}', mode: open}", "errors: {404: {status: 410, detail: x}}",
		"routes: [{match: {header: {a: true, b: ~x, c: {is: d}}, address: 10.0.0.0/8}}]",
		"routes: [{match: /a, aggregate: {timeout: 5s, a: GET b, c: {call: GET d, default: [1]}}}]",
	}
	for _, text := range good {
		if err := schema.Validate(jsonOf(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	bad := []string{
		strings.Replace(string(example), "rate_limit: 100", "rate_limt: 100", 1), "routs: []", "shutdown: 5 parsecs", "jwt: {}", "jwt: on",
		"jwt: {issuer: a, leeway: 301}", "jwt: {issuer: a, mode: x}", "errors: {404: {status: x}}", "routes: [{mtch: /a}]", "routes: [{match: {pth: /a}}]", "to: x",
		"routes: [{match: /a, aggregate: {timeout: x, a: GET b}}]", "routes: [{match: /a, aggregate: {a: {cal: GET b}}}]", "routes: [{match: /a, aggregate: {a: {}}}]",
	}
	for _, text := range bad {
		if err := schema.Validate(jsonOf(t, text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestSchemaGolden(t *testing.T) {
	opts := testSchema(t)
	golden(t, "testdata/schema.json", lang.Schema(reflect.TypeFor[vaultPolicy](), opts).JSON())
	golden(t, "testdata/reference.md", lang.Reference(reflect.TypeFor[vaultPolicy](), opts))
}

// vaultPolicy has a field of each kind that the schema knows.
type vaultPolicy struct {
	Cors  corsPolicy           `yaml:"cors"`
	JWT   []jwtPolicy          `yaml:"jwt,short"`
	Named map[string]jwtPolicy `yaml:"named"`
	Self  *vaultPolicy         `yaml:"self"`
	Any   any                  `yaml:"any"`
	Size  Size                 `yaml:"size"`
	Flag  *bool                `yaml:"flag"`
	Off   bool                 `yaml:",off"`
}

// Default sets 1MiB for Size.
func (v *vaultPolicy) Default() { v.Size = 1 << 20 }

func TestComments(t *testing.T) {
	comments, err := ReadComments(map[string]string{"cardea.dev/cardea/config": "."})
	if err != nil {
		t.Fatal(err)
	}
	for key, begin := range map[string]string{
		"cardea.dev/cardea/config.Config": "Config is", "cardea.dev/cardea/config.Route.Match": "Match says", "cardea.dev/cardea/config.Duration": "Duration is",
	} {
		if !strings.HasPrefix(comments[key], begin) {
			t.Errorf("%s: %q", key, comments[key])
		}
	}
}
