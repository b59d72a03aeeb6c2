package lang

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/token"
)

func TestWideIsNotDeep(t *testing.T) {
	items := func(n int, item, separator string) string {
		return strings.TrimSuffix(strings.Repeat(item+separator, n), separator)
	}
	for name, text := range map[string]string{
		"JSON on one line":    `{"routes":[` + items(2_000, `{"match":{"path":"/a"},"respond":{"body":"x"}}`, ",") + `]}`,
		"JSON over lines":     "{\n\"routes\": [\n" + items(1_000, "{\n\"match\": \"/a\",\n\"respond\": \"x\"\n}", ",\n") + "\n]\n}",
		"a list of pairs":     "x-list: [" + items(1_000, "a: b", ", ") + "]",
		"a list of aliases":   "x-a: &a 1\nx-list: [" + items(500, "*a", ", ") + "]",
		"a list of tags":      "x-list: [" + items(500, "!!str a", ", ") + "]",
		"objects in a list":   "routes:\n" + items(1_000, "  - {match: {path: /a}, respond: {body: x}}", "\n"),
		"lists of one in one": "x-list:\n" + items(1_000, "  - - - a", "\n"),
	} {
		if _, err := ParseTree("cardea.yaml", []byte(text), Options{}); err != nil {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

func TestDeepIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"lists":            strings.Repeat("[", 20_000),
		"objects":          strings.Repeat("{a: ", 20_000),
		"pairs":            "[" + strings.Repeat("a: ", 20_000) + "]",
		"entries":          strings.Repeat("- ", 20_000),
		"keys":             "[" + strings.Repeat("? ", 20_000),
		"tags":             "[" + strings.Repeat("!!str ", 20_000),
		"after commas":     "[a, b, " + strings.Repeat("[c, ", 20_000),
		"after brackets":   "[[], {}, " + strings.Repeat("{c: [], d: ", 20_000),
		"closed too often": strings.Repeat("]", 1_000) + strings.Repeat("[", 20_000),
		"pairs on lines":   "[" + strings.Repeat("a:\n", 20_000) + "]",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseTree("cardea.yaml", []byte(text), Options{}); err == nil || len(err.Error()) > 10_000 {
				t.Errorf("%.300s", fmt.Sprint(err))
			}
		})
	}
}

func TestTooManyKeysAreRefused(t *testing.T) {
	colon := &token.Token{Type: token.MappingValueType, Position: &token.Position{Line: 1, Column: 2}}
	src := newSource("cardea.yaml", "a: b")
	if e := checkNesting(src, slices.Repeat(token.Tokens{colon}, maxKeys)); e != nil {
		t.Error(e)
	}
	if e := checkNesting(src, slices.Repeat(token.Tokens{colon}, maxKeys+1)); e == nil || !strings.Contains(e.Message, "too many keys") {
		t.Errorf("got %v", e)
	}
}
