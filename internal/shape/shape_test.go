package shape_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/schema"
	"cardea.dev/cardea/internal/shape"
)

// described is the shape that a schema, written as JSON, has. It may refer to "#/$defs".
func described(t testing.TB, text string) *shape.Shape {
	t.Helper()
	doc, err := schema.Decode([]byte(text), schema.Bounds{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	files, err := schema.NewFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files.Add("s.json", doc)
	return shape.FromSchema(files, schema.Location{File: "s.json"}, "")
}

// walked follows a path of names, and "[]" for elements.
func walked(s *shape.Shape, path string) error {
	at := shape.Known(s)
	for name := range strings.FieldsSeq(path) {
		if at == nil {
			return nil
		}
		var err error
		var next filter.Shape
		if name == "[]" {
			next, err = at.Element()
		} else {
			next, err = at.Member(name)
		}
		if err != nil {
			return err
		}
		at = next
	}
	return nil
}

const (
	user  = `{"type": "object", "properties": {"name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}, "boss": {"$ref": "#"}}}`
	named = `"$defs": {
		"a": {"type": "object", "properties": {"x": {"type": "string"}, "in": {"type": "object", "properties": {"p": {}}}}},
		"b": {"type": "object", "properties": {"y": {"type": "array", "items": {"$ref": "#/$defs/a"}}, "in": {"type": "object", "properties": {"q": {}}}}},
		"loop": {"allOf": [{"$ref": "#/$defs/loop"}]},
		"free": {"type": "object"}
	}`
)

// TestMembers: what is known by schemas, and what is left open.
func TestMembers(t *testing.T) {
	for _, test := range []struct{ schema, good, bad string }{
		{user, "name, tags [], boss boss name", "nme, name x, tags x, name [], boss boss nme, tags [] x, []"},
		{`{}`, "x, [], x y", ""},
		{`true`, "x", ""},
		{`{"type": "object"}`, "x, x y", "[]"},
		{`{"properties": {"a": {}}}`, "a, a b, []", "b"},
		{`{"type": "object", "properties": {"a": {}}, "additionalProperties": true}`, "a, b", ""},
		{`{"type": "object", "properties": {"a": {}}, "additionalProperties": {}}`, "a, b c", ""},
		{`{"type": "object", "properties": {"a": {}}, "additionalProperties": false}`, "a", "b"},
		{`{"type": "object", "additionalProperties": false}`, "a", ""},
		{`{"type": "object", "additionalProperties": {"type": "object", "properties": {"c": {"type": "string"}}}}`, "x c", "x d, x c e"},
		{`{"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": {"type": "string"}}`, "a, b", "a x, b x"},
		{`{"type": "object", "properties": {"a": {}}, "patternProperties": {"^x-": {}}}`, "a, b", ""},
		{`{"type": "object", "properties": {"a": {}}, "required": ["b"]}`, "a, b, b c", "c"},
		{`{"type": "object", "properties": {"a": {}}, "not": {"required": ["b"]}}`, "a, b", ""},
		{`{"type": "object", "properties": {"a": {}}, "unevaluatedProperties": false}`, "a", "b"},
		{`{"type": "object", "properties": {"a": {}}, "if": {"required": ["a"]}, "then": {"properties": {"b": {}}}}`, "b, c", ""},
		{`{"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": true}`, "b", ""},
		{`{"type": ["object", "null"], "properties": {"a": {"type": ["string", "null"]}}}`, "a", "b, a x"},
		{`{"nullable": true, "type": "object", "properties": {"a": {}}}`, "a", "b"},
		{`{"type": "null"}`, "a, []", ""},
		{`{"type": "thing", "properties": {"a": {}}}`, "a", "b"},
		{`{"type": "array"}`, "[], [] x", "x"},
		{`{"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "number"}}`, "[] x", ""},
		{`{"type": "array", "items": [{"type": "string"}]}`, "[] x", ""},
		{`{"items": {"type": "string"}}`, "[], x", "[] x"},
		{`{"$ref": "#/$defs/a", ` + named + `}`, "x, in p", "y, in q"},
		{`{"$ref": "#/$defs/none", ` + named + `}`, "x, y, z", ""},
		{`{"$ref": "#anchor"}`, "x", ""},
		{`{"$ref": "https://example.com/x.json"}`, "x", ""},
		{`{"$ref": "other.json"}`, "x", ""},
		{`{"$ref": "#/$defs/a", "properties": {"z": {}}, ` + named + `}`, "x, z", "y"},
		{`{"$ref": "#/$defs/loop", ` + named + `}`, "x", ""},
		{`{"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], ` + named + `}`, "x, y [] x, in p, in q", "z, y [] z, in r"},
		{`{"allOf": [{"$ref": "#/$defs/a"}, {"description": "x"}], ` + named + `}`, "x", "z"},
		{`{"allOf": [{"$ref": "#/$defs/a"}, {"required": ["x"]}], ` + named + `}`, "x", "z"},
		{`{"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/free"}], ` + named + `}`, "x, z", ""},
		{`{"allOf": [{"$ref": "#/$defs/a"}], "type": "object", "properties": {"z": {}}, ` + named + `}`, "x, z", "y"},
		{`{"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}], ` + named + `}`, "x, y, in p, in q", "z, in r"},
		{`{"oneOf": [{"$ref": "#/$defs/a"}, {"type": "string"}], ` + named + `}`, "x", "z, []"},
		{`{"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/free"}], ` + named + `}`, "x, z, x y", ""},
		{`{"oneOf": [{"$ref": "#/$defs/a"}, {"type": "array", "items": {"$ref": "#/$defs/b"}}], ` + named + `}`, "x, [] y", "y, [] x"},
		{`{"anyOf": [{"$ref": "#/$defs/a"}, {}], ` + named + `}`, "x, z", ""},
		{`{"anyOf": [{"$ref": "#/$defs/a"}], ` + named + `}`, "x", "z"},
		{`{"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}`, "a, b", "c"},
		{`{"type": "object", "properties": {"a": {}}, "oneOf": [{"properties": {"b": {}}}, {"properties": {"c": {}}}]}`, "a, b, c", "d"},
		{`{"type": "object", "properties": {"kind": {}}, "discriminator": {"propertyName": "kind"}}`, "kind, meow", ""},
		{`{"oneOf": [{"$ref": "#/$defs/a"}], "discriminator": {"propertyName": "kind"}, ` + named + `}`, "x, kind", "meow"},
		{`{"allOf": [{"type": "object"}, {"type": "string"}]}`, "x", ""},
		{`{"enum": ["a", "b"]}`, "x", ""},
		{`{"type": "object", "properties": {"kind": {}}, "discriminator": "kind"}`, "kind, meow", ""},
		{
			`{"type": "object", "properties": {"customer": {"anyOf": [{"type": "string", "maxLength": 5000}, {"$ref": "#/$defs/a"}], "nullable": true, "x-expansionResources": {"oneOf": [{"$ref": "#/$defs/a"}]}}}, ` + named + `}`,
			"customer x, customer in p", "customer z, customer []",
		},
		{`{"oneOf": [{"$ref": "#/$defs/a"}, {"type": "null"}], ` + named + `}`, "x", "z"},
		{
			`{"type": "object", "properties": {"$ref": {"type": "string"}, "properties": {"type": "object", "additionalProperties": {"$ref": "#"}}, "allOf": {"type": "array", "items": {"$ref": "#"}}}}`,
			"$ref, properties any allOf [] $ref", "x, $ref x, properties any x, allOf [] x",
		},
		{`{"type": "object", "properties": {"@odata.type": {"type": "string"}, "a.b": {}}}`, "@odata.type, a.b", "a, @odata.type x"},
		{`{"type": "object", "properties": {}}`, "x", ""},
		{`{"type": "object", "properties": {"a": true, "b": false}}`, "a x, b x", "c"},
		{`{"type": "object", "properties": {"a": {}}, "dependentSchemas": {"a": {"properties": {"b": {}}}}}`, "b", ""},
		{`{"type": "object", "properties": {"a": {}}, "dependentRequired": {"a": ["b"]}}`, "a", "c"},
		{`{"allOf": [{"$ref": "#/$defs/a"}, {"anyOf": [{"required": ["x"]}, {"required": ["in"]}]}], ` + named + `}`, "x, in p", ""},
		{`{"$ref": "#/$defs/a", "nullable": true, "description": "3.0 has nothing beside", ` + named + `}`, "x", "z"},
		{`{"type": "string", "$ref": "#/$defs/a", ` + named + `}`, "x, z", ""},
		{`{"const": {"a": 1}}`, "a", ""},
	} {
		s := described(t, test.schema)
		for path := range strings.SplitSeq(test.good, ", ") {
			if err := walked(s, path); err != nil {
				t.Errorf("%s\n%q %v", test.schema, path, err)
			}
		}
		for path := range strings.SplitSeq(test.bad, ", ") {
			if path != "" && walked(s, path) == nil {
				t.Errorf("%s\n%q is right", test.schema, path)
			}
		}
	}
}

// TestDeepCombinations end, and leave open what is too much.
func TestDeepCombinations(t *testing.T) {
	s := described(t, `{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}`)
	if err := walked(s, "x y"); err != nil {
		t.Error(err)
	}
}

// TestHostile: documents that are made to take long are left open. Each would take minutes, or for ever, if all of it was followed.
func TestHostile(t *testing.T) {
	var properties, required, variants, refs, webs []string
	for i := range 10_000 {
		properties = append(properties, fmt.Sprintf(`"p%d": {}`, i))
		required = append(required, fmt.Sprintf(`"p%d"`, i))
	}
	for i := range 1500 {
		variants = append(variants, fmt.Sprintf(`{"properties": {"v%d": {}, "p": {"$ref": "#/$defs/big"}}}`, i))
		refs = append(refs, `{"$ref": "#/$defs/big"}`)
	}
	for i := range 1500 {
		webs = append(webs, fmt.Sprintf(`{"properties": {"n%d": {}, "p": {"$ref": "#/$defs/web"}}}`, i))
	}
	big := fmt.Sprintf(`{"type": "object", "properties": {%s}, "required": [%s]}`, strings.Join(properties, ","), strings.Join(required, ","))
	defs := fmt.Sprintf(`"$defs": {"big": %s, "web": {"oneOf": [%s]}}`, big, strings.Join(webs, ","))
	for name, text := range map[string]string{
		"allOf of one":     fmt.Sprintf(`{"allOf": [%s], %s}`, strings.Join(refs, ","), defs),
		"anyOf of one":     fmt.Sprintf(`{"anyOf": [%s], %s}`, strings.Join(refs, ","), defs),
		"many beside big":  fmt.Sprintf(`{"$ref": "#/$defs/big", "oneOf": [%s], %s}`, strings.Join(variants, ","), defs),
		"big below many":   fmt.Sprintf(`{"oneOf": [%s], %s}`, strings.Join(variants, ","), defs),
		"all below all":    fmt.Sprintf(`{"$ref": "#/$defs/web", %s}`, defs),
		"all of all of it": fmt.Sprintf(`{"allOf": [{"$ref": "#/$defs/web"}, {"$ref": "#/$defs/web"}], %s}`, defs),
	} {
		if err := walked(described(t, text), "p p p p x"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := described(t, fmt.Sprintf(`{"allOf": [{"$ref": "#/$defs/big"}, {"properties": {"own": {"$ref": "#/$defs/big"}}}], %s}`, defs))
	for path, good := range map[string]bool{"p9999": true, "own p1": true, "none": false, "own none": false} {
		if err := walked(s, path); (err == nil) != good {
			t.Errorf("%q in what is only large: %v", path, err)
		}
	}
}

// TestLongWays through schemas that refer to each other in many ways take no more than a step each.
func TestLongWays(t *testing.T) {
	var branches, defs []string
	for i := range 10 {
		branches = append(branches, fmt.Sprintf(`{"$ref": "#/$defs/d%d"}`, i))
	}
	any := fmt.Sprintf(`{"anyOf": [%s]}`, strings.Join(branches, ","))
	for i := range 10 {
		defs = append(defs, fmt.Sprintf(`"d%d": {"type": "object", "properties": {"next": %s, "list": {"type": "array", "items": %s}, "n%d": {}}, "allOf": [{"properties": {"next": %s}}]}`, i, any, any, i, any))
	}
	s := described(t, fmt.Sprintf(`{"$ref": "#/$defs/d0", "$defs": {%s}}`, strings.Join(defs, ",")))
	way := strings.Repeat("next list [] ", 16)
	if err := walked(s, way+"n7"); err != nil {
		t.Error(err)
	}
	if walked(s, way+"x7") == nil {
		t.Error("nothing is known any more")
	}
}

// TestEdits: what operations refer to, and what is known after them.
func TestEdits(t *testing.T) {
	const doc = `{"type": "object", "properties": {
		"id": {"type": "integer"}, "name": {"type": "string"},
		"at": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "string"}}},
		"lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {}, "n": {"type": "integer"}}}},
		"free": {"type": "object"},
		"maybe": {"oneOf": [{"type": "array"}, {"type": "object", "properties": {"maybe": {"type": "number"}, "at": {"type": "array"}, "kind": {}}}]},
		"deep": {"type": "object", "properties": {"at": {"type": "object", "properties": {"hall": {}, "town": {}}}}},
		"none": {"type": ["integer", "null"]}
	}}`
	for _, test := range []struct{ edits, wrong, good, bad string }{
		{`{select: at}`, "", "city", "id"},
		{`{select: "lines[].sku"}`, "", "[], [] x", "sku"},
		{`{select: "lines[0]"}`, "", "sku", "id"},
		{`{select: att}`, "select", "", ""},
		{`{select: at, pick: [id]}`, "pick[0]", "", ""},
		{`{pick: [id, at.city, "lines[].sku"]}`, "", "id, at city, lines [] sku", "name, at zip, lines [] n, free"},
		{`{pick: [at.city, at.zip, free.x]}`, "", "at city, at zip, free x", "id, free y, at x"},
		{`{pick: [idd, at.ciity]}`, "pick[0] pick[1]", "", ""},
		{`{pick: ["lines.sku"]}`, "pick[0]", "", ""},
		{`{pick: ["at[].city"]}`, "pick[0]", "", ""},
		{`{drop: [id, at.city, "lines[].n"]}`, "", "name, at zip, lines [] sku", "id, at city, lines [] n"},
		{`{drop: [at, at.city, id, id]}`, "", "name", "at, id"},
		{`{drop: [idd]}`, "drop[0]", "", ""},
		{`{drop: ["lines[0].n"]}`, "", "lines [] n, lines [] x", ""},
		{`{drop: [free.x]}`, "", "free x", ""},
		{`{mask: {name: 2}}`, "", "name", ""},
		{`{mask: {nme: 2}}`, `mask["nme"]`, "", ""},
		{`{rename: {name: label, at.city: town}}`, "", "label, at town", "name, at city"},
		{`{rename: {at: place, at.city: town}}`, "", "place town, place zip", "at, place city"},
		{`{rename: {id: name, name: id}}`, "", "id, name, id x", "label"},
		{`{rename: {nme: x}}`, `rename["nme"]`, "", ""},
		{`{flatten: [at]}`, "", "city, zip, id", "at"},
		{`{flatten: [free]}`, "", "anything", ""},
		{`{flatten: [maybe]}`, "", "maybe [], at [], kind", "nothing"},
		{`{flatten: [deep, deep.at]}`, "", "town, hall, at city, id", "deep, city"},
		{`{flatten: [name]}`, "", "name", "x"},
		{`{flatten: [att]}`, "flatten[0]", "", ""},
		{`{set: {kind: x, at.street: y, new.a.b: z}}`, "", "kind, at street, at city, new a b, new x", "at x, nw"},
		{`{set: {none.x.y: 1}}`, "", "none x y", "none z"},
		{`{set: {"lines[].x": 1}}`, "", "lines [] x, lines [] sku", "lines [] y"},
		{`{set: {"lines[0]": 1}}`, "", "lines [] y", ""},
		{`{set: {"lins[].x": 1}}`, `set["lins[].x"]`, "", ""},
		{`{set: {name.x: 1}}`, `set["name.x"]`, "", ""},
		{`{set: {at: 1}}`, "", "at x", ""},
		{`{pick: [id], rename: {name: x}}`, `rename["name"]`, "", ""},
		{`{pick: [id], set: {name: x}}`, "", "id, name", "at"},
	} {
		e := edits(t, test.edits)
		after, errs := described(t, doc).Edit(e)
		var wrong []string
		for _, err := range errs {
			wrong = append(wrong, fieldOf(t, err))
		}
		if got := strings.Join(wrong, " "); got != test.wrong {
			t.Errorf("%s: wrong is %q: %v", test.edits, got, errs)
		}
		if test.wrong != "" {
			continue
		}
		for path := range strings.SplitSeq(test.good, ", ") {
			if err := walked(after, path); err != nil {
				t.Errorf("%s\n%q %v", test.edits, path, err)
			}
		}
		for path := range strings.SplitSeq(test.bad, ", ") {
			if path != "" && walked(after, path) == nil {
				t.Errorf("%s\n%q is right", test.edits, path)
			}
		}
	}
}

// TestPrograms: what a jq program reads.
// TestMade: names that operations make, of documents that are a user afterwards.
func TestMade(t *testing.T) {
	s := described(t, user)
	for text, want := range map[string]string{
		`{set: {name: a, boss.boss.name: b, "tags[]": c}}`: "",
		`{set: {nme: a}}`:                                 `set["nme"]: what is sent has no member "nme"; did you mean "name"?`,
		`{set: {boss.nme: a}}`:                            `set["boss.nme"]: boss has no member "nme"`,
		`{set: {name.first: a}}`:                          `name has no members: it is a text`,
		`{set: {"tags[].x": a}}`:                          `tags[] has no members`,
		`{rename: {a: name, boss.b: tags, "x.y": z}}`:     "",
		`{rename: {a: nme}}`:                              `rename["a"]: what is sent has no member "nme"`,
		`{rename: {boss.a: nme}}`:                         `boss has no member "nme"`,
		`{rename: {boss.a: nme, boss: b, b2: boss}}`:      `rename["boss"]: what is sent has no member "b"`,
		`{rename: {x: boss, x.a: nme}}`:                   "",
		`{flatten: [boss], set: {nme: a}}`:                "",
		`{drop: [nme], mask: {nme: 1}, pick: [nme, q]}`:   "",
		`{select: data, set: {nme: a}, rename: {a: tag}}`: `rename["a"]: what is sent has no member "tag"`,
	} {
		var found []string
		for _, err := range s.Made(edits(t, text)) {
			found = append(found, err.Error())
		}
		got := strings.Join(found, "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestPrograms(t *testing.T) {
	s := shape.Object(map[string]*shape.Shape{"user": described(t, user), "orders": shape.List(described(t, user)), "other": nil})
	for program, want := range map[string]string{
		`{a: .user.name, b: [.orders[].tags[]], c: .other.x}`: "",
		`.orders | map(.name)`:                                "",
		`.user[]`:                                             "",
		`.user.nme`:                                           `.user has no member "nme"; did you mean "name"? (there are boss, name, tags) at line 1, column 7`,
		`.orders | map(.nme)`:                                 `.orders[] has no member "nme"; did you mean "name"? (there are boss, name, tags) at line 1, column 16`,
		`.usr`:                                                `the input has no member "usr"; did you mean "user"? (there are orders, other, user) at line 1, column 2`,
		`.user.name[]`:                                        `.user.name has nothing to go through: it is a text`,
		`.orders.name`:                                        `.orders has no members: it is a list at line 1, column 9`,
		`.user[0]`:                                            `.user is no list: it is an object`,
		`.user.nme // .user.name`:                             "",
		`.user | select(has("x"))`:                            "",
	} {
		got := ""
		if err := s.Reads(program); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %s", program, got)
		}
	}
}

// TestBodies: what a configuration may send.
func TestBodies(t *testing.T) {
	const doc = `{"type": "object", "required": ["name", "id", "kind"], "properties": {
		"id": {"type": "integer", "readOnly": true}, "name": {"type": "string"}, "n": {"type": "number"}, "kind": {"default": "x"},
		"tags": {"type": "array", "items": {"type": "string"}}, "at": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["x"], "properties": {"x": {}}}]}
	}}`
	for body, want := range map[string]string{
		`{"name": "x"}`:                        "",
		`{"name": "{x}", "n": "{x}"}`:          "",
		`{"name": null, "tags": []}`:           "",
		`{"name": "x", "at": {"x": 1}}`:        "",
		`{"name": "x", "at": "somewhere"}`:     "",
		`{}`:                                   `body: the member "name" is missing, which is required`,
		`{"name": "x", "nn": 1}`:               `body["nn"]: the body has no member "nn"; there are at, id, kind, n, name, tags`,
		`{"name": 1}`:                          `body["name"]: it is a number, and should be a text`,
		`{"name": "x", "n": "1"}`:              `body["n"]: it is a text, and should be a number`,
		`{"name": "x", "tags": ["x", 1]}`:      `body["tags"][1]: it is a number, and should be a text`,
		`{"name": "x", "at": {}}`:              `body["at"]: the member "x" is missing, which is required`,
		`{"name": "x", "at": {"x": 1, "y":1}}`: `body["at"]["y"]: the body has no member "y"; there are x`,
		`[]`:                                   `body: it is a list, and should be an object`,
	} {
		v, err := document.Read(strings.NewReader(body), document.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, err := range described(t, doc).Accepts("body", v, func(s string) bool { return s != "{x}" }) {
			got = append(got, placed(t, err))
		}
		if slices.Sort(got); strings.Join(got, "\n") != want {
			t.Errorf("%s: %s", body, strings.Join(got, "\n"))
		}
	}
}

// TestBodiesOfKubernetes: a port may be a number or a name, which documents for it say in ways of their own.
func TestBodiesOfKubernetes(t *testing.T) {
	for _, port := range []string{`{"type": "string", "format": "int-or-string"}`, `{"x-kubernetes-int-or-string": true}`, `{"x-kubernetes-int-or-string": true, "type": "integer"}`} {
		s := described(t, `{"type": "object", "properties": {"port": {"$ref": "#/$defs/port"}}, "$defs": {"port": `+port+`}}`)
		for _, value := range []any{80.0, "http"} {
			if errs := s.Accepts("body", map[string]any{"port": value}, func(string) bool { return true }); len(errs) > 0 {
				t.Errorf("%s: %v", port, errs)
			}
		}
		if walked(s, "port x") == nil && strings.Contains(port, "type") {
			t.Errorf("%s has members", port)
		}
	}
}

// TestStandIns: what stands in for an answer that is not there can be referred to as well, and opens nothing.
func TestStandIns(t *testing.T) {
	for _, test := range []struct {
		standIn   any
		good, bad string
	}{
		{nil, "name, boss name", "nme"},
		{map[string]any{}, "name, boss name", "nme"},
		{map[string]any{"missing": true, "boss": map[string]any{"why": "x"}}, "name, missing, boss name, boss why", "nme, missing x, boss nme"},
		{[]any{}, "name", "nme"},
		{[]any{map[string]any{"a": 1.0}, map[string]any{"b": "x"}}, "name, [] a, [] b", "nme, [] c, [] b x"},
		{"none", "name", "nme"},
	} {
		s := shape.Either(described(t, user), shape.Of(test.standIn))
		for path := range strings.SplitSeq(test.good, ", ") {
			if err := walked(s, path); err != nil {
				t.Errorf("%v: %q %v", test.standIn, path, err)
			}
		}
		for path := range strings.SplitSeq(test.bad, ", ") {
			if walked(s, path) == nil {
				t.Errorf("%v: %q is right", test.standIn, path)
			}
		}
	}
	loop := shape.Either(shape.List(described(t, user)), shape.Of([]any{}))
	if walked(loop, "[] name") != nil || walked(loop, "[] nme") == nil {
		t.Error("an empty list in the place of a list opens its elements")
	}
}
