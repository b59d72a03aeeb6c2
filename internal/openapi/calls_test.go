package openapi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	shapes "cardea.dev/cardea/internal/shape"
)

func called(t testing.TB) *Document {
	t.Helper()
	d, err := Load("testdata", "called.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestAsked: which operation a call is, where that is sure. Values that are not known yet are written as "*".
func TestAsked(t *testing.T) {
	d := called(t)
	for _, test := range []struct{ call, want string }{
		{"GET /v1/users", "listUsers"},
		{"GET /users", "listUsers"}, // without the servers' path
		{"GET /users/", "listUsers"},
		{"HEAD /users", "listUsers"},
		{"GET /users/7", "getUser"},
		{"GET /users/*", "getUser"},
		{"GET /users/me", "getMe"},
		{"GET /users/x-*", "getUser"},
		{"GET /users/*/orders/*", "getOrder"},
		{"GET /files/*.json", "getFile"},
		{"GET /files/a.*", "getFile"},
		{"GET /files/*", "unknown"}, // the value may have the point, or not
		{"GET /compare/*", "compare"},
		{"GET /compare/a..b", "compareTwo"},
		{"GET /raw/docs/a/b", "unknown"}, // {path} may have slashes
		{"GET /raw/docs", "getRaw"},
		{"GET /contents/a/b", "unknown"}, // x-multi-segment
		{"GET /*/list", "unknown"},       // either of two
		{"GET /*/none", "unknown"},       // perhaps /users/none
		{"GET /action?x", "no operation"},
		{"GET /action", "unknown"}, // "/action?do=a" and "/action?do=b"
		{"GET /twice/*", "unknown"},
		{"QUERY /users", "unknown"},
		{"GET /other/things", "getThings"}, // a server of its own
		{"GET /users/*/orders", "no operation GET /users/{…}/orders; there is POST /users/{id}/orders"},
		{"DELETE /v1/users/*", "no operation DELETE /v1/users/{…}; there are GET /users/{id}, PUT /users/{id}"},
		{"GET /usrs/*", "did you mean GET /users/{id}?"},
		{"GET /v1/usrs/*", "did you mean GET /v1/users/{id}?"},
		{"GET /users/*/ordres/*", "did you mean GET /users/{id}/orders/{order}?"},
		{"GET /v2/users", "no operation"},
		{"GET /", "no operation"},
	} {
		method, path, _ := strings.Cut(test.call, " ")
		o, err := d.Asked(method, strings.ReplaceAll(path, "*", Hole))
		got := "unknown"
		switch {
		case err != nil:
			got = err.Error()
		case o != nil:
			got = o.Name()
		}
		if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("%s is %s, and should be %s", test.call, got, test.want)
		}
	}
}

// TestQueriesOfCalls: names that are not known, or are missing.
func TestQueriesOfCalls(t *testing.T) {
	d := called(t)
	for _, test := range []struct{ operation, query, want string }{
		{"listUsers", "since=1", ""},
		{"listUsers", "since=*&page=2&tags[]=x&tags=y&filter[name]=z&key=k", ""},
		{"listUsers", "*=1", ""},
		{"listUsers", "", `the query parameter "since" is missing, which GET /users in called.yaml requires`},
		{"listUsers", "since=1&pge=2", `GET /users in called.yaml has no query parameter "pge"; did you mean "page"?`},
		{"listUsers", "since=1&%ZZ=2", ""},
		{"getUser", "x=1", ""}, // it declares none
		{"getMe", "x=1", ""},   // any, by an object
		{"getOrder", "x=1", ""},
	} {
		o, err := d.Operation(test.operation)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := o.CheckQuery(strings.ReplaceAll(test.query, "*", Hole)); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s?%s: %s", test.operation, test.query, got)
		}
	}
}

