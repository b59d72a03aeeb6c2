package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/schema"
)

// compileText compiles a schema.
func compileText(t testing.TB, text string, opts schema.Options) *schema.Schema {
	t.Helper()
	doc, err := schema.Decode([]byte(text), schema.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := schema.NewFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.NewSet(files, opts).Compile(schema.Inline(files, doc))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func nested(depth int, inner string) string {
	return strings.Repeat(`{"x":`, depth) + inner + strings.Repeat("}", depth)
}

// TestChecksComeToAnEnd: however many ways there are to check the parts of a value.
func TestChecksComeToAnEnd(t *testing.T) {
	var layers strings.Builder
	for i := range 40 {
		fmt.Fprintf(&layers, `"s%d":{"anyOf":[{"$ref":"#/$defs/s%d"},{"$ref":"#/$defs/s%d"}]},`, i, i+1, i+1)
	}
	deep := nested(90, `{"y":1}`)
	for name, test := range map[string]struct{ schema, value string }{
		"anyOf":                   {`{"anyOf":[{"properties":{"x":{"$ref":"#"}},"required":["q"]},{"properties":{"x":{"$ref":"#"}},"required":["r"]}]}`, deep},
		"oneOf":                   {`{"oneOf":[{"properties":{"x":{"$ref":"#"}},"required":["q"]},{"properties":{"x":{"$ref":"#"}},"required":["r"]}]}`, deep},
		"all pass":                {`{"allOf":[{"properties":{"x":{"$ref":"#"}}},{"properties":{"x":{"$ref":"#"}}}]}`, deep},
		"allOf beside properties": {`{"$defs":{"a":{"properties":{"x":{"$ref":"#"}}}},"allOf":[{"$ref":"#/$defs/a"}],"properties":{"x":{"$ref":"#"}}}`, deep},
		"not, in which all fails": {`{"not":{"$ref":"#/$defs/n"},"$defs":{"n":{"anyOf":[{"properties":{"x":{"$ref":"#/$defs/n"},"y":false}},{"properties":{"x":{"$ref":"#/$defs/n"},"y":false}}]}}}`, deep},
		"if":                      {`{"if":{"properties":{"x":{"$ref":"#"}}},"then":{"properties":{"x":{"$ref":"#"}}}}`, deep},
		"patterns":                {`{"properties":{"x":{"$ref":"#"}},"patternProperties":{"x":{"$ref":"#"}}}`, deep},
		"contains":                {`{"items":{"$ref":"#"},"contains":{"$ref":"#"}}`, strings.Repeat("[", 90) + strings.Repeat("]", 90)},
		"dynamic references":      {`{"$dynamicAnchor":"n","anyOf":[{"properties":{"x":{"$dynamicRef":"#n"}},"required":["q"]},{"properties":{"x":{"$dynamicRef":"#n"}},"required":["r"]}]}`, deep},
		"layers":                  {`{"$defs":{` + layers.String() + `"s40":{"type":"string"}},"$ref":"#/$defs/s0"}`, `1`},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := schema.Decode([]byte(test.value), schema.Bounds{})
			if err != nil {
				t.Fatal(err)
			}
			found, more := compileText(t, test.schema, schema.Options{}).Check(v, 5)
			if len(found) != 1 || more || !strings.Contains(found[0].Reason, "too long") {
				t.Errorf("found %v", found)
			}
		})
	}
}

// TestLargeValuesAreCheckedWhole: a value is not refused for its size, where the schema could take long for others.
func TestLargeValuesAreCheckedWhole(t *testing.T) {
	s := compileText(t, `{"oneOf":[
		{"type":"object","properties":{"op":{"const":"and"},"x":{"$ref":"#"}},"required":["op","x"],"additionalProperties":false},
		{"type":"object","properties":{"op":{"const":"not"},"x":{"$ref":"#"},"y":{"$ref":"#"}},"required":["op","x","y"],"additionalProperties":false},
		{"type":"array","items":{"$ref":"#"}},
		{"type":"integer","maximum":9}]}`, schema.Options{})
	list := func(item string) any {
		v, err := schema.Decode([]byte(`[`+strings.Repeat(item+",", 20_000)+item+`]`), schema.Bounds{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if found, _ := s.Check(list(`{"op":"and","x":{"op":"not","x":1,"y":[2]}}`), 5); len(found) > 0 {
		t.Errorf("found %v", found)
	}
	v, err := schema.Decode([]byte(`{"op":"and","x":[1,2,10]}`), schema.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	found, _ := s.Check(v, 5)
	if text, _ := json.Marshal(found); string(text) != `[{"Pointer":"","Reason":"fits none of the 4 alternatives"}]` {
		t.Errorf("found %s", text)
	}
	if v, err = schema.Decode([]byte(`[1,2,10]`), schema.Bounds{}); err != nil {
		t.Fatal(err)
	}
	found, _ = s.Check(v, 5)
	if text, _ := json.Marshal(found); string(text) != `[{"Pointer":"/2","Reason":"is more than 9"}]` {
		t.Errorf("found %s", text)
	}
}
