package document_test

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/document"
)

func TestEdits(t *testing.T) {
	const order = `{"id":7,"user":{"name":"Ann","card":"4111111111111111","address":{"city":"Bern","zip":3000}},"items":[{"sku":"a","price":1.50,"tags":["x","y"]},{"sku":"b","price":1e400}],"note":null}`
	tests := []struct{ name, edits, in, want string }{
		{"nothing", `{}`, order, order},
		{"white space goes", `{}`, " [ 1 , 2.50 , { } ]\n", `[1,2.50,{}]`},
		{"pick", `pick: [id, user.name]`, order, `{"id":7,"user":{"name":"Ann"}}`},
		{"pick in lists", `pick: ["items[].price"]`, order, `{"items":[{"price":1.50},{"price":1e400}]}`},
		{"pick an element", `pick: ["items[1].sku"]`, order, `{"items":[{"sku":"b"}]}`},
		{"pick each and one", `pick: ["items[].sku", "items[0].price"]`, order, `{"items":[{"sku":"a","price":1.50},{"sku":"b"}]}`},
		{"pick the whole and a part", `pick: [user, user.name]`, `{"user":{"name":"Ann","b":1},"c":1}`, `{"user":{"name":"Ann","b":1}}`},
		{"pick what is not there", `pick: [nothing.here, id.x]`, order, `{}`},
		{"pick of a scalar", `pick: [a]`, `3`, `null`},
		{"pick of elements in a list at the top", `pick: ["[].a"]`, `[{"a":1,"b":2},3,{"b":1}]`, `[{"a":1},{}]`},
		{"drop", `drop: [user, "items[].tags", note]`, order, `{"id":7,"items":[{"sku":"a","price":1.50},{"sku":"b","price":1e400}]}`},
		{"drop an element", `drop: ["[0]"]`, `[1,2,3]`, `[2,3]`},
		{"rename", `rename: {user.name: full name, "items[].sku": article}`, `{"user":{"name":1,"x":2},"items":[{"sku":3}]}`, `{"user":{"full name":1,"x":2},"items":[{"article":3}]}`},
		{"rename swaps", `rename: {a: b, b: a}`, `{"a":1,"b":2}`, `{"b":1,"a":2}`},
		{"set", `set: {id: 8, user.vip: true, meta.source.name: cardea}`, `{"id":7,"user":{"name":"Ann"}}`, `{"id":8,"user":{"name":"Ann","vip":true},"meta":{"source":{"name":"cardea"}}}`},
		{"set in lists", `set: {"items[].seen": [1, {a: b}]}`, `{"items":[{"a":1},{"seen":0,"b":2}]}`, `{"items":[{"a":1,"seen":[1,{"a":"b"}]},{"seen":[1,{"a":"b"}],"b":2}]}`},
		{"set an element", `set: {"a[1]": x, "a[5]": y}`, `{"a":[1,2]}`, `{"a":[1,"x"]}`},
		{"set through null", `set: {a.b: 1}`, `{"a":null}`, `{"a":{"b":1}}`},
		{"set in a list that is not there", `set: {"a[].b": 1}`, `{}`, `{}`},
		{"set at the top of null", `set: {a: 1}`, `null`, `{"a":1}`},
		{"mask", `mask: {user.card: 4, user.name: {}}`, `{"user":{"name":"Ann","card":"4111111111111111"}}`, `{"user":{"name":"***","card":"***1111"}}`},
		{"mask all below", `mask: {a: {first: 1}}`, `{"a":{"b":"hello","c":[12345,true,null,"é"]}}`, `{"a":{"b":"h***","c":["1***","t***",null,"***"]}}`},
		{"mask escaped", `mask: {a: 2}`, `{"a":"\u00e9\u00e9\u00e9\u00e9\n\""}`, `{"a":"***\n\""}`},
		{"flatten", `flatten: [user, user.address]`, `{"id":1,"user":{"name":"Ann","address":{"zip":1}},"z":2}`, `{"id":1,"name":"Ann","zip":1,"z":2}`},
		{"flatten what is no object", `flatten: [a, b, c]`, `{"a":[1],"b":null,"c":{}}`, `{"a":[1],"b":null}`},
		{"select", `select: user.address`, order, `{"city":"Bern","zip":3000}`},
		{"select each", `select: "items[].price"`, order, `[1.50,1e400]`},
		{"select each of each", `select: "items[].tags[]"`, order, `["x","y"]`},
		{"select an element", `select: "items[1].sku"`, order, `"b"`},
		{"all in order", "select: user\npick: [name, address]\ndrop: [address.zip]\nmask: {name: 1}\nrename: {name: n}\nflatten: [address]\nset: {city: X, n2: 1}", order, `{"n":"***n","city":"X","n2":1}`},
		{"names with odd characters", `pick: ['["a.b"]["c\"]"]', 'ö']`, `{"a.b":{"c\"]":1,"d":2},"\u00f6":3}`, `{"a.b":{"c\"]":1},"\u00f6":3}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := compile(t, tt.edits)
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := io.ReadAll(e.Reader(r, document.Limits{}, nil))
				if err != nil || string(got) != tt.want {
					t.Errorf("%s: got %s, %v; want %s", name, got, err, tt.want)
				}
			}
			v, err := document.Read(strings.NewReader(tt.in), document.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := document.Read(strings.NewReader(tt.want), document.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Apply(v, nil); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Apply: got %v, %v; want %v", got, err, want)
			}
		})
	}
}

func compile(t *testing.T, text string) *document.Editor {
	t.Helper()
	var e document.Edits
	decode(t, text, &e)
	editor, err := document.Compile(&e)
	if err != nil {
		t.Fatal(err)
	}
	return editor
}

func decode(t *testing.T, text string, e *document.Edits) {
	t.Helper()
	tree, err := config.ParseTree("edits", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Decode(e); err != nil {
		t.Fatal(err)
	}
}

func TestEditsThatFail(t *testing.T) {
	tests := []struct{ edits, in, want string }{
		{`select: a.b`, `{"a":1}`, "nothing at the path"},
		{`select: "a[]"`, `{"a":{}}`, "nothing at the path"},
		{`rename: {a: b}`, `{"a":1,"b":2}`, "same name"},
		{`flatten: [a]`, `{"b":1,"a":{"b":2}}`, "same name"},
		{`set: {a.b: 1}`, `{"a":[]}`, "in an object, but there is a list"},
		{`set: {"a[].b": 1}`, `{"a":"x"}`, "in a list, but there is a text"},
		{`set: {a: 1}`, `[]`, "in an object, but there is a list"},
	}
	for _, tt := range tests {
		e := compile(t, tt.edits)
		if !e.MayFail() && !strings.Contains(tt.edits, "set: {a:") {
			t.Errorf("%s: MayFail is false", tt.edits)
		}
		_, err := io.ReadAll(e.Reader(strings.NewReader(tt.in), document.Limits{}, nil))
		if de := (*document.Error)(nil); !errors.As(err, &de) || de.Kind != document.Unfit || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %s: got %v; want %q", tt.edits, tt.in, err, tt.want)
		}
		v, _ := document.Read(strings.NewReader(tt.in), document.Limits{})
		if got, err := e.Apply(v, nil); err == nil {
			t.Errorf("%s of %s: Apply gave %v", tt.edits, tt.in, got)
		}
	}
}

func TestTemplatesAreGivenForEachDocument(t *testing.T) {
	e := compile(t, `set: {a: "{x}", b: [1, "{y}"], c: {d: "{z}"}}`)
	want := []string{"{x}", "{y}", "{z}"}
	if got := e.Templates(); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %q; want %q", got, want)
	}
	values := []any{json.Number("1.0"), nil, map[string]any{"e": "{q}"}}
	got, err := io.ReadAll(e.Reader(strings.NewReader(`{"b":0}`), document.Limits{}, values))
	if err != nil || string(got) != `{"b":[1,null],"a":1.0,"c":{"d":{"e":"{q}"}}}` {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestAlike: in documents of XML, what is a list is one when there are two of it.
func TestAlike(t *testing.T) {
	for _, tt := range []struct{ edits, in, want string }{
		{`drop: ["o.item[].cost"]`, `{"o":{"item":{"n":1,"cost":2}}}`, `{"o":{"item":{"n":1}}}`},
		{`drop: ["o.item[].cost"]`, `{"o":{"item":[{"n":1,"cost":2},{"cost":3}]}}`, `{"o":{"item":[{"n":1},{}]}}`},
		{`drop: [o.item.cost]`, `{"o":{"item":[{"n":1,"cost":2},{"cost":3}]}}`, `{"o":{"item":[{"n":1},{}]}}`},
		{`drop: [o.item.cost]`, `{"o":[{"item":[[{"n":1,"cost":2}]]},{"item":{"cost":[1]}}]}`, `{"o":[{"item":[[{"n":1}]]},{"item":{}}]}`},
		{`drop: ["a[].b[]"]`, `{"a":{"b":1,"c":2}}`, `{"a":{"c":2}}`},
		{`drop: ["a[][].b"]`, `{"a":{"b":1,"c":2}}`, `{"a":{"c":2}}`},
		{`drop: ["a[0].b"]`, `{"a":{"b":1,"c":2}}`, `{"a":{"c":2}}`},
		{`drop: ["a[0].b"]`, `{"a":[{"b":1},{"b":2}]}`, `{"a":[{},{"b":2}]}`},
		{`drop: ["a[0].b", a.c]`, `{"a":[{"b":1,"c":1},{"b":2,"c":2}]}`, `{"a":[{},{"b":2}]}`},
		{`drop: ["a[1].b"]`, `{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"c":2}}`},
		{`drop: ["a[1].b", "a[].c"]`, `{"a":[{"b":1,"c":2},{"b":3,"c":4}]}`, `{"a":[{"b":1},{}]}`},
		{`drop: ["[]"]`, `[1,2]`, `[]`},
		{`drop: ["[]"]`, `{"a":1}`, `{"a":1}`},
		{`mask: {"card[]": 1}`, `{"card":"1234"}`, `{"card":"***4"}`},
		{`mask: {"c.card": 1}`, `{"c":[{"card":"1234"},{"card":["5678"]}]}`, `{"c":[{"card":"***4"},{"card":["***8"]}]}`},
	} {
		e := compile(t, tt.edits)
		e.Alike()
		if got, err := io.ReadAll(e.Reader(strings.NewReader(tt.in), document.Limits{}, nil)); err != nil || string(got) != tt.want {
			t.Errorf("%s of %s: got %s, %v; want %s", tt.edits, tt.in, got, err, tt.want)
		}
	}
}

// TestAlikeLeavesNothing: however lists stand around and within, nothing is left at the path.
func TestAlikeLeavesNothing(t *testing.T) {
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return rapid.Just(any("v"))
		}
		return rapid.Custom(func(t *rapid.T) any {
			inner := value(depth - 1)
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				return "v"
			case 1:
				return rapid.SliceOfN(inner, 0, 3).Draw(t, "list")
			}
			return rapid.MapOfN(rapid.SampledFrom([]string{"x", "y", "z"}), inner, 0, 3).Draw(t, "object")
		})
	}
	e := compile(t, `drop: ["x.y[].z", x.y.x]`)
	e.Alike()
	rapid.Check(t, func(t *rapid.T) {
		in, err := json.Marshal(value(6).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := io.ReadAll(e.Reader(strings.NewReader(string(in)), document.Limits{}, nil))
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if len(reached(got, "x", "y", "z"))+len(reached(got, "x", "y", "x")) > 0 {
			t.Errorf("%s became %s", in, out)
		}
	})
}

// reached are the values at names within each other, lists aside.
func reached(v any, names ...string) (all []any) {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			all = append(all, reached(item, names...)...)
		}
		return all
	}
	if len(names) == 0 {
		return []any{v}
	}
	object, _ := v.(map[string]any)
	if child, ok := object[names[0]]; ok {
		return reached(child, names[1:]...)
	}
	return nil
}
