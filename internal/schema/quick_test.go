package schema

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyValue draws values that meet the schemas of anySchema now and then.
func anyValue(t *rapid.T, depth int) any {
	most := 6
	if depth == 0 {
		most = 4
	}
	switch rapid.IntRange(0, most).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2, 3:
		return json.Number(rapid.SampledFrom([]string{"0", "-0", "1", "1.0", "10e-1", "2", "2.5", "3", "12345678901234567890", "1e3"}).Draw(t, "number"))
	case 4:
		return rapid.SampledFrom([]string{"", "a", "b", "äö", "2020-02-29", "aa"}).Draw(t, "text")
	case 5:
		a := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			a = append(a, anyValue(t, depth-1))
		}
		return a
	}
	o := map[string]any{}
	for range rapid.IntRange(0, 3).Draw(t, "members") {
		o[rapid.SampledFrom([]string{"a", "b", "c", "k"}).Draw(t, "name")] = anyValue(t, depth-1)
	}
	return o
}

// anySchema draws schemas of all keywords, those that a quick look leaves to the compiler too.
func anySchema(t *rapid.T, dialect Dialect, depth int) any {
	o := map[string]any{}
	bound := func() any {
		return json.Number(rapid.SampledFrom([]string{"0", "1", "2", "2.5", "1e3", "12345678901234567890"}).Draw(t, "bound"))
	}
	count := func() any { return json.Number(rapid.SampledFrom([]string{"0", "1", "2"}).Draw(t, "count")) }
	sub := func() any { return anySchema(t, dialect, depth-1) }
	list := func() any { return []any{sub(), sub()} }
	keywords := map[string]func() any{
		"type": func() any {
			return rapid.SampledFrom([]any{"object", "array", "string", "number", "integer", "null", []any{"integer", "null"}, []any{"object", "string"}}).Draw(t, "type")
		},
		"enum": func() any { return []any{anyValue(t, 1), anyValue(t, 1)} }, "minimum": bound, "maximum": bound,
		"multipleOf": func() any { return json.Number("2") }, "minLength": count, "maxLength": count, "minItems": count, "maxItems": count, "minProperties": count, "maxProperties": count,
		"uniqueItems": func() any { return true }, "pattern": func() any { return "^a" }, "format": func() any { return "date" },
		"required": func() any { return []any{"a"} },
	}
	if depth > 0 {
		for _, key := range []string{"additionalProperties", "items", "not"} {
			keywords[key] = sub
		}
		for _, key := range []string{"allOf", "anyOf", "oneOf"} {
			keywords[key] = list
		}
		for _, key := range []string{"properties", "patternProperties"} {
			keywords[key] = func() any { return map[string]any{"a": sub(), "k": sub()} }
		}
		if dialect != OpenAPI30 && dialect != Draft4 {
			for _, key := range []string{"if", "then", "else", "contains", "propertyNames"} {
				keywords[key] = sub
			}
		}
		switch dialect {
		case Draft202012:
			keywords["prefixItems"], keywords["unevaluatedProperties"], keywords["unevaluatedItems"] = list, sub, sub
			keywords["dependentSchemas"] = func() any { return map[string]any{"b": sub()} }
			keywords["const"], keywords["exclusiveMinimum"], keywords["exclusiveMaximum"] = func() any { return anyValue(t, 1) }, bound, bound
		case Draft7, Draft4:
			keywords["items"], keywords["additionalItems"] = list, sub
			keywords["dependencies"] = func() any { return map[string]any{"b": sub()} }
		case OpenAPI30:
			keywords["readOnly"], keywords["nullable"] = func() any { return true }, func() any { return true }
		}
	}
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(keywords))), 0, 3, rapid.ID).Draw(t, "keywords") {
		o[key] = keywords[key]()
	}
	return o
}

// TestQuickLookAgreesWithTheCheck whatever the schema and the value are, unless it leaves them to it.
func TestQuickLookAgreesWithTheCheck(t *testing.T) {
	tried, left := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		dialect := rapid.SampledFrom([]Dialect{Draft202012, Draft7, Draft4, OpenAPI30}).Draw(t, "dialect")
		doc := anySchema(t, dialect, 3)
		files, err := NewFiles(".")
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSet(files, Options{Dialect: dialect, Formats: true}).Compile(Inline(files, doc))
		if err != nil {
			t.Skip(err) // two values of an enum may be the same
		}
		for range 5 {
			v := anyValue(t, 3)
			want := s.compiled.Validate(v)
			found := quick(s.compiled, v)
			if tried++; found == unsure {
				left++
			} else if (found == fits) != (want == nil) {
				t.Fatalf("a quick look says %v, the check %v", found, want)
			}
		}
	})
	if left*2 > tried {
		t.Errorf("%d of %d are left to the check", left, tried)
	}
}

// TestQuickLookComesToAnEnd where a schema refers to itself, and where there is much to try.
func TestQuickLookComesToAnEnd(t *testing.T) {
	for text, want := range map[string]verdict{
		`{"$ref": "#"}`:                             unsure,
		`{"allOf": [{"$ref": "#"}]}`:                unsure,
		`{"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}`: unsure,
		`{"not": {"oneOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]}}`: unsure,
		`{"anyOf": [{"type": "array"}, {"$ref": "#"}]}`:                     fits,
		`{"type": "array", "items": {"$ref": "#"}}`:                         unsure, // deeper than it looks
		`{"type": "array", "items": {"type": "string"}}`:                    fails,
	} {
		doc, err := Decode([]byte(text), Bounds{})
		if err != nil {
			t.Fatal(err)
		}
		files, _ := NewFiles(".")
		s, err := NewSet(files, Options{}).Compile(Inline(files, doc))
		if err != nil {
			t.Fatal(err)
		}
		v, err := Decode([]byte(strings.Repeat("[", 900)+strings.Repeat("]", 900)), Bounds{})
		if err != nil {
			t.Fatal(err)
		}
		if got := quick(s.compiled, v); got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
