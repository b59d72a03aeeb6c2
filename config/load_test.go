package config

import (
	"os"
	"path/filepath"
	"slices"
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

func TestNode(t *testing.T) {
	root, err := ParseTree("x.yaml", []byte(`
paths:
  - url: a
  - url: [b, c]
headers: {"x-y": {z: 1}, one: short}
off: off
quoted: "off"
on: {}
null:
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                    "x.yaml:2:1 ",
		"paths":               "x.yaml:3:3 paths",
		"paths[0].url":        "x.yaml:3:10 paths[0].url",
		"paths[0].nope":       "x.yaml:3:5 paths[0]",
		"paths[9].url":        "x.yaml:3:3 paths",
		"paths[1].url[1]":     "x.yaml:4:14 paths[1].url[1]",
		`headers["x-y"].z`:    "x.yaml:5:22 headers.x-y.z",
		"headers.x-y.z":       "x.yaml:5:22 headers.x-y.z",
		"headers.one[0].a[1]": "x.yaml:5:31 headers.one",
		"headers[0].one":      "x.yaml:5:31 headers.one",
		"nope.nope":           "x.yaml:2:1 ",
	} {
		n := root.At(path)
		if got := n.Pos().String() + " " + n.Path(); got != want {
			t.Errorf("At(%q) = %s, want %s", path, got, want)
		}
	}
	var keys []string
	for name, n := range root.Fields() {
		keys = append(keys, name+" "+n.Kind().String())
	}
	want := []string{"paths a list", "headers an object", "off a single value", "quoted a single value", "on an object", "null nothing"}
	if !slices.Equal(keys, want) {
		t.Error(keys)
	}
	if !root.Field("off").IsOff() || root.Field("quoted").IsOff() || !root.Field("on").IsOn() || root.Field("nope").IsOff() || root.Key("off").Pos() != root.KeyPos("off") {
		t.Error("off and on")
	}
	if (Node{}).Kind() != NodeMissing || (Node{}).At("a.b[1]") != (Node{}) || (Node{}).Errorf("x").Error() != "x" || (Node{}).Items() != nil {
		t.Error("the zero Node")
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"rate_limit", "cors", "jwt", "headers", "timeout", "retries"}
	for word, want := range map[string]string{
		"rate_limt": "rate_limit", "rateLimit": "rate_limit", "crs": "cors", "cosr": "cors", "header": "headers", "tiemout": "timeout", "jtw": "jwt",
		"banana": "", "": "", "x": "", "retry": "",
	} {
		if got := Suggest(word, words); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
