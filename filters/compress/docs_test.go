package compress

import (
	"os"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
)

// TestExamplesOfTheManual decodes what stands under Syntax in doc.go. An example begins with its key at the margin.
func TestExamplesOfTheManual(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, syntax, _ := strings.Cut(string(source), "# Syntax\n")
	syntax, _, _ = strings.Cut(syntax, "\n// # ")
	n := 0
	for _, example := range strings.Split(syntax, "\n//\tcompress:")[1:] {
		text := "compress:" + strings.ReplaceAll(example, "\n//", "\n")
		root, err := config.ParseTree("doc.go", []byte(strings.ReplaceAll(text, "\t", "")), config.Options{})
		if err != nil {
			t.Errorf("%s\n%v", text, err)
			continue
		}
		node := root.Field("compress")
		if n++; node.IsOff() {
			continue
		}
		if err := node.Decode(new(Config)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	if n < 3 {
		t.Errorf("only %d examples are found", n)
	}
}
