package openapi

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cardea.dev/cardea/internal/schema"
)

// write writes a document, and returns its folder.
func write(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// posting is a document with an operation whose body has a schema.
func posting(version, own, schemas string) string {
	return `{"openapi": "` + version + `", "paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": ` + own + `}}}}}}, "components": {"schemas": {` + schemas + `}}}`
}

func TestWhatIsWrongWithDocuments(t *testing.T) {
	for text, want := range map[string]string{
		posting("3.0.0", `{"required": [{"a": 1}, {"b": 2}]}`, ""):                                                   "schema/required/0: got object, want string",
		posting("3.0.0", `{"$ref": "pipe.json#/a"}`, ""):                                                             "cannot read pipe.json: it is no regular file",
		posting("3.0.0", `{"$ref": "../x.json"}`, ""):                                                                "leads out of the folder",
		posting("3.1.0", `{"$id": "http://127.0.0.1:1/x.json", "$ref": "y.json"}`, ""):                               `the $ref "y.json" leads nowhere`,
		posting("3.0.0", `{"$ref": "#/components/schemas/A~1b%20%3F"}`, `"A/b ?": {"type": 5}`):                      "x.json#/components/schemas/A~1b ?/type",
		posting("3.0.0", `{"$ref": "#/components/schemas/A"}`, `"A": {"$ref": "#/components/schemas/B"}`):            `x.json#/components/schemas/A: the $ref "#/components/schemas/B" leads nowhere`,
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"parameters": {}}}}}`:                                        "x.json#/paths/~1x/post/parameters: expected a list",
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"responses": []}}}}`:                                         "x.json#/paths/~1x/post/responses: expected an object",
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": {"content": [1]}}}}}`:                         "x.json#/paths/~1x/post/requestBody/content: expected an object",
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": {"content": {"a/b": 1}}}}}}`:                  "x.json#/paths/~1x/post/requestBody/content/a~1b: expected an object",
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"responses": {"200": {"headers": {"a": 1}}}}}}}`:             "x.json#/paths/~1x/post/responses/200/headers/a: expected a header",
		`{"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": {"$ref": "#/paths/~1x/post/requestBody"}}}}}`: "the $refs lead in a circle",
	} {
		d, err := Load(write(t, "x.json", text), "x.json", Options{})
		if err == nil {
			err = d.Compile(nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nand not: %s", text, err, want)
		}
	}
}

// TestSchemasThatReferInOddWays checks the bodies "a" and 1, of which the first is right.
func TestSchemasThatReferInOddWays(t *testing.T) {
	for name, text := range map[string]string{
		"beside a $ref, 3.0":            posting("3.0.0", `{"$ref": "#/components/schemas/A", "minLength": "x", "type": "integer"}`, `"A": {"type": "string"}`),
		"beside a $ref, 3.1":            posting("3.1.0", `{"$ref": "#/components/schemas/A", "type": "string"}`, `"A": {"maxLength": 3}`),
		"an anchor elsewhere":           posting("3.1.0", `{"$ref": "#a"}`, `"A": {"$anchor": "a", "type": "string"}`),
		"a dynamic reference":           posting("3.1.0", `{"$dynamicRef": "#a"}`, `"A": {"$dynamicAnchor": "a", "type": "string"}`),
		"into what nullable moves":      posting("3.0.0", `{"allOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/A/oneOf/0"}]}`, `"A": {"nullable": true, "oneOf": [{"type": "string"}]}`),
		"an odd name":                   posting("3.0.0", `{"$ref": "#/components/schemas/a~1b~0c%20d%25%3F%23"}`, `"a/b~c d%?#": {"type": "string"}`),
		"$schema in a part":             posting("3.1.0", `{"$schema": "http://127.0.0.1:1/x", "type": "string"}`, ""),
		"a discriminator's mapping":     posting("3.0.0", `{"type": "string", "discriminator": {"propertyName": "k", "mapping": {"a": "nowhere", "b": "../../x"}}}`, ""),
		"a discriminator of texts, too": posting("3.0.0", `{"oneOf": [{"$ref": "#/components/schemas/A"}, {"$ref": "#/components/schemas/B"}], "discriminator": {"propertyName": "k"}}`, `"A": {"type": "string"}, "B": {"type": "object", "properties": {"k": {"type": "string"}}}`),
		"read-only as a whole":          posting("3.0.0", `{"$ref": "#/components/schemas/A"}`, `"A": {"type": "string", "readOnly": true}`),
		"values twice":                  posting("3.0.0", `{"type": "string", "enum": ["a", "b", "a"]}`, ""),
		"values twice in all forms":     posting("3.1.0", `{"enum": [2, 2.0, "a", null, {"x": []}, {"x": []}, null, "a"]}`, ""),
		"names twice":                   posting("3.0.0", `{"type": "string", "required": ["a", "b", "a"]}`, ""),
		"a cycle beside":                posting("3.0.0", `{"allOf": [{"type": "string"}, {"$ref": "#/components/schemas/A"}]}`, `"A": {"properties": {"a": {"$ref": "#/components/schemas/B"}}}, "B": {"items": {"$ref": "#/components/schemas/A"}}`),
	} {
		d := loadAll(t, write(t, "x.json", text), "x.json")
		for body, right := range map[string]bool{`"a"`: true, `1`: false} {
			content, err := d.Operations()[0].Body("application/json")
			if err != nil {
				t.Fatal(err)
			}
			l := List{Most: 10}
			content.Check([]byte(body), schema.Bounds{}, &l)
			if (len(l.Found) == 0) != right {
				t.Errorf("%s: %s: %v", name, body, l.Found)
			}
		}
	}
}

// TestALongChainOfReferences is no deep call, and what is wrong at its end is said for all who come to it.
func TestALongChainOfReferences(t *testing.T) {
	schemas := map[string]any{}
	ref := func(i int) map[string]any {
		return map[string]any{"$ref": "#/components/schemas/S" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)}
	}
	for i := range 2000 {
		schemas[strings.TrimPrefix(ref(i)["$ref"].(string), "#/components/schemas/")] = map[string]any{"properties": map[string]any{"a": ref(i + 1)}}
	}
	text, err := json.Marshal(schemas)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Load(write(t, "x.json", posting("3.0.0", `{"$ref": "#/components/schemas/Sa"}`, strings.Trim(string(text), "{}")+"}}}")), "x.json", Options{})
	if err != nil {
		t.Fatal(err)
	}
	first := d.Compile(nil)
	if first == nil || !strings.Contains(first.Error(), "leads nowhere") {
		t.Errorf("%v", first)
	}
	if again := d.Compile(nil); again == nil || again.Error() != first.Error() {
		t.Errorf("%v, and then %v", first, again)
	}
}

func TestYAMLOfAllKinds(t *testing.T) {
	for text, want := range map[string]string{
		"%YAML 1.2\n---\nopenapi: 3.0.0\npaths: {/x: {get: {operationId: a}}}\n":                                                              "a",
		"openapi: 3.0.0\nx: &x {get: {operationId: a}}\ny: &y {post: {operationId: b}, get: {operationId: c}}\npaths: {/x: {<<: [*x, *y]}}\n": "a b",
		"openapi: 3.0.0\nx: &x [1]\npaths: {/x: {<<: *x}}\n":                                                                                  "no mapping",
		"openapi: 3.0.0\npaths: &p {<<: *p}\n":                                                                                                "too large or too deep",
		"openapi: 3.0.0\n---\npaths: {}\n":                                                                                                    "found 2",
	} {
		d, err := Load(write(t, "x.yaml", text), "x.yaml", Options{})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			for _, o := range d.Operations() {
				got = strings.TrimSpace(got + " " + o.ID)
			}
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestImportLeavesOutWhatARouteCannotBe(t *testing.T) {
	dir := write(t, "x.json", `{"openapi": "3.0.0", "servers": [{"url": "http://h:99999/"}], "paths": {"/a\nb": {"get": {}}, "/c": {"get": {"servers": [{"url": "http://[::1]:80/"}]}}, "/d": {"get": {}}}}`)
	text, err := Import{File: filepath.Join(dir, "x.json"), Dir: dir}.Write()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"left out: GET /a b: the path has a control character", `"http://localhost:9000"`, `"http://[::1]:80"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in:\n%s", want, text)
		}
	}
}

