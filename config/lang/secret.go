package lang

import (
	"encoding/json"
	"fmt"
	"io"
)

// Secret is a string that must not be seen. It prints, formats and marshals as "***"; Reveal gives it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "***".
func (Secret) String() string { return secretMask }

// GoString returns "***".
func (Secret) GoString() string { return secretMask }

// Format writes "***" for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secretMask) }

// MarshalText renders "***".
func (Secret) MarshalText() ([]byte, error) { return []byte(secretMask), nil }

// MarshalJSON renders "***".
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(secretMask) }

// UnmarshalText takes the secret as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// Expected says what a secret looks like.
func (Secret) Expected() string { return "a text, best ${NAME} or ${file:/path}" }

// SchemaOf is the schema of a secret: any single value.
func (Secret) SchemaOf() *SchemaNode {
	return &SchemaNode{Type: []string{"string", "number", "boolean"}}
}
