package seal

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"
)

func newSealer(t *testing.T, purpose string, secrets ...string) *Sealer {
	t.Helper()
	s, err := New(secrets, purpose)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOpen: only with the secret, for the purpose, at the place, and as it was sealed.
func TestOpen(t *testing.T) {
	s := newSealer(t, "p", "one")
	sealed := s.Seal([]byte("text"), "here")
	if bytes.Contains(sealed, []byte("text")) || bytes.Equal(sealed, s.Seal([]byte("text"), "here")) {
		t.Errorf("sealed as %q", sealed)
	}
	if plain, ok := newSealer(t, "p", "two", "one").Open(sealed, "here"); !ok || string(plain) != "text" {
		t.Errorf("after the secret was replaced: %q %v", plain, ok)
	}
	for name, open := range map[string]func() ([]byte, bool){
		"another secret":  func() ([]byte, bool) { return newSealer(t, "p", "two").Open(sealed, "here") },
		"another purpose": func() ([]byte, bool) { return newSealer(t, "q", "one").Open(sealed, "here") },
		"another place":   func() ([]byte, bool) { return s.Open(sealed, "there") },
		"cut":             func() ([]byte, bool) { return s.Open(sealed[:len(sealed)-1], "here") },
		"nothing":         func() ([]byte, bool) { return s.Open(nil, "here") },
	} {
		if plain, ok := open(); ok {
			t.Errorf("%s opens it: %q", name, plain)
		}
	}
}

// TestFormat: what was sealed by earlier versions opens.
func TestFormat(t *testing.T) {
	sealed, err := hex.DecodeString(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if plain, ok := newSealer(t, "cardea sequence 1", "0123456789abcdef0123456789abcdef").Open(sealed, "place"); !ok || string(plain) != "text" {
		t.Errorf("got %q %v", plain, ok)
	}
}

// TestIDs are those of secrets and purposes.
func TestIDs(t *testing.T) {
	s := newSealer(t, "p", "one", "two")
	if ids := s.IDs(); len(ids) != 2 || ids[0] == ids[1] || !slices.Equal(ids[1:], newSealer(t, "p", "two").IDs()) || slices.Equal(ids[1:], newSealer(t, "q", "two").IDs()) {
		t.Errorf("got %q", ids)
	}
}

// earlier is "text" at "place".
const earlier = "12fa67592b87677029b850b702b7a0ac1a122624ff871100c4a71eac432164bd"
