package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write writes files below a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEndlessFile(t *testing.T) {
	_, err := Parse("x.yaml", []byte("listen: ${file:/dev/zero}"), Options{})
	if err == nil || !strings.Contains(err.Error(), "the file /dev/zero is larger than 1MiB") {
		t.Error(err)
	}
}

func TestLoadDirectory(t *testing.T) {
	dir := write(t, map[string]string{
		"10-a.yaml":      "listen: :8080\nroutes:\n  - {name: a}\nupstreams: {a: http://a}\ncors: x\n",
		"20-b.yml":       "listen: [:8081]\nroutes: {name: b}\nupstreams: {b: http://b}\n",
		"30-c.json":      `{"routes": [{"name": "c"}], "errors": {"404": "gone"}}`,
		"empty.yaml":     "# nothing\n",
		"notes.txt":      "not: read",
		".hidden.yaml":   "not: read",
		"..data/x.yaml":  "not: read",
		"sub.yaml/x":     "a directory",
		"target/40.conf": "routes: [{name: '${file:who}'}]",
		"who":            "d\n",
	})
	if err := os.Symlink(filepath.Join("target", "40.conf"), filepath.Join(dir, "40-link.yaml")); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range cfg.Routes {
		names = append(names, r.Name+" "+r.Self.Path()+" "+filepath.Base(r.Self.Pos().File))
	}
	want := []string{"a routes[0] 10-a.yaml", "b routes[1] 20-b.yml", "c routes[2] 30-c.json", "d routes[3] 40-link.yaml"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if len(cfg.Listen) != 2 || len(cfg.Upstreams) != 2 || cfg.Errors["404"].Detail != "gone" || cfg.Policies["cors"].Text() != "x" {
		t.Errorf("%+v", cfg)
	}
}

func TestLoadDirectoryConflicts(t *testing.T) {
	dir := write(t, map[string]string{
		"a.yaml": "upstreams:\n  x: http://x\n  y: http://y\ncors: a\nshutdown: 5s\n",
		"b.yaml": "upstreams:\n  y: http://z\ncors: b\nshutdown: 6s\n",
		"c.yaml": "routes: [",
		"d.yaml": "routes: [{name: [1]}]",
	})
	_, err := Load(dir, Options{})
	if err == nil {
		t.Fatal("no error")
	}
	golden(t, "testdata/conflicts.txt", []byte(strings.ReplaceAll(err.Error(), dir+"/", "")+"\n"))
}

func TestLoadNothing(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(dir, "no.yaml"): "no.yaml: cannot read the configuration: no such file or directory",
		dir:                           ": cannot read the configuration: the directory has no *.yaml, *.yml or *.json file",
	} {
		cfg, err := Load(path, Options{})
		if cfg != nil || err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, %v; want %s", cfg, err, want)
		}
	}
}

func TestEmptyConfiguration(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "{}"} {
		_, err := Parse("x.yaml", []byte(text), Options{})
		if err == nil || !strings.Contains(err.Error(), "x.yaml:1:1: the configuration is empty") {
			t.Errorf("%q: %v", text, err)
		}
	}
	dir := write(t, map[string]string{"a.yaml": "", "b.yaml": "# nothing\n"})
	if _, err := Load(dir, Options{}); err == nil || !strings.Contains(err.Error(), "the configuration is empty") {
		t.Error(err)
	}
	if _, err := Parse("x.yaml", []byte("null"), Options{}); err == nil || strings.Contains(err.Error(), "empty") {
		t.Error("an error is enough:", err)
	}
}
