package expr

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

// orders are expressions that know an answer, and one that is not there.
func orders(t *testing.T) filter.Expressions {
	t.Helper()
	e, err := New()
	if err != nil {
		t.Fatal(err)
	}
	answer := map[string]any{
		"id": json.Number("12345678901234567890123"), "open": true, "lines": []any{map[string]any{"sku": "a-1", "odd name": "x"}, map[string]any{"sku": "b"}}, "none": nil,
	}
	more, err := e.Routed([]string{"user"}).With(map[string]filter.Lookup{
		"order":  func(*filter.Exchange) (any, bool) { return answer, true },
		"absent": func(*filter.Exchange) (any, bool) { return nil, false },
	})
	if err != nil {
		t.Fatal(err)
	}
	return more
}

func TestFurtherNames(t *testing.T) {
	e := orders(t)
	ex := &filter.Exchange{Request: httptest.NewRequest("GET", "/", nil)}
	for source, want := range map[string]string{
		"order.id":                               "12345678901234567890123",
		"order.lines[1].sku":                     "b",
		`order.lines[0]["odd name"]`:             "x",
		"order.lines[2].sku":                     "-",
		"order.lines.sku":                        "-",
		"order.none":                             "-",
		"order.lines[0]":                         `{"odd name":"x","sku":"a-1"}`,
		"absent":                                 "-",
		"absent.id":                              "-",
		"order.lines.map(l, l.sku)":              "a-1,b",
		"size(order.lines)":                      "2",
		"absent == null":                         "true",
		"has(order.open) && order.open":          "true",
		`order.open ? order.lines[0].sku : "no"`: "a-1",
		"order.missing + 1":                      "-",
	} {
		value, err := e.Value(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got, ok := value(ex)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %q, wanted %q", source, got, want)
		}
	}
	list, err := e.Any("order.lines")
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := list(ex); !ok || len(v.([]any)) != 2 {
		t.Errorf("the list is %v", v)
	}
	if got := e.Names("order.open && order.lines[0].sku == jwt.sku"); !slices.Equal(got, []string{"order.open", "order.lines", "jwt.sku"}) {
		t.Errorf("names: %q", got)
	}
}

func TestFurtherNamesThatAreWrong(t *testing.T) {
	e := orders(t)
	for source, want := range map[string]string{
		"ordr.id":         `did you mean "order.id"`,
		"ordr.id == 1":    `did you mean "order.id"`,
		"path.usr":        `did you mean "user"`,
		"order.lines[":    "ends too early",
		"order.id.":       "cannot stand here",
		"order.lines[-1]": "",
	} {
		if _, err := e.Any(source); want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", source, err)
		}
	}
	for _, name := range []string{"host", "identity", "path", "a-b", "1a", "", "true", "request"} {
		if _, err := e.With(map[string]filter.Lookup{name: nil}); err == nil {
			t.Errorf("%q can be a name", name)
		}
	}
}
