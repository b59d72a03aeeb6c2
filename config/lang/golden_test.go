package lang

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares a text with a file, or rewrites the file.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; rewrite with -update):\n%s", file, diff)
	}
}

// testEnv are the variables of all tests.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"DRAIN": "hunter2seconds", "PATHVAR": "hunter2path", "METHOD": "xq z", "PORT": "8080", "EMPTY": "", "TOKEN": "hunter2",
	}[name]
	return v, ok
}
