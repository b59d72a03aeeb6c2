package shape_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/schema"
	"cardea.dev/cardea/internal/shape"
)

// maker makes random schemas and values that are right by them. Values have no members but those that a schema names, or leaves open in so many words.
type maker struct {
	*rand.Rand
	defs map[string]any
}

var memberNames = []string{"a", "b", "c", "d"}

// schema makes a schema.
func (m *maker) schema(depth int) map[string]any {
	if depth <= 0 {
		return map[string]any{"type": []string{"string", "number", "boolean", "null"}[m.IntN(4)]}
	}
	switch m.IntN(10) {
	case 0:
		return map[string]any{}
	case 1:
		return map[string]any{"type": "array", "items": m.schema(depth - 1)}
	case 2:
		return map[string]any{"$ref": fmt.Sprintf("#/$defs/d%d", m.IntN(3))}
	case 3, 4:
		var branches []any
		for range 1 + m.IntN(3) {
			branches = append(branches, m.schema(depth-1))
		}
		return map[string]any{[]string{"oneOf", "anyOf"}[m.IntN(2)]: branches}
	case 5:
		return map[string]any{"allOf": []any{m.object(depth - 1), m.object(depth - 1), map[string]any{"description": "more"}}}
	case 6:
		s := m.object(depth - 1)
		s["anyOf"] = []any{map[string]any{"required": []any{"a"}}, m.object(depth - 1)}
		return s
	}
	return m.object(depth)
}

// object makes a schema of objects.
func (m *maker) object(depth int) map[string]any {
	properties := map[string]any{}
	for _, name := range memberNames {
		if m.IntN(2) == 0 {
			properties[name] = m.schema(depth - 1)
		}
	}
	s := map[string]any{"type": "object", "properties": properties}
	switch m.IntN(6) {
	case 0:
		s["additionalProperties"] = true
	case 1:
		s["additionalProperties"] = m.schema(depth - 1)
	case 2:
		s["patternProperties"] = map[string]any{"^x": map[string]any{}}
	case 3:
		s["type"] = []any{"object", "null"}
	case 4:
		delete(s, "properties")
	}
	return s
}

// value makes a value of a schema. The members of an object are made of all schemas that it is to fulfil at once.
func (m *maker) value(depth int, schemas ...map[string]any) any {
	all := m.chosen(nil, 0, schemas...)
	for _, s := range all {
		if kind, _ := s["type"].(string); kind != "" && kind != "object" {
			return m.scalar(depth, kind, all)
		}
	}
	if depth <= 0 || len(all) == 0 {
		return map[string]any{}
	}
	o := map[string]any{}
	for _, name := range append(slices.Clone(memberNames), "x1") {
		var of []map[string]any
		allowed := false
		for _, s := range all {
			properties, said := s["properties"].(map[string]any)
			own, has := properties[name].(map[string]any)
			more, moreSaid := s["additionalProperties"].(map[string]any)
			switch {
			case has:
				of, allowed = append(of, own), true
			case moreSaid:
				of, allowed = append(of, more), true
			case s["additionalProperties"] == true, s["patternProperties"] != nil && name == "x1", s["type"] == "object" && !said, isNamed(s["required"], name):
				allowed = true
			}
		}
		if allowed && m.IntN(3) > 0 {
			o[name] = m.value(depth-1, of...)
		}
	}
	return o
}

func isNamed(required any, name string) bool {
	names, _ := required.([]any)
	return slices.Contains(names, any(name))
}

func (m *maker) scalar(depth int, kind string, all []map[string]any) any {
	switch kind {
	case "array":
		var list []any
		for range m.IntN(3) {
			var of []map[string]any
			for _, s := range all {
				if one, is := s["items"].(map[string]any); is {
					of = append(of, one)
				}
			}
			list = append(list, m.value(depth-1, of...))
		}
		return list
	case "number":
		return m.IntN(100)
	case "boolean":
		return true
	case "null":
		return nil
	}
	return "text"
}

// chosen follows references and combinations, and chooses branches, until only plain schemas are left.
func (m *maker) chosen(found []map[string]any, depth int, schemas ...map[string]any) []map[string]any {
	for _, s := range schemas {
		if depth > 20 {
			return found
		}
		if ref, is := s["$ref"].(string); is {
			found = m.chosen(found, depth+1, m.defs[ref[len("#/$defs/"):]].(map[string]any))
			continue
		}
		found = append(found, s)
		for _, key := range []string{"oneOf", "anyOf"} {
			if branches, _ := s[key].([]any); len(branches) > 0 {
				found = m.chosen(found, depth+1, branches[m.IntN(len(branches))].(map[string]any))
			}
		}
		parts, _ := s["allOf"].([]any)
		for _, part := range parts {
			found = m.chosen(found, depth+1, part.(map[string]any))
		}
	}
	return found
}

// FuzzPresentMembersAreKnown: nothing that a value has which is right by a schema is ever said not to be there.
func FuzzPresentMembersAreKnown(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := &maker{Rand: rand.New(rand.NewPCG(seed, 1)), defs: map[string]any{}}
		for i := range 3 {
			m.defs[fmt.Sprintf("d%d", i)] = m.schema(2)
		}
		root := m.schema(4)
		top := map[string]any{"allOf": []any{root}, "$defs": m.defs}
		text, err := json.Marshal(top)
		if err != nil {
			t.Fatal(err)
		}
		s := described(t, string(text))
		checker := compiled(t, string(text))
		for range 5 {
			v := m.value(5, root)
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			v, err = schema.Decode(b, schema.Bounds{})
			if err != nil {
				t.Fatal(err)
			}
			if wrong, _ := checker.Check(v, 1); len(wrong) > 0 {
				continue // contradictions, or more than one of oneOf
			}
			if err := reached(shape.Known(s), v); err != nil {
				t.Fatalf("%s\n%s\n%v", text, b, err)
			}
		}
	})
}

// compiled is the schema that values are checked with.
func compiled(t *testing.T, text string) *schema.Schema {
	t.Helper()
	doc, err := schema.Decode([]byte(text), schema.Bounds{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := schema.NewFiles(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.NewSet(files, schema.Options{}).Compile(schema.Inline(files, doc))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// reached goes to all that a value has.
func reached(s filter.Shape, v any) error {
	if s == nil {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			below, err := s.Member(name)
			if err != nil {
				return err
			}
			if err := reached(below, m); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	case []any:
		for _, item := range v {
			below, err := s.Element()
			if err != nil {
				return err
			}
			if err := reached(below, item); err != nil {
				return fmt.Errorf("[]: %w", err)
			}
		}
	}
	return nil
}
