package schema

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	// They carry JSON Schema's own test suite.
	_ "github.com/google/jsonschema-go/jsonschema"
	_ "github.com/xeipuuv/gojsonschema"
)

// exceptions are the groups of the published test suite that are not run, by draft, file and description, with the reason. "*" is all of a file.
var exceptions = map[string]string{
	"draft2020-12/refRemote.json/*": "its $refs lead to http://localhost:1234, and nothing is read from the network",
	"draft7/refRemote.json/*":       "its $refs lead to http://localhost:1234, and nothing is read from the network",
	"draft4/refRemote.json/*":       "its $refs lead to http://localhost:1234, and nothing is read from the network",
	"draft2020-12/dynamicRef.json/strict-tree schema, guards against misspelled properties":       "its $refs lead to http://localhost:1234",
	"draft2020-12/dynamicRef.json/tests for implementation dynamic anchor and reference link":     "its $refs lead to http://localhost:1234",
	"draft2020-12/dynamicRef.json/$ref and $dynamicAnchor are independent of order - $defs first": "its $refs lead to http://localhost:1234",
	"draft2020-12/dynamicRef.json/$ref and $dynamicAnchor are independent of order - $ref first":  "its $refs lead to http://localhost:1234",
	"draft2020-12/dynamicRef.json/$ref to $dynamicRef finds detached $dynamicAnchor":              "its $refs lead to http://localhost:1234",
}

// TestPublishedSuite runs JSON Schema's test suite through what `validate` checks with.
func TestPublishedSuite(t *testing.T) {
	for _, suite := range []struct {
		module, folder string
		dialect        Dialect
		least          int // groups and cases that must be there, so that an empty folder does not pass
	}{
		{"github.com/google/jsonschema-go", "jsonschema/testdata/draft2020-12", Draft202012, 1000},
		{"github.com/google/jsonschema-go", "jsonschema/testdata/draft2020-12", OpenAPI31, 1000},
		{"github.com/google/jsonschema-go", "jsonschema/testdata/draft7", Draft7, 700},
		{"github.com/xeipuuv/gojsonschema", "testdata/draft4", Draft4, 280},
	} {
		draft := filepath.Base(suite.folder)
		t.Run(fmt.Sprint(draft, " ", suite.dialect), func(t *testing.T) {
			dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", suite.module).Output()
			if err != nil {
				t.Fatalf("cannot find the module that carries the suite: %v", err)
			}
			files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), suite.folder, "*.json"))
			if err != nil {
				t.Fatal(err)
			}
			run := 0
			for _, path := range files {
				run += runFile(t, path, draft+"/"+filepath.Base(path), suite.dialect)
			}
			t.Logf("%d cases", run)
			if run < suite.least {
				t.Errorf("only %d cases were run", run)
			}
		})
	}
}

func runFile(t *testing.T, path, name string, dialect Dialect) (run int) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Decode(text, Bounds{})
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for _, item := range doc.([]any) {
		group := item.(map[string]any)
		title := fmt.Sprint(group["description"])
		if exceptions[name+"/*"] != "" || exceptions[name+"/"+title] != "" {
			continue
		}
		files, _ := NewFiles(t.TempDir())
		s, err := NewSet(files, Options{Dialect: dialect}).Compile(Inline(files, group["schema"]))
		if err != nil {
			t.Errorf("%q: %v", name+"/"+title, err)
			continue
		}
		for _, item := range group["tests"].([]any) {
			c := item.(map[string]any)
			found, _ := s.Check(c["data"], 10)
			if ok := len(found) == 0; ok != c["valid"].(bool) {
				t.Errorf("%q: %v: valid %v, found %v", name+"/"+title, c["description"], c["valid"], found)
			}
			if found := quick(s.compiled, c["data"]); found != unsure && (found == fits) != c["valid"].(bool) {
				t.Errorf("%q: %v: valid %v, and not at a quick look", name+"/"+title, c["description"], c["valid"])
			}
			run++
		}
	}
	return run
}

func TestExceptionsHaveReasons(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(exceptions)) {
		if exceptions[name] == "" {
			t.Errorf("%s has no reason", name)
		}
	}
}