// TestAnswersOfCalls: the shape is that of the answers that are of use.
func TestAnswersOfCalls(t *testing.T) {
	d := called(t)
	for _, test := range []struct{ operation, statuses, good, bad string }{
		{"getUser", "200-299", "id, name", "title, x"},
		{"getUser", "200-299 404-404", "id, title", "x"},
		{"getUser", "404-404", "title", "id"},
		{"getUser", "200-299 500-500", "anything", ""}, // nothing is told of 500
		{"listUsers", "200-299", "", "id"},
		{"getMe", "200-299", "secret", "id"},         // by default
		{"getOrder", "200-299", "json, hal", "x"},    // several media types
		{"getFile", "200-299", "anything", ""},       // no JSON
		{"getRaw", "200-299", "anything", ""},        // nothing is said
		{"getThings", "200-299", "made, there", "x"}, // of 2XX and 201, and not of 204
	} {
		o, err := d.Operation(test.operation)
		if err != nil {
			t.Fatal(err)
		}
		var accepted []config.StatusRange
		for text := range strings.FieldsSeq(test.statuses) {
			var r config.StatusRange
			if err := r.UnmarshalText([]byte(text)); err != nil {
				t.Fatal(err)
			}
			accepted = append(accepted, r)
		}
		s := shapes.Known(o.Answer(accepted))
		for name := range strings.SplitSeq(test.good, ", ") {
			if s == nil || name == "" {
				continue
			}
			if _, err := s.Member(name); err != nil {
				t.Errorf("%s %s: %v", test.operation, test.statuses, err)
			}
		}
		for name := range strings.SplitSeq(test.bad, ", ") {
			if name == "" {
				continue
			}
			if s == nil {
				t.Errorf("%s %s: nothing is known", test.operation, test.statuses)
				break
			}
			if _, err := s.Member(name); err == nil {
				t.Errorf("%s %s has %s", test.operation, test.statuses, name)
			}
		}
	}
}

// TestRequestsOfCalls: the shape of bodies.
func TestRequestsOfCalls(t *testing.T) {
	d := called(t)
	for _, test := range []struct {
		operation, kind string
		known, required bool
	}{
		{"getUser", "", false, false},
		{"putUser", "", true, true},
		{"putUser", "application/merge-patch+json", false, true},
		{"putUser", "application/json; charset=utf-8", true, true},
	} {
		o, err := d.Operation(test.operation)
		if err != nil {
			t.Fatal(err)
		}
		s, required := o.Request(test.kind)
		known := false
		if s != nil {
			_, err := s.Member("nobody")
			known = err != nil
		}
		if known != test.known || required != test.required {
			t.Errorf("%s %s: known %v, required %v", test.operation, test.kind, known, required)
		}
	}
}

