package shape_test

import (
	"errors"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/document"
)

// edits reads operations.
func edits(t testing.TB, text string) *document.Edits {
	t.Helper()
	e := &document.Edits{}
	if err := filtertest.Parse(t, text).Decode(e); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

// fieldOf is the field that an error is at.
func fieldOf(t testing.TB, err error) string {
	t.Helper()
	var field *config.FieldError
	if !errors.As(err, &field) {
		t.Fatalf("%v has no place", err)
	}
	return field.Path
}

func placed(t testing.TB, err error) string {
	t.Helper()
	var field *config.FieldError
	if !errors.As(err, &field) {
		t.Fatalf("%v has no place", err)
	}
	return field.Path + ": " + field.Err.Error()
}
