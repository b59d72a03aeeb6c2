package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// seeds are texts that have something of everything.
func seeds(f *testing.F) []string {
	f.Helper()
	texts := []string{
		"", "a", "a: b", "- a", "[", "{", "a: &a [*a]", "<<: {a: b}", "a: ${X}", "a: ${", "? a\n: b", "%YAML 1.2\n---\na: b\n...", "a: !!str 5",
		"a: |\n  b\n c", "\xef\xbb\xbfa: b\r\n", "a: 'b''c'", `a: "\u00e9\n"`, "? [a]\n: b", "&a &b c: d", "a: *", "!!binary x: y", "a:\n- b\n-",
		strings.Repeat("[", 500), strings.Repeat("- ", 500), strings.Repeat("? ", 500), strings.Repeat("&a ", 500), strings.Repeat("!a ", 500),
	}
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}

func FuzzParse(f *testing.F) {
	for _, text := range seeds(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		opts := Options{Env: testEnv, ReadFile: func(string) ([]byte, error) { return []byte("file"), nil }}
		cfg, err := Parse("x.yaml", []byte(text), opts)
		if err != nil {
			checkErrors(t, err)
		}
		if cfg == nil || cfg.Self.IsZero() || cfg.Self.Kind() == NodeNull {
			return
		}
		if _, err := ParseTree("x.yaml", []byte(text), opts); err != nil {
			return // parts of the tree are missing
		}
		redacted := Redacted(cfg.Self)
		again, err := ParseTree("y.yaml", redacted, opts)
		if err != nil {
			t.Fatalf("what Redacted writes cannot be read: %v\n%s\nfrom %q", err, redacted, text)
		}
		if twice := Redacted(again); string(twice) != string(redacted) {
			t.Fatalf("Redacted is not stable: %q, then %q", redacted, twice)
		}
	})
}

// checkErrors checks that each error has a place and a text.
func checkErrors(t *testing.T, err error) {
	t.Helper()
	var errs Errors
	if !errors.As(err, &errs) || len(errs) == 0 {
		t.Fatalf("not Errors: %T", err)
	}
	for _, e := range errs {
		if e.Pos.File == "" || e.Message == "" || e.Error() == "" {
			t.Errorf("incomplete: %+v", e)
		}
	}
}

func TestHostileTextsAreQuick(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 20 {
		n, m := string(rune('a'+i)), string(rune('a'+i+1))
		bomb += m + "0: &" + m + "0 [" + strings.Repeat("*"+n+"0, ", 9) + "*" + n + "0]\n"
	}
	var wide strings.Builder
	for i := range 5000 {
		wide.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": [1, 2, {a: b}]\n")
	}
	tests := map[string]string{
		"open lists": strings.Repeat("[", 1<<17), "open objects": strings.Repeat("{", 1<<17), "dashes": strings.Repeat("- ", 1<<17),
		"keys": strings.Repeat("? ", 1<<17), "anchors": strings.Repeat("&a ", 1<<16), "tags": strings.Repeat("!a ", 1<<16),
		"maps": strings.Repeat("{a: ", 1<<16), "bomb": bomb, "indent": indented(2000), "colons": strings.Repeat("a: ", 1<<16), "duplicates": wide.String(),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("x.yaml", []byte(text), Options{})
			if err == nil {
				t.Error("no error")
			} else {
				checkErrors(t, err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			} else {
				t.Log(took, len(err.Error()))
			}
		})
	}
}

// indented is an object in an object, so many levels deep.
func indented(levels int) string {
	var b strings.Builder
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}
