package document_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/document"
)

// TestWhatIsHeldOfAStream: a document may be as long as it likes, its parts that are held may not.
func TestWhatIsHeldOfAStream(t *testing.T) {
	const held = 64 << 10
	limits := document.Limits{Size: 1 << 40, Held: held}
	editor, err := document.Compile(&document.Edits{Drop: []string{"nothing"}})
	if err != nil {
		t.Fatal(err)
	}
	names := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"` + strings.Repeat("n", i%50) + strings.Repeat("m", i/50) + `":1`)
		}
		return b.String()
	}
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"many elements":        {"[1" + strings.Repeat(`,{"a":"x"}`, 100_000) + "]", true},
		"a text that is short": {`["` + strings.Repeat("x", held/2) + `"]`, true},
		"a text that is long":  {`["` + strings.Repeat("x", 8*held) + `"]`, false},
		"a long number":        {`[1` + strings.Repeat("0", 8*held) + `]`, false},
		"much space":           {`[` + strings.Repeat(" ", 8*held) + `]`, false},
		"some names":           {`{"":0` + names(500)[1:] + `}`, true},
		"many names":           {`{"0":0` + names(3000) + `}`, false},
	} {
		text := strings.Replace(test.text, `{"":0"`, `{"0":0,"`, 1)
		for by, r := range map[string]io.Reader{"edited": editor.Reader(strings.NewReader(text), limits, nil), "checked": document.Check(strings.NewReader(text), limits)} {
			_, err := io.Copy(io.Discard, r)
			var e *document.Error
			if test.ok && err != nil || !test.ok && (!errors.As(err, &e) || e.Kind != document.TooLarge) {
				t.Errorf("%s, %s: got %v", name, by, err)
			}
		}
	}
}
