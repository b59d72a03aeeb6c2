package limit_test

import (
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/filter/filtertest"
	"cardea.dev/cardea/internal/limit"
)

func TestCutPer(t *testing.T) {
	for text, want := range map[string][]string{
		"100/min": {"100/min"}, "100/min per jwt.sub": {"100/min", "jwt.sub"}, " 10/s burst 20  per address, path.id": {"10/s burst 20", "address", "path.id"},
		`5/s per cookie["a,b"], f(x, '\',')`: {"5/s", `cookie["a,b"]`, `f(x, '\',')`}, "5/s per ": {"5/s", ""},
	} {
		what, per := limit.CutPer(text)
		if got := append([]string{what}, per...); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		per, absent, address, user, want string
		early                            bool
	}{
		{"", "address", "192.0.2.1", "", "192.0.2.1", true},
		{"", "address", "2001:db8:1:2:3::4", "", "2001:db8:1:2::/64", true},
		{"", "address", "::ffff:192.0.2.1", "", "192.0.2.1", true},
		{"all", "address", "192.0.2.1", "", "all", false},
		{"address", "address", "", "", "-", true},
		{"header.x-user", "address", "192.0.2.1", "me", "me", false},
		{"header.x-user", "address", "192.0.2.1", "", "192.0.2.1", false},
		{"header.x-user", "together", "192.0.2.1", "", "(absent)", false},
		{"header.x-user", "pass", "192.0.2.1", "", "none", false},
		{"header.x-user", "refuse", "192.0.2.1", "", "none", false},
		{"address,route", "address", "192.0.2.1", "", "192.0.2.1|r", true},
		{"address,header.x-user", "address", "192.0.2.1", `a|b\`, `192.0.2.1|a\|b\\`, false},
		{"header.x-user", "address", "", strings.Repeat("x", 1<<20), "sha256:", false},
	} {
		env := filtertest.NewEnv(t, "r")
		settings := limit.KeyConfig{Absent: c.absent}
		if c.per != "" {
			settings.Per = strings.Split(c.per, ",")
		}
		key, err := limit.NewKey(env, settings)
		if err != nil {
			t.Fatal(err)
		}
		ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil), Route: env.Route}
		if c.address != "" {
			ex.Client = netip.MustParseAddr(c.address)
		}
		if c.user != "" {
			ex.Request.Header.Set("X-User", c.user)
		}
		got := "none"
		if id, ok := key.Of(ex); ok {
			got = id.String()
		}
		if !strings.HasPrefix(got, c.want) || len(got) > 128 || key.Early() != c.early || key.Refuses() != (c.absent == "refuse") {
			t.Errorf("%q, absent %q: got %s, early %v", c.per, c.absent, got, key.Early())
		}
	}
}

// TestKeysHideCredentials: what may be a credential is not remembered as it is.
func TestKeysHideCredentials(t *testing.T) {
	for source, hidden := range map[string]bool{
		"header.authorization": true, "header.x-api-key": true, "cookie.sid": true, `cookie["sid"]`: true, `header["x-api-key"] + "x"`: true,
		"query.access_token": true, "header.x-user": false, "path.key": false, "query.q": false, `header["x-user"] + request.host`: false,
	} {
		env := filtertest.NewEnv(t, "r")
		key, err := limit.NewKey(env, limit.KeyConfig{Per: []string{source}, Absent: "address"})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/?access_token=value&q=value", nil)
		for _, name := range []string{"Authorization", "X-Api-Key", "X-User"} {
			r.Header.Set(name, "value")
		}
		r.Header.Set("Cookie", "sid=value")
		id, _ := key.Of(&filter.Exchange{Request: r, Route: env.Route, Params: filtertest.Params{"key": "value"}})
		if text := id.String(); strings.HasPrefix(text, "sha256:") != hidden || !hidden && !strings.HasPrefix(text, "value") {
			t.Errorf("%s: %s", source, text)
		}
	}
}

// TestCallers: without a key it is who calls.
func TestCallers(t *testing.T) {
	env := filtertest.NewEnv(t, "r")
	env.Join("test", filter.Authenticator{Authenticate: func(*filter.Exchange) (*filter.Identity, error) { return nil, nil }})
	key, err := limit.NewKey(env, limit.KeyConfig{Absent: "address"})
	if err != nil || key.Early() {
		t.Fatal(err, key.Early())
	}
	for want, identity := range map[string]*filter.Identity{
		"192.0.2.1": nil, "me": {Subject: "me", Consumer: "acme"}, "acme": {Consumer: "acme"},
	} {
		if id, ok := key.Of(&filter.Exchange{Client: netip.MustParseAddr("192.0.2.1"), Identity: identity}); !ok || id.String() != want {
			t.Errorf("got %s, want %s", id, want)
		}
	}
}

func TestWrongKeys(t *testing.T) {
	for _, per := range [][]string{{"all", "address"}, {"headers.x"}, {""}, {"1 +"}} {
		if _, err := limit.NewKey(filtertest.NewEnv(t, "r"), limit.KeyConfig{Per: per}); err == nil {
			t.Errorf("%q: no error", per)
		}
	}
}
