package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// compileFiles compiles a schema of the first of some files, which are written as name, text, name, text.
func compileFiles(t *testing.T, pointer string, files ...string) (*Schema, *Set, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := NewFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	set := NewSet(all, Options{Dialect: OpenAPI31, Formats: true})
	s, err := set.Compile(Location{File: files[0], Pointer: pointer})
	return s, set, err
}

const atX = "/components/schemas/X"

// components is a document with schemas, X among them.
func components(schemas string) string { return `{"components": {"schemas": {` + schemas + `}}}` }

// TestReferencesByIdentifiers are followed as JSON Schema 2020-12 has it: each of the schemas X takes texts alone.
func TestReferencesByIdentifiers(t *testing.T) {
	for name, files := range map[string][]string{
		"an anchor":                    {"a.json", components(`"X": {"$ref": "#t"}, "T": {"properties": {"a": {"$anchor": "t", "type": "string"}}}`)},
		"an anchor of another file":    {"a.json", components(`"X": {"$ref": "b.json#t"}`), "b.json", `{"$defs": {"a": {"$anchor": "t", "type": "string"}}}`},
		"an $id":                       {"a.json", components(`"X": {"$ref": "https://h/t"}, "T": {"$id": "https://h/t", "type": "string"}`)},
		"an $id, relative to another":  {"a.json", components(`"X": {"$id": "https://h/a/x", "$ref": "../t"}, "T": {"$id": "https://h/t", "type": "string"}`)},
		"an $id in another":            {"a.json", components(`"X": {"$ref": "https://h/a/u"}, "T": {"$id": "https://h/a/t", "$defs": {"u": {"$id": "u", "type": "string"}}}`)},
		"an anchor of an $id":          {"a.json", components(`"X": {"$ref": "https://h/t#t"}, "T": {"$id": "https://h/t", "$defs": {"u": {"$anchor": "t", "type": "string"}}}, "U": {"$anchor": "t", "type": "null"}`)},
		"a pointer in an $id":          {"a.json", components(`"X": {"$id": "https://h/t", "$ref": "#/$defs/u", "$defs": {"u": {"type": "string"}}}`)},
		"an $id of the file's own":     {"a.json", components(`"X": {"$ref": "b.json"}`), "b.json", `{"$id": "b.json", "$ref": "c.json#/a"}`, "c.json", `{"a": {"type": "string"}}`},
		"an $id of another file":       {"a.json", components(`"X": {"allOf": [{"$ref": "b.json#/$defs/y"}, {"$ref": "https://h/b"}]}`), "b.json", `{"$id": "https://h/b", "$defs": {"y": {}}, "type": "string"}`},
		"a dialect that is this one":   {"a.json", components(`"X": {"$ref": "b.json#t"}`), "b.json", `{"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"a": {"$anchor": "t", "type": "string"}}}`},
		"a dynamic reference":          {"a.json", components(`"X": {"$dynamicRef": "#t"}, "T": {"$dynamicAnchor": "t", "type": "string"}`)},
		"both references":              {"a.json", components(`"X": {"$ref": "#/components/schemas/U", "$dynamicRef": "#t"}, "U": {}, "T": {"$dynamicAnchor": "t", "type": "string"}`)},
		"a name in an example":         {"a.json", components(`"X": {"$ref": "#t", "example": {"$anchor": "t"}}, "T": {"$anchor": "t", "type": "string"}`)},
		"a property that is called so": {"a.json", components(`"X": {"$ref": "#t"}, "T": {"properties": {"example": {"$anchor": "t", "type": "string"}, "$id": {"type": "string"}}}`)},
		"dynamic references that are extended": {
			"a.json", components(`"X": {"$id": "https://h/x", "$ref": "list", "$defs": {"t": {"$dynamicAnchor": "t", "type": "string"}}}, "L": {"$id": "https://h/list", "$dynamicRef": "#t", "$defs": {"t": {"$dynamicAnchor": "t"}}}`),
		},
	} {
		s, _, err := compileFiles(t, atX, files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if found, _ := s.Check("x", 5); len(found) > 0 {
			t.Errorf("%s: a text: %v", name, found)
		}
		if found, _ := s.Check(true, 5); len(found) == 0 {
			t.Errorf("%s: what is no text passes", name)
		}
	}
}

func TestIdentifiersThatLeadNowhere(t *testing.T) {
	for schemas, want := range map[string]string{
		`"X": {"$ref": "#t"}`:                                               `a.json#/components/schemas/X: the $ref "#t" leads nowhere: no schema is known as a.json#t`,
		`"X": {"$id": "https://h/x", "$ref": "y"}`:                          `the $ref "y" leads nowhere: no schema is known as https://h/y`,
		`"X": {"$ref": "https://h/y"}`:                                      "leads to another machine or scheme",
		`"X": {"$id": "https://h/x", "$ref": "#/a"}`:                        "has nothing at #/components/schemas/X/a",
		`"X": {"$ref": "#t"}, "A": {"$anchor": "t"}, "B": {"$anchor": "t"}`: "is for several schemas: file:///a.json#t stands twice",
		`"X": {"$id": "b/x", "$ref": "../../y.json"}`:                       "y.json",
	} {
		_, _, err := compileFiles(t, atX, "a.json", components(schemas))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nand not: %s", schemas, err, want)
		}
	}
}
