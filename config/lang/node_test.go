package lang

import (
	"slices"
	"testing"
)

func TestNode(t *testing.T) {
	root, err := ParseTree("x.yaml", []byte(`
paths:
  - url: a
  - url: [b, c]
headers: {"x-y": {z: 1}, one: short}
off: off
quoted: "off"
on: {}
null:
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                    "x.yaml:2:1 ",
		"paths":               "x.yaml:3:3 paths",
		"paths[0].url":        "x.yaml:3:10 paths[0].url",
		"paths[0].nope":       "x.yaml:3:5 paths[0]",
		"paths[9].url":        "x.yaml:3:3 paths",
		"paths[1].url[1]":     "x.yaml:4:14 paths[1].url[1]",
		`headers["x-y"].z`:    "x.yaml:5:22 headers.x-y.z",
		"headers.x-y.z":       "x.yaml:5:22 headers.x-y.z",
		"headers.one[0].a[1]": "x.yaml:5:31 headers.one",
		"headers[0].one":      "x.yaml:5:31 headers.one",
		"nope.nope":           "x.yaml:2:1 ",
	} {
		n := root.At(path)
		if got := n.Pos().String() + " " + n.Path(); got != want {
			t.Errorf("At(%q) = %s, want %s", path, got, want)
		}
	}
	var keys []string
	for name, n := range root.Fields() {
		keys = append(keys, name+" "+n.Kind().String())
	}
	want := []string{"paths a list", "headers an object", "off a single value", "quoted a single value", "on an object", "null nothing"}
	if !slices.Equal(keys, want) {
		t.Error(keys)
	}
	if !root.Field("off").IsOff() || root.Field("quoted").IsOff() || !root.Field("on").IsOn() || root.Field("nope").IsOff() || root.Key("off").Pos() != root.KeyPos("off") {
		t.Error("off and on")
	}
	if (Node{}).Kind() != NodeMissing || (Node{}).At("a.b[1]") != (Node{}) || (Node{}).Errorf("x").Error() != "x" || (Node{}).Items() != nil {
		t.Error("the zero Node")
	}
}

func TestSuggest(t *testing.T) {
	words := []string{"rate_limit", "cors", "jwt", "headers", "timeout", "retries"}
	for word, want := range map[string]string{
		"rate_limt": "rate_limit", "rateLimit": "rate_limit", "crs": "cors", "cosr": "cors", "header": "headers", "tiemout": "timeout", "jtw": "jwt",
		"banana": "", "": "", "x": "", "retry": "",
	} {
		if got := Suggest(word, words); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
