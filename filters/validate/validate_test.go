package validate

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testdata = "../../internal/openapi/testdata"

func newFilter(t testing.TB, text string) (*filter.Env, *filter.Filter) {
	t.Helper()
	env := filtertest.NewEnv(t, "r")
	env.Dir = testdata
	f, err := Kind().Build(env, filtertest.Parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return env, f
}

func TestExplain(t *testing.T) {
	for _, test := range []struct {
		config, method, target string
		want                   filter.Verdict
	}{
		{"{openapi: petstore.yaml}", "GET", "/v1/pets", filter.Verdict{Action: filter.Passes, Note: "listPets: the parameters are right; no body is checked"}},
		{"{openapi: petstore.yaml}", "POST", "/v1/pets", filter.Verdict{Action: filter.Unknown, Note: "createPet: the parameters are right; the body is checked when it comes, up to 1MiB"}},
		{"{openapi: petstore.yaml}", "GET", "/v1/pets?limit=0", filter.Verdict{Action: filter.Rejects, Note: "request_invalid: query limit: is less than 1"}},
		{"{openapi: petstore.yaml, mode: report}", "GET", "/v1/pets?limit=0", filter.Verdict{Action: filter.Passes, Note: "only reported: request_invalid: query limit: is less than 1"}},
		{"{openapi: petstore.yaml}", "PUT", "/v1/pets", filter.Verdict{Action: filter.Rejects, Note: "operation_unknown: The API has no operation for this method here.: the document has no operation for the method, but for GET, POST"}},
		{"{openapi: petstore.yaml, unknown_operations: pass}", "PUT", "/x", filter.Verdict{Action: filter.Passes, Note: "not checked: no path of the document matches, after those of its servers"}},
		{"{openapi: petstore.yaml, base_path: /}", "DELETE", "/pets/7", filter.Verdict{Action: filter.Passes, Note: "deletePet: the parameters are right; no body is checked"}},
		{"{openapi: petstore.yaml, operation: getPet}", "GET", "/shop/x/pets/0", filter.Verdict{Action: filter.Rejects, Note: "request_invalid: path petId: is less than 1"}},
		{"{request: {type: object}}", "POST", "/", filter.Verdict{Action: filter.Unknown, Note: "bodies are checked; the body is checked when it comes, up to 1MiB"}},
		{"{response: {type: object}}", "POST", "/", filter.Verdict{Action: filter.Passes, Note: "no body is checked"}},
	} {
		env, f := newFilter(t, test.config)
		ex := &filter.Exchange{Request: httptest.NewRequest(test.method, test.target, nil), Route: env.Route, Dry: true}
		ex.Prepare(env.Slots())
		if diff := cmp.Diff(test.want, f.Explain(ex)); diff != "" {
			t.Errorf("%s %s %s:\n%s", test.config, test.method, test.target, diff)
		}
	}
}

func TestRefusedConfig(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"type.json":    `{"type": "strin"}`,
		"pattern.json": `{"properties": {"a": {"pattern": "(?=x)"}}}`,
		"ref.json":     `{"$ref": "https://example.com/x.json"}`,
		"up.json":      `{"$ref": "../x.json"}`,
		"twice.json":   `{"type": "object", "type": "array"}`,
		"draft.json":   `{"$schema": "https://example.com/mine"}`,
		"api.yaml":     `{openapi: 3.0.0, paths: {/x: {get: {operationId: getThing, parameters: [{name: a, in: query, style: matrix, schema: {}}]}}, /y: {get: {operationId: fine}}}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		"{}":                                   "expected a schema (request, response) or an OpenAPI document (openapi)",
		"none.json":                            "cannot read none.json: no such file or directory",
		"type.json":                            "type.json#/type: value must be one of",
		"pattern.json":                         "pattern",
		"ref.json":                             "https://example.com/x.json is not in a file of the folder",
		"up.json":                              "cannot read",
		"twice.json":                           "a name stands twice in an object at /type",
		"draft.json":                           "https://example.com/mine",
		"{request: [1]}":                       "expected the name of a file, or a schema",
		"{request: {type: strin}}":             "the schema#/type: value must be one of",
		"{openapi: none.yaml}":                 "cannot read none.yaml: no such file or directory",
		"{request: {}, responses: enforce}":    "give it in `response`",
		"{request: {}, unknown_query: refuse}": "it is for an OpenAPI document",
		"{openapi: api.yaml, operation: fine, base_path: '/v1?'}": "more than a path",
		"{openapi: type.json}":                               "is no OpenAPI document",
		"{openapi: api.yaml}":                                `api.yaml#/paths/~1x/get/parameters/0: the style "matrix" is none of parameters in query`,
		"{openapi: api.yaml, operation: getThings}":          `api.yaml has no operation "getThings"; did you mean "getThing"?`,
		"{openapi: api.yaml, request: {}}":                   "leave out one of the two",
		"{request: {}, operation: x}":                        "an operation is one of an OpenAPI document",
		"{openapi: api.yaml, operation: fine, base_path: x}": "does not begin with a slash",
	} {
		env := filtertest.NewEnv(t, "r")
		env.Dir = dir
		_, err := Kind().Build(env, filtertest.Parse(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nand not: %s", text, err, want)
		}
	}
	env := filtertest.NewEnv(t, "r")
	env.Dir = dir
	for _, text := range []string{"{openapi: api.yaml, operation: fine}", "{request: pattern.json, patterns: skip}"} {
		if _, err := Kind().Build(env, filtertest.Parse(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestReportDelaysNothing: the client has the beginning of an answer before the upstream has sent its end.
func TestReportDelaysNothing(t *testing.T) {
	env, f := newFilter(t, "{response: {type: object}, mode: report}")
	in, out := io.Pipe()
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: env.Route}
	ex.Prepare(env.Slots())
	if err := f.Request(ex); err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	recorder.Header().Set("Content-Type", "application/json")
	ex.Response = recorder.Result()
	ex.Response.Body, ex.Response.ContentLength = in, -1
	if err := f.Response(ex); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = out.Write([]byte("[1")) }()
	b := make([]byte, 10)
	if n, err := ex.Response.Body.Read(b); err != nil || string(b[:n]) != "[1" {
		t.Errorf("read %q, %v", b[:n], err)
	}
	if err := ex.Response.Body.Close(); err != nil {
		t.Error(err)
	}
}

// kib is a body of about 1 KiB.
var kib = []byte(`{"name":"Tom","kind":"cat","born":"2020-02-29","owner":{"email":"a@example.com"},"tags":[` + strings.Repeat(`{"id":1234,"label":"some text"},`, 29) + `{"id":1,"label":"x"}]}`)

const kibSchema = `{request: {type: object, required: [name, kind], additionalProperties: false, properties: {name: {type: string, minLength: 1},
  kind: {enum: [cat, dog]}, born: {type: string, format: date}, owner: {type: object, properties: {email: {type: string, format: email}}},
  tags: {type: array, items: {type: object, required: [id], properties: {id: {type: integer, minimum: 1}, label: {type: string, maxLength: 20}}}}}}}`

func BenchmarkValidate(b *testing.B) {
	for name, config := range map[string]string{"checked": kibSchema, "no schema for it": "{response: {}, responses: off}"} {
		b.Run(name, func(b *testing.B) {
			env, f := newFilter(b, config)
			req := httptest.NewRequest("POST", "/", nil)
			req.Header.Set("Content-Type", "application/json")
			ex := &filter.Exchange{Request: req, Route: env.Route}
			ex.Prepare(env.Slots())
			b.SetBytes(int64(len(kib)))
			b.ReportAllocs()
			for b.Loop() {
				req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(kib)), int64(len(kib))
				if err := f.Request(ex); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParameters(b *testing.B) {
	env, f := newFilter(b, "{openapi: petstore.yaml}")
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/v1/pets/7", nil), Route: env.Route}
	ex.Prepare(env.Slots())
	b.ReportAllocs()
	for b.Loop() {
		if err := f.Request(ex); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNothingToCheckDoesNotAllocate: bodies that no schema is for pass as they are.
func TestNothingToCheckDoesNotAllocate(t *testing.T) {
	env, f := newFilter(t, "{response: {}, responses: off}")
	ex := &filter.Exchange{Request: httptest.NewRequest("POST", "/", strings.NewReader("x")), Route: env.Route}
	ex.Prepare(env.Slots())
	if n := testing.AllocsPerRun(100, func() { _ = f.Request(ex) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
