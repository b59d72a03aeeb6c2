package expr

import (
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/filter"
)

func TestTemplate(t *testing.T) {
	for source, want := range map[string]string{
		"":                                  "",
		"constant":                          "constant",
		"{{}} {{x}}":                        "{} {x}",
		"{jwt.sub}":                         "bob",
		"/v2/{path.id}?user={ jwt.sub }":    "/v2/7/8?user=bob",
		"{header.none}{query.none}":         "",
		"a{header.none}b":                   "ab",
		`{header["x-user"] + "}{"}`:         "bob}{",
		`{'}' + "\"}" + r"\" + '''}'"'''}`:  `}"}\}'"`,
		`{{{identity}}}`:                    "{bob}",
		`{ {"a": {"b": "c"}}["a"]["b"] }`:   "c",
		`{status >= 500 ? "bad" : "good"}!`: "bad!",
		"{path} {route} {status}":           "/orders/7%2F8 orders 503",
	} {
		template, err := newExpressions(t).Template(source)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got := template(newExchange()); got != want {
			t.Errorf("%s: got %q, want %q", source, got, want)
		}
	}
}

func TestParts(t *testing.T) {
	e := newExpressions(t)
	own := func(source string) (filter.Value, error) {
		plain, found := strings.CutSuffix(source, "...")
		if !found {
			return nil, nil
		}
		return e.Value(plain)
	}
	parts, err := e.Parts("/x{{/{ path.id... }{jwt.sub}?", own)
	if err != nil {
		t.Fatal(err)
	}
	type part struct{ text, value string }
	var got []part
	for _, p := range parts {
		one := part{text: p.Text}
		if p.Value != nil {
			one.value, _ = p.Value(newExchange())
		}
		got = append(got, one)
	}
	if want := []part{{"/x{/", ""}, {"path.id...", "7/8"}, {"jwt.sub", "bob"}, {"?", ""}}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	_, err = e.Parts("/x/{ idenity... }", own)
	if want := "/x/{ idenity... }\n      |      ^^^^^^^"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want … %s", err, want)
	}
}

func TestConstant(t *testing.T) {
	e := newExpressions(t)
	for source, want := range map[string]result{"": {"", true}, "a": {"a", true}, "a {{b}}": {"a {b}", true}, "{jwt.sub}": {"", false}, "a{jwt.sub}": {"", false}} {
		parts, err := e.Parts(source, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := parts.Constant(); (result{text, ok}) != want {
			t.Errorf("%q: got %q, %v", source, text, ok)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, s := range []string{"a{jwt.sub}b", "{{}}", `{"a}" + '{'}`, `{r"\"}`, "{'''}'''}", "{", "}", `{"ok":true}`, "{header.x-y}{query.q}"} {
		f.Add(s)
	}
	e, ex := newExpressions(f), newExchange()
	f.Fuzz(func(t *testing.T, source string) {
		parts, err := e.Parts(source, nil)
		if err != nil {
			if err.Error() == "" {
				t.Fatalf("%q is wrong, and nothing is said", source)
			}
			return
		}
		template := parts.Template()
		text := template(ex)
		if constant, ok := parts.Constant(); ok && text != constant {
			t.Fatalf("%q gives %q and is the constant %q", source, text, constant)
		}
		template(&filter.Exchange{})
	})
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{
		`request.method == "GET"`, `header["x"].matches("a+")`, `[1,2].exists(x, x > 1)`, `jwt.?a.orValue(1) == 1`, `has(header.x)`,
		`ip_in(address, ["::/0"])`, `identity.foo`, `"a".format([1])`, `cel.bind(a, "b", a + a) == ""`, `header.all(k, v, k != v)`, "a\n&& b", `{"a": 1}.a == 1`,
	} {
		f.Add(s)
	}
	e, ex := newExpressions(f), newExchange()
	f.Fuzz(func(t *testing.T, source string) {
		condition, err := e.Condition(source)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		for _, ex := range []*filter.Exchange{ex, {}} {
			if holds, err := condition(ex); holds && err != nil {
				t.Fatalf("holds and fails: %v", err)
			}
		}
	})
}
