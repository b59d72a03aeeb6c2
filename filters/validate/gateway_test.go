package validate_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/control/watch"
)

// problem is what a client is told.
type problem struct {
	Code   string
	Errors []struct{ In, Parameter, Pointer, Reason string }
}

// told is a problem in a line: its code and violations.
func told(t *testing.T, body string) string {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	s := p.Code
	for _, e := range p.Errors {
		s += "|" + e.In + " " + e.Parameter + " " + e.Pointer + " " + e.Reason
	}
	return s
}

// upstream answers as its requests say, and keeps the last body.
func upstream(t *testing.T) (address string, last *[]byte) {
	last = new([]byte)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*last, _ = io.ReadAll(r.Body)
		for name, values := range r.Header {
			if short, ok := strings.CutPrefix(name, "Answer-"); ok && short != "Status" && short != "Body" {
				w.Header()[short] = values
			}
		}
		var status int
		if _, err := fmt.Sscan(r.Header.Get("Answer-Status"), &status); err == nil {
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, r.Header.Get("Answer-Body"))
	}))
	t.Cleanup(s.Close)
	return s.URL, last
}

func testdata(t *testing.T, name string) string {
	path, err := filepath.Abs("../../internal/openapi/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func deflated(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func TestRequestsThroughTheGateway(t *testing.T) {
	address, last := upstream(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {api: %q}
routes:
  - {match: /v1/**, to: api, validate: {openapi: %q, max_body: 1KiB, unknown_query: refuse}}
  - {match: /one, to: api, validate: {request: {type: object, required: [a], properties: {a: {type: integer}}}, max_body: 64}}
`, address, testdata(t, "petstore.yaml")))
	const kind = "Content-Type: application/json"
	large := `{"a":1,"b":"` + strings.Repeat("x", 100) + `"}`
	for _, test := range []struct {
		method, path, body string
		fields             []string
		status             int
		want               string
	}{
		{"GET", "/v1/pets", "", nil, 200, ""},
		{"HEAD", "/v1/pets", "", nil, 200, ""},
		{"GET", "/v1/pets?limit=x&z=1", "", nil, 400, "request_invalid|query limit  expected integer, got string|query z  is not known"},
		{"POST", "/v1/pets", `{"name":"Tom"}`, []string{kind}, 200, ""},
		{"POST", "/v1/pets", zipped(`{"name":"Tom"}`), []string{kind, "Content-Encoding: gzip"}, 200, ""},
		{"POST", "/v1/pets", deflated(`{"name":"Tom"}`), []string{kind, "Content-Encoding: deflate"}, 200, ""},
		{"POST", "/v1/pets", zipped(`{"name":""}`), []string{kind, "Content-Encoding: gzip"}, 400, "request_invalid|body  /name has 0 characters, fewer than 1"},
		{"POST", "/v1/pets", zipped(`{"name":"Tom"}`) + "more", []string{kind, "Content-Encoding: gzip"}, 400, "request_invalid|body   is not encoded as its Content-Encoding says"},
		{"POST", "/v1/pets", zipped(`{"name":"` + strings.Repeat("a", 1<<20) + `"}`), []string{kind, "Content-Encoding: gzip"}, 413, "body_too_large"},
		{"POST", "/v1/pets", "x", []string{kind, "Content-Encoding: br"}, 415, "media_type_unsupported"},
		{"POST", "/v1/pets", "x", []string{kind, "Content-Encoding: gzip, gzip"}, 415, "media_type_unsupported"},
		{"POST", "/v1/pets", "x", []string{"Content-Type: text/xml"}, 415, "media_type_unsupported"},
		{"POST", "/v1/pets", `{"name":"Tom"}`, []string{kind, "Content-Type: text/xml"}, 415, "media_type_unsupported"},
		{"POST", "/one", `{"a":1}`, []string{kind, "Content-Type: text/xml"}, 415, "media_type_unsupported"},
		{"POST", "/v1/pets", "", []string{kind}, 400, "request_invalid|body   is missing"},
		{"POST", "/v1/pets", strings.Repeat(" ", 2000), []string{kind}, 413, "body_too_large"},
		{"PUT", "/v1/pets/1/photo", strings.Repeat("x", 100_000), []string{"Content-Type: image/png"}, 200, ""}, // no schema: it is not read
		{"PATCH", "/v1/pets", `{}`, []string{kind}, 405, "operation_unknown"},
		{"GET", "/v1/none", "", nil, 404, "operation_unknown"},
		{"POST", "/one", `{"a":12345678901234567890123}`, []string{kind}, 200, ""},
		{"POST", "/one", `{"a":1.5}`, []string{"Content-Type: application/vnd.x+json"}, 400, "request_invalid|body  /a expected integer, got number"},
		{"POST", "/one", `a=1`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "media_type_unsupported"},
		{"POST", "/one", `{"a":1}`, nil, 415, "media_type_unsupported"},
		{"POST", "/one", "", nil, 400, "request_invalid|body   is missing"},
		{"GET", "/one", "", nil, 200, ""},
		{"POST", "/one", large, []string{kind}, 413, "body_too_large"},
	} {
		*last = nil
		resp, body := g.Do(test.method, test.path, test.body, test.fields...)
		got := ""
		if resp.StatusCode >= 400 {
			got = told(t, body)
		} else if string(*last) != test.body {
			t.Errorf("%s %s: the upstream got %.100q, and not what was sent", test.method, test.path, *last)
		}
		if resp.StatusCode != test.status || got != test.want {
			t.Errorf("%s %s %.60q: got %d %s, want %d %s", test.method, test.path, test.body, resp.StatusCode, got, test.status, test.want)
		}
	}
	if resp, _ := g.Do("PATCH", "/v1/pets", ""); resp.Header.Get("Allow") != "GET, POST" {
		t.Errorf("Allow is %q", resp.Header.Get("Allow"))
	}
}

// TestNoValuesAreShown: what a client sent comes back nowhere.
func TestNoValuesAreShown(t *testing.T) {
	const secret = "hunter2secret"
	address, _ := upstream(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {api: %q}
routes:
  - {match: /v1/**, to: api, validate: {openapi: %q}}
`, address, testdata(t, "petstore.yaml")))
	for _, body := range []string{
		`{"name":"` + strings.Repeat(secret, 3) + `","kind":"` + secret + `","born":"` + secret + `","owner":"` + secret + `"}`,
		`{"name":` + secret, `"` + secret + `"`, `{"name":"Tom","owner":{"email":"` + secret + `"}}`,
	} {
		resp, answer := g.Do("POST", "/v1/pets?limit="+secret, body, "Content-Type: application/json", "X-Trace: "+secret)
		if resp.StatusCode != 400 || strings.Contains(answer, secret) {
			t.Errorf("%d %s", resp.StatusCode, answer)
		}
	}
	if strings.Contains(g.Log(), secret) {
		t.Error("the log has it")
	}
}

func TestReportedRequestsPass(t *testing.T) {
	address, last := upstream(t)
	dir := t.TempDir()
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {api: %q}
log: {file: %q, fields: [status, invalid]}
routes:
  - {match: /v1/**, to: api, validate: {openapi: %q, mode: report, max_body: 100}}
`, address, filepath.Join(dir, "log"), testdata(t, "petstore.yaml")))
	for _, body := range []string{`{}`, strings.Repeat("x", 10_000)} {
		resp, _ := g.Do("POST", "/v1/pets", body, "Content-Type: application/json")
		if resp.StatusCode != 200 || string(*last) != body {
			t.Errorf("%d, %d bytes", resp.StatusCode, len(*last))
		}
		r, _ := http.NewRequest("POST", g.URL+"/v1/pets", struct{ io.Reader }{strings.NewReader(body)}) // chunked
		r.Header.Set("Content-Type", "application/json")
		if resp, err := g.Client.Do(r); err != nil || resp.StatusCode != 200 || string(*last) != body {
			t.Errorf("chunked: %v, %d bytes", err, len(*last))
		} else {
			_ = resp.Body.Close()
		}
	}
	if resp, _ := g.Get("/v1/none"); resp.StatusCode != 200 {
		t.Errorf("an unknown operation got %d", resp.StatusCode)
	}
}

func TestResponses(t *testing.T) {
	address, _ := upstream(t)
	config := func(responses string) string {
		return fmt.Sprintf(`
upstreams: {api: %q}
routes:
  - {match: /v1/**, to: api, validate: {openapi: %q, responses: %s, max_body: 100, large_responses: refuse, unknown_statuses: refuse}}
`, address, testdata(t, "petstore.yaml"), responses)
	}
	pet := `{"id":1,"name":"Tom"}`
	for _, mode := range []string{"enforce", "report"} {
		g := gatewaytest.New(t, config(mode))
		for _, test := range []struct {
			path   string
			fields []string
			status int // when enforced
			passes int
		}{
			{"/v1/pets/1", []string{"Answer-Body: " + pet, "Answer-Content-Type: application/json"}, 200, 200},
			{"/v1/pets/1", []string{"Answer-Body: {}", "Answer-Content-Type: application/json"}, 502, 200},
			{"/v1/pets/1", []string{"Answer-Body: <html>", "Answer-Content-Type: application/json"}, 502, 200},
			{"/v1/pets/1", []string{"Answer-Body: <html>", "Answer-Content-Type: text/html"}, 502, 200},
			{"/v1/pets/1", []string{`Answer-Body: {"id":1,"name":"Tom","secret":"x"}`, "Answer-Content-Type: application/json"}, 502, 200},
			{"/v1/pets/1", []string{`Answer-Body: {"message":"x"}`, "Answer-Status: 404", "Answer-Content-Type: application/json"}, 404, 404},
			{"/v1/pets/1", []string{`Answer-Body: {}`, "Answer-Status: 404", "Answer-Content-Type: application/json"}, 502, 404},
			{"/v1/pets/1", []string{`Answer-Body: x`, "Answer-Status: 500"}, 502, 500},
			{"/v1/pets/1", []string{"Answer-Content-Type: application/json"}, 502, 200}, // empty
			{"/v1/pets/1", []string{"Answer-Body: [" + strings.Repeat(" ", 200) + "]", "Answer-Content-Type: application/json"}, 502, 200},
			{"/v1/pets/1", []string{"Answer-Body: " + pet, "Answer-Content-Type: application/json", "Answer-Content-Encoding: br"}, 502, 200},
			{"/v1/pets", []string{"Answer-Body: [" + pet + "]", "Answer-Content-Type: application/json", "Answer-X-Total: 1"}, 200, 200},
			{"/v1/pets", []string{"Answer-Body: [" + pet + "]", "Answer-Content-Type: application/json", "Answer-X-Total: x"}, 502, 200},
			{"/v1/pets", []string{"Answer-Body: [" + pet + "]", "Answer-Content-Type: application/json"}, 502, 200},
		} {
			resp, body := g.Get(test.path, test.fields...)
			want := test.status
			if mode == "report" {
				want = test.passes
			}
			if resp.StatusCode != want {
				t.Errorf("%s %v: got %d, want %d: %s", mode, test.fields, resp.StatusCode, want, body)
			}
			if resp.StatusCode == 502 && (told(t, body) != "response_invalid" || strings.Contains(body, "name")) {
				t.Errorf("the client is told %s", body)
			}
		}
	}
}

// TestClientsCannotChooseNotToBeChecked: what the upstream is asked for can be read here, and is whole.
func TestClientsCannotChooseNotToBeChecked(t *testing.T) {
	var got http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{}`)
	}))
	defer s.Close()
	g := gatewaytest.New(t, fmt.Sprintf("upstreams: {api: %q}\nroutes: [{match: /**, to: api, validate: {response: {type: object}}}]\n", s.URL))
	for accepted, want := range map[string]string{"br": "identity", "br;q=1, gzip;q=0.5": "gzip;q=0.5", "gzip": "gzip"} {
		if resp, _ := g.Get("/", "Accept-Encoding: "+accepted, "Range: bytes=0-1"); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
		if diff := cmp.Diff([]string{want, ""}, []string{got.Get("Accept-Encoding"), got.Get("Range")}); diff != "" {
			t.Error(diff)
		}
	}
}

// TestResponsesWithABodyThatTheyMustNotHave are checked like others.
func TestResponsesWithABodyThatTheyMustNotHave(t *testing.T) {
	address, _ := upstream(t)
	g := gatewaytest.New(t, fmt.Sprintf("upstreams: {api: %q}\nroutes: [{match: /**, to: api, validate: {response: {type: object, additionalProperties: false}}}]\n", address))
	if resp, body := g.Get("/", "Answer-Status: 205", `Answer-Body: {"secret":1}`, "Answer-Content-Type: application/json"); resp.StatusCode != 502 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if resp, body := g.Get("/", "Answer-Status: 205"); resp.StatusCode != 205 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// TestHEADOfATransformedResponse: the service may have been asked by another method, and have answered with a body.
func TestHEADOfATransformedResponse(t *testing.T) {
	address, _ := upstream(t)
	g := gatewaytest.New(t, fmt.Sprintf(`
upstreams: {api: %q}
routes:
- {match: /**, to: api, validate: {response: {type: object}}, transform: {request: {method: POST, set: {a: 1}}, response: {from: xml}}}
`, address))
	if resp, _ := g.Do("HEAD", "/", "", "Answer-Body: <a/>", "Answer-Content-Type: text/xml"); resp.StatusCode != 200 {
		t.Errorf("got %d\n%s", resp.StatusCode, g.Log())
	}
}

// TestNamedOperationsAreNotForOtherMethods: what the document does not say of a method is not let through unchecked.
func TestNamedOperationsAreNotForOtherMethods(t *testing.T) {
	address, _ := upstream(t)
	for extra, want := range map[string]int{"": 405, ", unknown_operations: pass": 200} {
		g := gatewaytest.New(t, fmt.Sprintf("upstreams: {api: %q}\nroutes: [{match: '/shop/pets/{petId}', to: api, validate: {openapi: %q, operation: getPet%s}}]\n", address, testdata(t, "petstore.yaml"), extra))
		for method, want := range map[string]int{"GET": 200, "HEAD": 200, "DELETE": want, "POST": want} {
			body := ""
			if method == "POST" {
				body = `{"admin":true}`
			}
			resp, text := g.Do(method, "/shop/pets/1", body)
			if resp.StatusCode != want || want == 405 && resp.Header.Get("Allow") != "GET" {
				t.Errorf("%s: got %d %v %s", method, resp.StatusCode, resp.Header, text)
			}
		}
	}
}

// TestReloadSeesChangedFiles: also those that are referred to.
func TestReloadSeesChangedFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("api.yaml", `{openapi: 3.1.0, paths: {/x: {get: {operationId: x, parameters: [{name: q, in: query, schema: {$ref: "q.yaml"}}]}}}}`)
	text := fmt.Sprintf("routes: [{match: /x, respond: ok, validate: {openapi: %q, operation: x}}]\n", filepath.Join(dir, "api.yaml"))
	write("q.yaml", "{type: integer}")
	g := gatewaytest.New(t, text)
	status := func() int { resp, _ := g.Get("/x?q=5"); return resp.StatusCode }
	for _, step := range []struct {
		schema string
		status int
	}{{"{type: integer}", 200}, {"{type: integer, maximum: 3}", 400}, {"{type: integer}", 200}, {"{type: integer, maximum: 4}", 400}} {
		write("q.yaml", step.schema)
		if err := g.SetConfig(text); err != nil {
			t.Fatal(err)
		}
		if got := status(); got != step.status {
			t.Errorf("%s: got %d, want %d", step.schema, got, step.status)
		}
	}
	write("q.yaml", "{type: nonsense}")
	if err := g.SetConfig(text); err == nil || !strings.Contains(err.Error(), "q.yaml") {
		t.Errorf("a wrong schema: %v", err)
	}
	if got := status(); got != 400 {
		t.Errorf("after a reload that failed: %d", got)
	}
	if err := os.Remove(filepath.Join(dir, "q.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := g.SetConfig(text); err == nil || !strings.Contains(err.Error(), "q.yaml: no such file") {
		t.Errorf("a schema that is gone: %v", err)
	}
	write("q.yaml", "{type: integer}")
	if err := g.SetConfig(text); err != nil || status() != 200 {
		t.Errorf("a schema that is back: %v", err)
	}
}

// TestChangedFilesAreSeen without a word to the gateway, whatever names them. What is wrong changes nothing, and is taken once it is mended.
func TestChangedFilesAreSeen(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("api.yaml", `{openapi: 3.0.0, paths: {/x: {get: {operationId: x, parameters: [{name: q, in: query, schema: {$ref: "parts/q.yaml#/a"}}]}}}}`)
	write("main.json", `{"$ref": "parts.json#/a"}`)
	if err := os.Mkdir(filepath.Join(dir, "parts"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("parts/q.yaml", "a: {type: integer}")
	write("parts.json", `{"a": {"type": "integer"}}`)
	write("sorry.txt", "one")
	text := fmt.Sprintf(`routes:
  - {match: /x, respond: ok, validate: {openapi: %[1]s/api.yaml, operation: x}}
  - {match: /y, respond: ok, validate: %[1]s/main.json}
  - {match: /z, respond: {file: %[1]s/sorry.txt}}
`, dir)
	g := gatewaytest.New(t, text)
	name := filepath.Join(dir, "cardea.conf")
	write("cardea.conf", text)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- watch.Watch(ctx, watch.Sources{Files: func() ([]string, error) { return []string{name}, nil }, Used: g.Used}, func() {
			_, _ = g.Reload(ctx, "file change")
		})
	}()
	answer := func(path string) string { _, body := g.Get(path); return body }
	status := func(method, path string) string {
		resp, _ := g.Do(method, path, "5", "Content-Type: application/json")
		return fmt.Sprint(resp.StatusCode)
	}
	wait := func(what string, is func() bool) {
		t.Helper()
		for range 2000 {
			if is() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("%s:\n%s", what, g.Log())
	}
	write("sorry.txt", "two") // before it is watched
	wait("the file of an answer", func() bool { return answer("/z") == "two" })
	write("parts/q.yaml", "a: {type: integer, maximum: 3}")
	wait("a file that a document refers to", func() bool { return status("GET", "/x?q=5") == "400" })
	write("parts.json", `{"a": {"type": "string"}}`)
	wait("a file that a schema refers to", func() bool { return status("POST", "/y") == "400" })
	write("parts/q.yaml", "a: {type: nonsense}")
	wait("one that is wrong", func() bool {
		return strings.Contains(g.Log(), "cannot reload") && strings.Contains(g.Log(), "parts/q.yaml")
	})
	if got := status("GET", "/x?q=5") + status("GET", "/x?q=3"); got != "400200" {
		t.Errorf("the old one is not in force: %s", got)
	}
	write("parts/q.yaml", "a: {$ref: new.yaml}")
	wait("a file that is not there", func() bool { return strings.Contains(g.Log(), "new.yaml: no such file") })
	write("parts/new.yaml", "{type: integer}")
	wait("it is there now", func() bool { return status("GET", "/x?q=5") == "200" })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
