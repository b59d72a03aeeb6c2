package expr

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	for source, want := range map[string][]string{
		`jwt.role == "admin"`: {"jwt.role"},
		`has(jwt.role) && jwt.role == "a" || jwt.realm.tenant == "t"`: {"jwt.role", "jwt.realm.tenant"},
		`"a" in identity.groups && identity.tags["plan"] == "x"`:      {"identity.groups", `identity.tags["plan"]`},
		`identity.groups.exists(g, g == "x") && address != "::1"`:     {"identity.groups", "address"},
		`identity.groups.exists(host, host == "x")`:                   {"identity.groups"},
		`identity.groups.exists(host, host == "x") && host == "y"`:    {"identity.groups", "host"},
		`[host].exists(host, host == "x")`:                            {"host"},
		`cel.bind(host, address, host == "x")`:                        {"address"},
		`jwt["a b"] == header["x"]`:                                   {`jwt["a b"]`, `header["x"]`},
		`"jwt.role" == "x"`:                                           nil,
		`adress == 1`:                                                 nil,
	} {
		e := newExpressions(t)
		got := e.Names(source)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", source, diff)
		}
		for _, name := range got {
			if _, err := e.Value(name); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
	}
}
