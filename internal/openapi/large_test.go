package openapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// large writes a document with 4n operations, whose schemas stand in them, and n that refer to each other.
func large(t testing.TB, n int, version string) (dir, name string) {
	t.Helper()
	return largeWith(t, n, version, func(int, map[string]any) {})
}

// largeWith is large with something more in the schemas that are referred to.
func largeWith(t testing.TB, n int, version string, more func(i int, schema map[string]any)) (dir, name string) {
	t.Helper()
	type o = map[string]any
	own := func(i int) o {
		return o{"type": "object", "required": []string{"name"}, "properties": o{
			"id": o{"type": "integer", "format": "int64", "readOnly": true}, "name": o{"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
			"address": o{"type": "object", "properties": o{"street": o{"type": "string"}, "number": o{"type": "integer"}}},
			"next":    o{"$ref": fmt.Sprintf("#/components/schemas/S%d", (i*7+1)%n)}, "tags": o{"type": "array", "items": o{"type": "string"}},
		}}
	}
	content := func(s o) o { return o{"description": "x", "content": o{"application/json": o{"schema": s}}} }
	paths, schemas := o{}, o{}
	for i := range n {
		named := own(i)
		more(i, named)
		schemas[fmt.Sprintf("S%d", i)] = named
		paths[fmt.Sprintf("/things%d", i)] = o{
			"get": o{
				"operationId": fmt.Sprintf("list%d", i), "parameters": []o{{"name": "limit", "in": "query", "schema": o{"type": "integer", "minimum": 1}}},
				"responses": o{"200": content(o{"type": "array", "items": own(i)})},
			},
			"post": o{"operationId": fmt.Sprintf("create%d", i), "requestBody": content(own(i)), "responses": o{"200": content(own(i))}},
		}
		paths[fmt.Sprintf("/things%d/{id}", i)] = o{
			"parameters": []o{{"name": "id", "in": "path", "required": true, "schema": o{"type": "integer"}}},
			"get":        o{"responses": o{"200": content(own(i))}}, "put": o{"requestBody": content(own(i)), "responses": o{}},
		}
	}
	text, err := json.Marshal(o{"openapi": version, "info": o{"title": "t", "version": "1"}, "paths": paths, "components": o{"schemas": schemas}})
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, "large.json"
}

func loadAll(t testing.TB, dir, name string) *Document {
	t.Helper()
	d, err := Load(dir, name, Options{Formats: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Compile(nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWorkGrowsWithTheDocument and not with its square: four times the operations take no more than some five times the memory to be allocated.
func TestWorkGrowsWithTheDocument(t *testing.T) {
	for _, test := range kindsOfLarge {
		var took []uint64
		for _, n := range []int{25, 100} {
			dir, name := largeWith(t, n, test.version, test.more)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			loadAll(t, dir, name)
			runtime.ReadMemStats(&after)
			took = append(took, after.TotalAlloc-before.TotalAlloc)
		}
		if took[1] > 5*took[0] {
			t.Errorf("%s: 100 operations took %d bytes, and 400 took %d", test.name, took[0], took[1])
		}
	}
}

// TestManyProperties that refer to each other: what is said of a form's fields is worked out once for each schema, not for each way to it.
func TestManyProperties(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"openapi": "3.0.0", "paths": {"/x": {"post": {"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": {"$ref": "#/components/schemas/A"}}}}}}}, "components": {"schemas": {"A": {"properties": {"x": {}`)
	for i := range 60 {
		fmt.Fprintf(&b, `, "p%d": {"$ref": "#/components/schemas/A"}`, i)
	}
	b.WriteString(`}}, "B": {"oneOf": [{"$ref": "#/components/schemas/B"}`)
	b.WriteString(strings.Repeat(`, {"$ref": "#/components/schemas/B"}`, 40) + `]}}}}`)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	d := loadAll(t, dir, "a.json")
	if n := len(d.shapes); n > 400 {
		t.Errorf("%d shapes", n)
	}
	if types := d.files.Types(d.root.At("components", "schemas", "B")); len(types) != 0 {
		t.Errorf("types %v", types)
	}
}

func TestFindLooksAtFewOperations(t *testing.T) {
	dir, name := large(t, 400, "3.0.3")
	d, err := Load(dir, name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := finder{method: "PUT", any: true}
	f.find(&d.paths, "things399/7")
	if f.best.Operation == nil || f.best.Operation.Name() != "PUT /things399/{id}" || f.steps > 2 {
		t.Errorf("found %v in %d steps", f.best.Operation, f.steps)
	}
}

// slowly is Find as it is told of, without the tree.
func slowly(d *Document, method, path string, bases []string) (best Found) {
	rank := func(o *Operation) int {
		n := o.template.literals
		if o.Method == method {
			n += 1_000_000
		}
		return n
	}
	for _, o := range d.operations {
		values, ok := o.match(path, bases)
		switch {
		case !ok:
		case o.Method != method && (method != http.MethodHead || o.Method != http.MethodGet):
			best.Allow = append(best.Allow, o.Method)
		case best.Operation == nil || rank(o) > rank(best.Operation):
			best.Operation, best.Values = o, values
		}
	}
	if best.Operation != nil {
		best.Allow = nil
	}
	slices.Sort(best.Allow)
	best.Allow = slices.Compact(best.Allow)
	return best
}

func TestFindIsAsWithoutTheTree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	segments := []string{"a", "b", "", "{x}", "{y}", "{x}.json", "v{x}", "{x}-{z}", "a%20b", "a b", "%41"}
	asked := []string{"a", "b", "", "1.json", "v1", "a-b", "a%20b", "A", "%61", "v-1.json", "%zz"}
	for range 300 {
		paths := map[string]any{}
		for range 1 + r.IntN(12) {
			path, used := "", ""
			for range 1 + r.IntN(3) {
				s := segments[r.IntN(len(segments))]
				if strings.ContainsAny(used, "xyz") {
					s = segments[r.IntN(3)]
				}
				used += s
				path += "/" + s
			}
			item := map[string]any{}
			for _, m := range methods[:3] {
				if r.IntN(2) == 0 {
					item[m] = map[string]any{"servers": []any{map[string]any{"url": []string{"/", "/v1", "http://h/a"}[r.IntN(3)]}}}
				}
			}
			paths[path] = item
		}
		text, _ := json.Marshal(map[string]any{"openapi": "3.0.0", "paths": paths})
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "a.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(dir, "a.json", Options{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for range 40 {
			path := []string{"", "/v1", "/a"}[r.IntN(3)]
			for range 1 + r.IntN(3) {
				path += "/" + asked[r.IntN(len(asked))]
			}
			for _, method := range []string{"GET", "HEAD", "POST"} {
				for _, bases := range [][]string{nil, {""}, {"/v1"}} {
					got, want := d.Find(method, path, bases), slowly(d, method, path, bases)
					if got.Operation != want.Operation || !slices.Equal(got.Values, want.Values) || !slices.Equal(got.Allow, want.Allow) {
						t.Fatalf("%s\n%s %s %q: %v %q %v, want %v %q %v", text, method, path, bases, got.Operation, got.Values, got.Allow, want.Operation, want.Values, want.Allow)
					}
				}
			}
		}
	}
}

// kindsOfLarge are kinds of large documents: versions, and how the schemas refer to each other.
var kindsOfLarge = []struct {
	name, version string
	more          func(i int, schema map[string]any)
}{
	{"3.0", "3.0.3", func(int, map[string]any) {}},
	{"3.1", "3.1.0", func(int, map[string]any) {}},
	{"anchors", "3.1.0", func(i int, schema map[string]any) {
		schema["$anchor"] = fmt.Sprintf("a%d", i)
		schema["properties"].(map[string]any)["again"] = map[string]any{"$ref": fmt.Sprintf("#a%d", i/2)}
	}},
	{"ids", "3.1.0", func(i int, schema map[string]any) {
		schema["$id"] = fmt.Sprintf("https://example.com/s%d", i)
		schema["properties"].(map[string]any)["next"] = map[string]any{"$ref": fmt.Sprintf("s%d", i/2)}
	}},
	{"dynamic", "3.1.0", func(i int, schema map[string]any) {
		if i == 0 {
			schema["$dynamicAnchor"] = "node"
		}
		schema["properties"].(map[string]any)["again"] = map[string]any{"$dynamicRef": "#node"}
	}},
}

func BenchmarkLoad(b *testing.B) {
	for _, test := range kindsOfLarge {
		b.Run(test.name, func(b *testing.B) {
			dir, name := largeWith(b, 400, test.version, test.more)
			b.ReportAllocs()
			for b.Loop() {
				loadAll(b, dir, name)
			}
		})
	}
}

// BenchmarkManyProperties is of one schema with 20,000 properties.
func BenchmarkManyProperties(b *testing.B) {
	properties := map[string]any{}
	for i := range 20_000 {
		properties[fmt.Sprintf("p%d", i)] = map[string]any{"type": "string"}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	text, err := json.Marshal(map[string]any{"openapi": "3.1.0", "paths": map[string]any{"/x": map[string]any{
		"post": map[string]any{"requestBody": map[string]any{"content": map[string]any{"application/json": map[string]any{"schema": schema}}}},
	}}})
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.json"), text, 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		loadAll(b, dir, "a.json")
	}
}
