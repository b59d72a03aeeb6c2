package jwt

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// TestVectors verifies tokens that another implementation has made, good and bad ones. testdata/vectors.py says which.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Groups []struct {
			Comment      string
			Key, Private json.RawMessage
			Tests        []struct{ Comment, Token, Result string }
		}
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, g := range vectors.Groups {
		set := filepath.Join(t.TempDir(), "keys.json")
		if err := os.WriteFile(set, fmt.Appendf(nil, `{"keys":[%s]}`, g.Key), 0o600); err != nil {
			t.Fatal(err)
		}
		config := "{issuer: https://idp.test, keys: " + set
		if string(g.Private) != "null" {
			private := filepath.Join(t.TempDir(), "private.json")
			if err := os.WriteFile(private, g.Private, 0o600); err != nil {
				t.Fatal(err)
			}
			config += ", decrypt: {keys: " + private + ", required: true}"
		}
		env := filtertest.NewEnv(t, "r")
		f, err := Kind().Build(env, filtertest.Parse(t, config+"}"))
		for _, test := range g.Tests {
			counts[test.Result]++
			got := "invalid" // as is a key that is not taken
			if err == nil {
				p := policy{f, env}
				switch refused := p.Request(p.exchange("Authorization", "Bearer "+test.Token)); {
				case refused == nil:
					got = "valid"
				case filter.AsError(refused).Code != filter.TokenInvalid:
					t.Errorf("%s, %s: %v", g.Comment, test.Comment, refused)
				}
			}
			if got != test.Result {
				t.Errorf("%s, %s: %s, wanted %s (keys: %v)", g.Comment, test.Comment, got, test.Result, err)
			}
		}
	}
	if counts["valid"] < 45 || counts["invalid"] < 200 {
		t.Errorf("there are only %v", counts)
	}
}
