package docs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cardea.dev/cardea/config"
)

// TestExamplesAreValid checks each YAML block of the manual that is right by the JSON Schema that editors use.
func TestExamplesAreValid(t *testing.T) {
	schema := schemaOfEditors(t)
	ran := 0
	for _, d := range manual(t) {
		for _, b := range d.blocks {
			if b.language != "yaml" || b.mark == "wrong" || strings.HasPrefix(b.mark, "file: ") {
				continue
			}
			where := fmt.Sprintf("%s:%d", d.path, b.line)
			text, err := whole(b)
			if err != nil {
				t.Errorf("%s: %v", where, err)
				continue
			}
			ran++
			if err := schema.Validate(asJSON(t, text)); err != nil {
				t.Errorf("%s: the schema refuses the example: %v\n\n%s", where, err, text)
			}
		}
	}
	if ran < 100 {
		t.Errorf("there are %d examples only", ran)
	}
}

// TestEditorsSeeWhatIsWrongInCalls checks calls and steps that the gateway refuses for their form: the schema refuses them, too.
func TestEditorsSeeWhatIsWrongInCalls(t *testing.T) {
	schema := schemaOfEditors(t)
	const frame = "upstreams: {users: 'http://users:8080', orders: 'http://orders:8080'}\nroutes:\n  - match: /{user}\n    %s\n"
	for text, right := range map[string]bool{
		`aggregate: {a: "GET users/users/{user}"}`:                                                             true,
		`aggregate: {a: {call: "users/{user}", optional: true, default: [], timeout: 300ms}}`:                  true,
		`aggregate: {calls: {timeout: users/a, errors: {call: users/b, hide: true}}}`:                          true,
		`aggregate: {timeout: 5s, a: users/a, b: {each: a.items, call: "orders/{item.id}"}}`:                   true,
		`aggregate: {a: users/a, b: {each: {in: a.items, max: 5}, call: "orders/{item.id}"}}`:                  true,
		`aggregate: {a: {call: users/a, pick: [name], mask: {name: 2}, rename: {name: n}}}`:                    true,
		`aggregate: {a: {call: POST users/a, body: {b: [1, "{user}"]}, status: [2xx, 404]}}`:                   true,
		`sequence: {a: POST orders/orders, b: {call: POST users/b, on_error: DELETE users/b}}`:                 true,
		`sequence: {a: {call: POST users/a, unknown: keep, on_error: [{call: DELETE users/a}, POST users/b]}}`: true,
		`sequence: {steps: {timeout: {call: POST users/a}}, status: 201}`:                                      true,

		`aggregate: {a: {cal: users/a}}`:                                         false,
		`aggregate: {a: {call: users/a, optionel: true}}`:                        false,
		`aggregate: {a: {optional: true}}`:                                       false,
		`aggregate: {a: {call: users/a, optional: perhaps}}`:                     false,
		`aggregate: {a: {call: users/a, timeout: soon}}`:                         false,
		`aggregate: {a: {call: users/a, status: fine}}`:                          false,
		`aggregate: {a: {call: users/a, on_error: DELETE users/a}}`:              false,
		`aggregate: {a: users/a, b: {call: users/b, each: {in: a, maxx: 3}}}`:    false,
		`aggregate: {a: users/a, b: {call: users/b, each: {in: a, max: 0}}}`:     false,
		`aggregate: {a: {call: users/a, mask: {name: {first: 1, lasst: 2}}}}`:    false,
		`aggregate: {a: [users/a]}`:                                              false,
		`aggregate: {a: null}`:                                                   false,
		`aggregate: {calls: {a: {call: users/a, hid: true}}}`:                    false,
		`aggregate: {calls: [users/a]}`:                                          false,
		`sequence: {a: {call: POST users/a, on_eror: DELETE users/a}}`:           false,
		`sequence: {a: {call: POST users/a, optional: true}}`:                    false,
		`sequence: {a: {call: POST users/a, unknown: forget}}`:                   false,
		`sequence: {a: {call: POST users/a, on_error: {cal: DELETE users/a}}}`:   false,
		`sequence: {a: {call: POST users/a, on_error: [{call: users/a, x: 1}]}}`: false,
		`sequence: {steps: {a: {call: POST users/a, header: {x: "1"}}}}`:         false,
	} {
		whole := fmt.Sprintf(frame, text)
		if _, err := check(whole, t.TempDir()); (err == nil) != right {
			t.Errorf("%s: the gateway says %v", text, err)
		}
		if err := schema.Validate(asJSON(t, whole)); (err == nil) != right {
			t.Errorf("%s: the schema says %v", text, err)
		}
	}
}

// schemaOfEditors is the JSON Schema as it is published.
func schemaOfEditors(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(root("docs/reference/cardea.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("cardea.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("cardea.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON reads a configuration as an editor does: `${…}` stays a text.
func asJSON(t *testing.T, text string) any {
	t.Helper()
	tree, err := config.ParseTree("cardea.yaml", []byte(strings.ReplaceAll(text, "${", "$${")), config.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var v any
	if err := tree.Decode(&v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return document
}
