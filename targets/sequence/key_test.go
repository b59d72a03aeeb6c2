package sequence

import (
	"net/http"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
)

// TestKeysOfOthers: no two callers meet in a key, and one caller does, with whatever credential.
func TestKeysOfOthers(t *testing.T) {
	env := filtertest.NewEnv(t, "x")
	of := func(who *filter.Identity, authorization, given string) id {
		ex := exchange(env, http.MethodPost, "")
		ex.Identity = who
		ex.Request.Header.Set("Authorization", authorization)
		return idOf(ex, given)
	}
	token := func(subject string, claims map[string]any) *filter.Identity {
		return &filter.Identity{Method: "jwt", Subject: subject, Claims: claims}
	}
	seen := map[id]string{}
	for name, is := range map[string]id{
		"nobody":                        of(nil, "", "k"),
		"nobody, another key":           of(nil, "", "l"),
		"ada":                           of(token("ada", map[string]any{"iss": "a"}), "one", "k"),
		"ada, another key":              of(token("ada", map[string]any{"iss": "a"}), "one", "l"),
		"ada of another issuer":         of(token("ada", map[string]any{"iss": "b"}), "one", "k"),
		"ada by a password":             of(&filter.Identity{Method: "basic", Subject: "ada"}, "one", "k"),
		"the consumer ada":              of(&filter.Identity{Method: "jwt", Consumer: "ada"}, "one", "k"),
		"a certificate":                 of(&filter.Identity{Method: "mtls", Subject: "ada", Claims: map[string]any{"issuer": "CN=a"}}, "", "k"),
		"a certificate of another":      of(&filter.Identity{Method: "mtls", Subject: "ada", Claims: map[string]any{"issuer": "CN=b"}}, "", "k"),
		"a client":                      of(token("", map[string]any{"iss": "a", "client_id": "c"}), "one", "k"),
		"another client":                of(token("", map[string]any{"iss": "a", "client_id": "d"}), "one", "k"),
		"a client, said otherwise":      of(token("", map[string]any{"iss": "a", "azp": "d"}), "one", "k"),
		"a token that names nobody":     of(token("", nil), "one", "k"),
		"another one that names nobody": of(token("", nil), "two", "k"),
		"somebody whom a service knows": of(&filter.Identity{Method: "external_auth"}, "one", "k"),
		"another whom a service knows":  of(&filter.Identity{Method: "external_auth"}, "two", "k"),
	} {
		if other := seen[is]; other != "" {
			t.Errorf("%s and %s have the same keys", name, other)
		}
		seen[is] = name
	}
	if of(token("ada", map[string]any{"iss": "a", "exp": int64(1)}), "one", "k") != of(token("ada", map[string]any{"iss": "a", "exp": int64(2)}), "two", "k") {
		t.Error("a new token is another caller")
	}
	if of(token("", map[string]any{"azp": "c", "exp": int64(1)}), "one", "k") != of(token("", map[string]any{"azp": "c", "exp": int64(2)}), "two", "k") {
		t.Error("a new token is another client")
	}
}