// TestOddDocumentsOfCalls: what is not as it should be is not known, and breaks nothing.
func TestOddDocumentsOfCalls(t *testing.T) {
	for _, operation := range []string{
		`{}`, `{responses: null}`, `{responses: []}`, `{responses: {"200": null}}`, `{responses: {"200": {content: x}}}`, `{responses: {2x: {}, "99999999999999999999": {}}}`,
		`{responses: {"200": {content: {application/json: null}}}}`, `{responses: {"200": {content: {application/json: {schema: null}}}}}`,
		`{responses: {"200": {content: {application/json: {schema: x}}}}}`, `{responses: {"200": {$ref: "#/none"}}}`, `{responses: {"200": {$ref: "#/paths/~1a/get/responses/200"}}}`,
		`{responses: {"200": {content: {application/json: {schema: {type: [], properties: [], required: {}, allOf: x, oneOf: [null, 1], items: [], enum: 1}}}}}}`,
		`{responses: {"200": {content: {application/json: {schema: {properties: {x: null, y: 1}, required: [1, null], discriminator: {}, additionalProperties: []}}}}}}`,
		`{responses: {"200": {content: {application/json: {schema: {$ref: 1}}}}}}`, `{responses: {"200": {content: {application/json: {schema: {$ref: "%ZZ"}}}}}}`,
		`{parameters: [null]}`, `{parameters: [{in: query}]}`, `{parameters: [{in: query, name: x, required: true, schema: x}]}`, `{parameters: [{$ref: "#/none"}]}`, `{parameters: {}}`,
		`{requestBody: null}`, `{requestBody: []}`, `{requestBody: {$ref: "#/none"}}`, `{requestBody: {required: yes, content: {application/json: []}}}`,
	} {
		dir := t.TempDir()
		text := "openapi: 3.1.0\npaths: {/a: {get: " + operation + "}}\n"
		if err := os.WriteFile(filepath.Join(dir, "odd.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(dir, "odd.yaml", Options{})
		if err != nil {
			t.Fatal(err)
		}
		o, err := d.Asked("GET", "/a")
		if err != nil || o == nil {
			t.Fatalf("%s: %v", operation, err)
		}
		s := shapes.Known(o.Answer([]config.StatusRange{{From: 200, To: 299}}))
		for _, name := range []string{"x", "y", "[]"} {
			if s != nil {
				_, _ = s.Member(name)
				_, _ = s.Element()
			}
		}
		body, _ := o.Request("")
		_ = body.Accepts("body", map[string]any{"x": []any{1.0, nil, "x"}}, func(string) bool { return true })
		_ = o.CheckQuery("x=1&y")
	}
}

// TestServersOfCalls: paths of servers, as far as these can be read, and what is not known of them.
func TestServersOfCalls(t *testing.T) {
	for servers, want := range map[string]string{
		`[]`:                                    "/a",
		`[{url: /}]`:                            "/a",
		`[{url: "https://h/v1/"}]`:              "/a /v1/a",
		`[{url: v1}]`:                           "/a /v1/a",
		`[{url: "https://h:{port}/v1"}]`:        "/a /v1/a", // has no value for its variable
		`[{url: "{scheme}://h/v1"}]`:            "/a /v1/a",
		`[{url: "https://{tenant}.h/{v}/api"}]`: "/a /v1/api/a",
		`[{url: "https://h:{port}/{v}/api"}]`:   "/a /v1/api/a",
		`[{url: "https://h"}, {url: /v1}]`:      "/a /v1/a",
		`[{url: "/{v}", variables: {v: {default: v2, enum: [v1]}}}]`: "/a /v1/a",
	} {
		dir := t.TempDir()
		text := "openapi: 3.1.0\nservers: " + servers + "\npaths: {/a: {get: {responses: {}}}}\n"
		if err := os.WriteFile(filepath.Join(dir, "servers.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Load(dir, "servers.yaml", Options{})
		if err != nil {
			t.Fatal(err)
		}
		for path := range strings.FieldsSeq(want) {
			if _, err := d.Asked("GET", path); err != nil {
				t.Errorf("%s: %v", servers, err)
			}
		}
		if o, err := d.Asked("GET", "/other/b"); err == nil {
			t.Errorf("%s: GET /other/b is %v", servers, o)
		}
	}
}

// TestRequiredOfCalls: a query parameter whose schema has a default elsewhere need not be sent.
func TestRequiredOfCalls(t *testing.T) {
	dir := t.TempDir()
	text := `openapi: 3.0.3
paths: {/a: {get: {parameters: [{name: size, in: query, required: true, schema: {$ref: "#/components/schemas/Size"}}, {name: at, in: query, required: true, schema: {type: string}}], responses: {}}}}
components: {schemas: {Size: {type: integer, default: 10}}}
`
	if err := os.WriteFile(filepath.Join(dir, "required.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(dir, "required.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := d.Asked("GET", "/a")
	if err != nil {
		t.Fatal(err)
	}
	if err := o.CheckQuery("at=1"); err != nil {
		t.Error(err)
	}
	if o.CheckQuery("size=1") == nil {
		t.Error("nothing is missing")
	}
}

// TestServed: which operations requests of a route may be for.
func TestServed(t *testing.T) {
	d := called(t)
	for _, test := range []struct{ route, want string }{
		{"GET /v1/users", "listUsers"},
		{"GET /users/*", "getUser GET /users/list getMe"},
		{"PUT /users/*", "putUser"},
		{"GET /users/me", "getMe"},
		{"GET /users/x-*", "getUser"},
		{"GET /users/*/orders/*", "getOrder"},
		{"GET /files/*", "unknown"},
		{"GET /raw/docs/a/b", "unknown"},
		{"GET /nothing/here", ""},
		{"DELETE /users/*", ""},
	} {
		method, path, _ := strings.Cut(test.route, " ")
		all, ok := d.Served(method, strings.ReplaceAll(path, "*", Hole))
		var names []string
		for _, o := range all {
			names = append(names, o.Name())
		}
		got := strings.Join(names, " ")
		if !ok {
			got = "unknown"
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.route, got, test.want)
		}
	}
}
