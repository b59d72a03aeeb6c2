package filtertest

import (
	"os"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
)

// Examples decodes the examples under Syntax in the package's doc.go into Configs, which is how the manual stays right. An example begins
// at the margin of its block with the kind's key. There must be so many of them at least.
func Examples[Config any](t *testing.T, key string, least int) {
	t.Helper()
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, syntax, _ := strings.Cut(string(source), "# Syntax\n")
	syntax, _, _ = strings.Cut(syntax, "\n// # ")
	found := examples(syntax, key)
	for _, text := range found {
		root, err := config.ParseTree("doc.go", []byte(text), config.Options{})
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		node := root.Field(key)
		if node.IsOff() {
			continue
		}
		if err := node.Decode(new(Config)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	if len(found) < least {
		t.Errorf("only %d examples are found", len(found))
	}
}

// examples finds the examples in a comment. One ends where another begins, or the text goes on.
func examples(comment, key string) []string {
	var found []string
	within := false
	for line := range strings.Lines(comment) {
		code, ok := strings.CutPrefix(line, "//\t")
		switch {
		case ok && strings.HasPrefix(code, key+":"):
			found, within = append(found, code), true
		case ok && within:
			found[len(found)-1] += code
		case strings.TrimSpace(line) != "//":
			within = false
		}
	}
	return found
}
