package validate

import (
	"os"
	"path/filepath"
	"testing"

	"cardea.dev/cardea/filter/filtertest"
)

// TestFilesAreReadOnceForAllRoutes of one configuration, also where they are wrong.
func TestFilesAreReadOnceForAllRoutes(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Dir = t.TempDir()
	for name, text := range map[string]string{"api.yaml": "{openapi: 3.0.0, paths: {/x: {get: {operationId: x}}}}", "schema.json": "{}", "wrong.yaml": "{openapi: 3.0.0, paths: []}"} {
		if err := os.WriteFile(filepath.Join(env.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config := "{openapi: " + name + ", operation: x}"
		if name == "schema.json" {
			config = "{request: schema.json}"
		}
		_, before := Kind().Build(env, filtertest.Parse(t, config))
		if (before != nil) != (name == "wrong.yaml") {
			t.Fatalf("%s: %v", name, before)
		}
		if err := os.Remove(filepath.Join(env.Dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Kind().Build(env, filtertest.Parse(t, config)); (err == nil) != (before == nil) || err != nil && err.Error() != before.Error() {
			t.Errorf("%s: %v, and at first %v", name, err, before)
		}
	}
}
