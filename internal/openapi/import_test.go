package openapi

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestImport compares with golden files. That they are right as configurations is tested with the command.
func TestImport(t *testing.T) {
	for _, name := range []string{"petstore.yaml", "odd.yaml", "defs.json", "strange.yaml"} {
		for range 3 { // the order of maps does not show
			got, err := Import{File: filepath.Join("testdata", name), Dir: "testdata"}.Write()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "import", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s:\n%s", name, diff)
			}
		}
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		``:                                 "expected one YAML document",
		`[]`:                               "expected an OpenAPI document",
		`{swagger: "2.0"}`:                 "is of Swagger 2.0; expected OpenAPI 3.0 or 3.1",
		`{openapi: 4.0.0}`:                 "is of OpenAPI 4.0.0; expected 3.0 or 3.1",
		`{x: 1}`:                           "has no key `openapi`",
		`{openapi: 3.0.0, paths: []}`:      "#/paths: expected an object",
		`{openapi: 3.0.0, paths: {x: {}}}`: `the path "x" does not begin with a slash`,
		`{openapi: 3.0.0, paths: {/x: 1}}`: "#/paths/~1x: expected an object with operations",
		`{openapi: 3.0.0, paths: {"/{x": {get: {}}}}`: "a brace that is not closed",
		`{openapi: 3.0.0, paths: {/x: {get: 1}}}`:     "#/paths/~1x/get: expected an operation",
		"a: &a [*a]\n":                     "too large or too deep",
		"{openapi: 3.0.0, openapi: 3.1.0}": "already defined",
		`{openapi: 3.0.0, paths: {/x: {get: {operationId: a}, put: {operationId: a}}}}`:   `the operationId "a" is that of`,
		`{openapi: 3.0.0, paths: {/x: {$ref: "#/paths/~1y"}, /y: {$ref: "#/paths/~1x"}}}`: "circle",
		"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*f,*f,*f,*f,*f,*f,*f,*f]\n": "too large or too deep",
	} {
		name := filepath.Join(t.TempDir(), "api.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Import{File: name, Dir: "."}.Write()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, and not %s", text, err, want)
		}
	}
}

// TestLinksOutOfTheFolderAreNotFollowed: a symbolic link must not lead out of it.
func TestLinksOutOfTheFolderAreNotFollowed(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.yaml"), []byte("{type: string}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret.yaml"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	text := `{openapi: 3.0.0, paths: {/x: {get: {parameters: [{name: a, in: query, schema: {$ref: link.yaml}}]}}}}`
	if err := os.WriteFile(filepath.Join(dir, "api.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Load(dir, "api.yaml", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Compile(nil); err == nil || !strings.Contains(err.Error(), "link.yaml") {
		t.Errorf("got %v", err)
	}
}
