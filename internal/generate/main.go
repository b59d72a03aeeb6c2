// Command generate writes the files that are made of the sources: the comments of configuration structs, which the binary embeds,
// the JSON Schema, and the reference of configuration and of error codes. `make generate` runs it; `make check` fails when its
// result is not what is committed. It runs itself once more to see the comments that it has just written.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
)

const module = "cardea.dev/cardea"

func main() {
	log.SetFlags(0)
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		log.Fatalf("cannot find the module: %v", err)
	}
	if err := os.Chdir(strings.TrimSpace(string(root))); err != nil {
		log.Fatal(err)
	}
	if len(os.Args) == 1 {
		writeComments()
		again := exec.Command("go", "run", module+"/internal/generate", "reference")
		again.Stdout, again.Stderr = os.Stdout, os.Stderr
		if err := again.Run(); err != nil {
			log.Fatal(err)
		}
		return
	}
	kinds := compile.Builtin()
	write("docs/reference/cardea.schema.json", compile.Schema(kinds))
	write("docs/reference/configuration.md", compile.Reference(kinds))
	write("docs/reference/errors.md", errorReference())
}

// writeComments writes the comments of all packages with configuration structs: config, and those of the kinds.
func writeComments() {
	packages := map[string]string{}
	seen := map[reflect.Type]bool{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			add(t.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if path := t.PkgPath(); !seen[t] && strings.HasPrefix(path, module+"/") {
			seen[t] = true
			packages[path] = filepath.FromSlash(strings.TrimPrefix(path, module+"/"))
			for f := range t.Fields() { // what is inlined, or held, may be of another package
				if _, is := f.Tag.Lookup("yaml"); is {
					add(f.Type)
				}
			}
		}
	}
	add(reflect.TypeFor[config.Config]())
	kinds := compile.Builtin()
	for _, k := range kinds.Filters {
		add(k.Config())
	}
	for _, k := range kinds.Targets {
		add(k.Config())
	}
	found, err := config.ReadComments(packages)
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		log.Fatal(err)
	}
	write("internal/compile/zz_comments.json", append(text, '\n'))
}

// errorReference lists the codes of the errors that the gateway itself makes.
func errorReference() []byte {
	var b bytes.Buffer
	b.WriteString("# Error codes\n\nThe errors that the gateway itself answers with. Each has a page of its own, which says what happened and what to do.\n\n")
	b.WriteString("| code | status | caused by | tried again elsewhere | what clients are told |\n| --- | --- | --- | --- | --- |\n")
	for _, c := range filter.Codes() {
		retry := "no"
		if c.Retry {
			retry = "where it is safe"
		}
		fmt.Fprintf(&b, "| [`%s`](../manual/errors/%s.md) | %d | %s | %s | %s |\n", c.Code, c.Code, c.Status, c.Source, retry, c.Detail)
	}
	return b.Bytes()
}

func write(name string, text []byte) {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, text) {
		return
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Println("wrote", name)
}