// TestOneOrSeveral: what may be one value or several is right if it is so in one of the ways in which it can be read.
func TestOneOrSeveral(t *testing.T) {
	parameter := func(name, in, schema, more string) string {
		return `{"name": "` + name + `", "in": "` + in + `", "required": ` + map[bool]string{true: "true", false: "false"}[in == "path"] + more + `, "schema": ` + schema + `}`
	}
	several := `{"oneOf": [{"type": "string", "maxLength": 3}, {"type": "array", "items": {"type": "string", "enum": ["total", "page"]}}]}`
	size := `{"anyOf": [{"type": "object", "additionalProperties": false, "required": ["from"], "properties": {"from": {"type": "integer"}}}, {"type": "integer"}, {"type": "string", "enum": [""]}]}`
	text := `{"openapi": "3.0.0", "paths": {"/x/{p}": {"get": {"parameters": [` + strings.Join([]string{
		parameter("p", "path", several, ""), parameter("q", "query", several, ""), parameter("flat", "query", several, `, "explode": false`),
		parameter("size", "query", size, `, "explode": false`), parameter("X-H", "header", several, ""),
	}, ",") + `]}}}}`
	d := loadAll(t, write(t, "x.json", text), "x.json")
	for target, want := range map[string]string{
		"/x/a":                 "",
		"/x/total":             "",
		"/x/total,page":        "",
		"/x/sum":               "",
		"/x/summe":             "path p /0: is none of the values that are allowed",
		"/x/a?q=*":             "",
		"/x/a?q=total&q=page":  "",
		"/x/a?q=a&q=b":         "query q /0: is none of the values that are allowed\nquery q /1: is none of the values that are allowed",
		"/x/a?flat=*":          "",
		"/x/a?flat=total,page": "",
		"/x/a?flat=%2A,":       "",
		"/x/a?size=5":          "",
		"/x/a?size=":           "",
		"/x/a?size=from,5":     "",
		"/x/a?size=5,6":        "query size: has \"5\", which it must not have\nquery size: lacks \"from\"",
		"/x/a?size=x":          "query size: is no list of names and values",
	} {
		if got := check(d, httptest.NewRequest("GET", "http://h"+target, nil), "", false); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// TestParametersThatAreReadOnly: a number that services give, and answers have as a property, stands in paths and queries all the same.
func TestParametersThatAreReadOnly(t *testing.T) {
	d := loadAll(t, write(t, "x.json", `{"openapi": "3.0.3", "paths": {"/x/{id}": {"get": {"parameters": [
		{"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/Id"}},
		{"name": "near", "in": "query", "schema": {"allOf": [{"$ref": "#/components/schemas/Id"}, {"maximum": 9}]}}]}}},
		"components": {"schemas": {"Id": {"type": "integer", "readOnly": true}}}}`), "x.json")
	for target, want := range map[string]string{
		"/x/1":         "",
		"/x/1?near=2":  "",
		"/x/a":         "path id: expected integer, got string",
		"/x/1?near=10": "query near: is more than 9",
	} {
		if got := check(d, httptest.NewRequest("GET", "http://h"+target, nil), "", false); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// TestAParameterThatStandsTwice in a path is checked at both places, and can be imported.
func TestAParameterThatStandsTwice(t *testing.T) {
	dir := write(t, "x.json", `{"openapi": "3.0.3", "paths": {"/x/{id}/{to}/{id}": {"get": {"parameters": [
		{"name": "id", "in": "path", "required": true, "schema": {"type": "integer"}}, {"name": "to", "in": "path", "required": true, "schema": {"type": "string"}}]}}}}`)
	d := loadAll(t, dir, "x.json")
	for target, want := range map[string]string{
		"/x/1/b/2": "",
		"/x/a/b/2": "path id: expected integer, got string",
		"/x/1/b/c": "path id: expected integer, got string",
	} {
		if got := check(d, httptest.NewRequest("GET", "http://h"+target, nil), "", false); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
	text, err := Import{File: filepath.Join(dir, "x.json"), Dir: dir}.Write()
	if want := `"GET /x/{id}/{to}/{id_}"`; err != nil || !strings.Contains(text, want) {
		t.Errorf("%v, and no %s in:\n%s", err, want, text)
	}
}
