package call

import "testing"

// TestConcealed: of a query only names and templates are shown.
func TestConcealed(t *testing.T) {
	for query, want := range map[string]string{
		"":                               "",
		"a=1":                            "a=…",
		"a={user}&key=hunter2&b={x.y}":   "a={user}&key=…&b={x.y}",
		"a=x-{user}-y&b":                 "a=…{user}…&b",
		`a={b == "&" ? "1" : "2"}&c=d=e`: `a={b == "&" ? "1" : "2"}&c=…`,
		"{all}":                          "{all}",
		"a=ü":                            "a=…",
		"a=}&b=2":                        "a=…&b=…",
		"a={x":                           "a={x",
	} {
		if got := concealed(query); got != want {
			t.Errorf("%q is shown as %q, wanted %q", query, got, want)
		}
	}
}
