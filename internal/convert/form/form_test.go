package form_test

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/form"
)

type converter func(io.Writer, io.Reader, *form.Options) error

func run(c converter, in string, o *form.Options) (string, error) {
	var b bytes.Buffer
	err := c(&b, strings.NewReader(in), o)
	return strings.TrimSpace(b.String()), err
}

func nesting(n string) *form.Options {
	o := form.Defaults()
	o.Nesting = n
	return o
}

func TestBothWays(t *testing.T) {
	for name, c := range map[string]struct {
		form, json string
		o          *form.Options
	}{
		"pairs":         {`a=1&b=x+y%26`, `{"a":"1","b":"x y&"}`, nesting("none")},
		"repeated":      {`a=1&a=2&b=`, `{"a":["1","2"],"b":""}`, nesting("none")},
		"as it is":      {`a%5Bb%5D=1&c.d=2`, `{"a[b]":"1","c.d":"2"}`, nesting("none")},
		"brackets":      {`a%5Bb%5D%5Bc%5D=1&a%5Bd%5D=2`, `{"a":{"b":{"c":"1"},"d":"2"}}`, nesting("brackets")},
		"lists":         {`a%5B%5D=1&b%5Bc%5D%5B%5D=2&b%5Bc%5D%5B%5D=3`, `{"a":["1"],"b":{"c":["2","3"]}}`, nesting("brackets")},
		"objects":       {`a%5B0%5D%5Bb%5D=1&a%5B0%5D%5Bc%5D=2&a%5B1%5D%5Bb%5D=3`, `{"a":[{"b":"1","c":"2"},{"b":"3"}]}`, nesting("brackets")},
		"dots":          {`a.b=1&a.c=2&a.c=3`, `{"a":{"b":"1","c":["2","3"]}}`, nesting("dots")},
		"empty":         {``, `{}`, nesting("none")},
		"a list by one": {`a=1`, `{"a":["1"]}`, func() *form.Options { o := nesting("none"); o.Lists = []string{"a"}; return o }()},
		"in an object":  {`a.b=1`, `{"a":{"b":["1"]}}`, func() *form.Options { o := nesting("dots"); o.Lists = []string{"a.b"}; return o }()},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := run(form.ToJSON, c.form, c.o); err != nil || got != c.json {
				t.Errorf("to JSON: %v\n got %s\nwant %s", err, got, c.json)
			}
			if got, err := run(form.FromJSON, c.json, c.o); err != nil || got != c.form {
				t.Errorf("to a form: %v\n got %s\nwant %s", err, got, c.form)
			}
		})
	}
}

func TestOneWay(t *testing.T) {
	for in, want := range map[string]string{
		"a[b]=1&a[]=2":   "",
		"a[0]=x&a[1]=y":  `{"a":["x","y"]}`,
		"&&a=1&":         `{"a":"1"}`,
		"a":              `{"a":""}`,
		"=1":             "",
		"a=b=c":          `{"a":"b=c"}`,
		"a[x][1]=1&b=2;": `{"a":{"x":""},"b":"2;"}`,
	} {
		got, err := run(form.ToJSON, in, nesting("brackets"))
		if strings.Contains(in, "[1]=1") || want == "" {
			if err == nil {
				t.Errorf("%s became %s", in, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", in, got, err, want)
		}
	}
	if got, err := run(form.FromJSON, `{"n":1e400,"t":true,"no":null,"l":[]}`, nesting("none")); err != nil || got != "n=1e400&t=true" {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRefused(t *testing.T) {
	pairs := strings.Repeat("a=1&", 1001)
	for name, c := range map[string]struct {
		in, nesting string
		kind        convert.Kind
		from        bool
	}{
		"percent":              {"a=%", "none", convert.Malformed, false},
		"percent in the name":  {"%zz=1", "none", convert.Malformed, false},
		"UTF-8":                {"a=%ff", "none", convert.Malformed, false},
		"UTF-8 in the name":    {"%ff=1", "none", convert.Malformed, false},
		"pairs":                {pairs, "none", convert.TooLarge, false},
		"long":                 {"a=" + strings.Repeat("x", 200_000), "none", convert.TooLarge, false},
		"parts":                {strings.Repeat("a.", 200) + "=1", "dots", convert.TooLarge, false},
		"brackets in brackets": {"a[b[c]]=1", "brackets", convert.Malformed, false},
		"bracket not closed":   {"a[b=1", "brackets", convert.Malformed, false},
		"text after":           {"a[b]c=1", "brackets", convert.Malformed, false},
		"bracket first":        {"[a]=1", "brackets", convert.Malformed, false},
		"value and object":     {"a=1&a[b]=2", "brackets", convert.Unsuitable, false},
		"object and value":     {"a[b]=1&a=2", "brackets", convert.Unsuitable, false},
		"object and list":      {"a[b]=1&a[]=2", "brackets", convert.Unsuitable, false},
		"list and object":      {"a[]=1&a[b]=2", "brackets", convert.Unsuitable, false},
		"a far entry":          {"a[999999999]=1", "brackets", convert.Unsuitable, false},
		"entry twice":          {"a[0]=1&a[0]=2", "brackets", convert.Unsuitable, false},
		"list, to a form":      {"[1]", "none", convert.Unsuitable, true},
		"object in an object":  {`{"a":{"b":1}}`, "none", convert.Unsuitable, true},
		"list in a list":       {`{"a":[[1]]}`, "none", convert.Unsuitable, true},
		"null in a list":       {`{"a":[null]}`, "brackets", convert.Unsuitable, true},
		"bracket in a name":    {`{"a[":1}`, "brackets", convert.Unsuitable, true},
		"number as a name":     {`{"a":{"0":1}}`, "brackets", convert.Unsuitable, true},
		"dot in a name":        {`{"a.b":1}`, "dots", convert.Unsuitable, true},
		"nothing":              {``, "none", convert.Malformed, true},
		"cut":                  {`{"a":1`, "none", convert.Malformed, true},
		"more":                 {`{"a":1}{}`, "none", convert.Malformed, true},
		"deep":                 {strings.Repeat(`{"a":`, 200), "dots", convert.TooLarge, true},
		"entries":              {`{"a":[` + strings.Repeat("1,", 1000) + `1]}`, "none", convert.TooLarge, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := nesting(c.nesting)
			o.Buffer = 64 << 10
			conv := form.ToJSON
			if c.from {
				conv = form.FromJSON
			}
			got, err := run(conv, c.in, o)
			if e, ok := convert.AsError(err); !ok || e.Kind != c.kind || got != "" {
				t.Errorf("got %q, %v, want kind %v", got, err, c.kind)
			}
		})
	}
	o := form.Defaults()
	o.Charset = "iso-8859-1"
	_, err := run(form.ToJSON, "a=1", o)
	if e, ok := convert.AsError(err); !ok || e.Kind != convert.Unsupported {
		t.Errorf("another charset: %v", err)
	}
}

func TestMultipart(t *testing.T) {
	part := func(header, body string) string { return "--b\r\n" + header + "\r\n\r\n" + body + "\r\n" }
	name := func(n string) string { return `Content-Disposition: form-data; name="` + n + `"` }
	for title, c := range map[string]struct {
		in, want string
		kind     convert.Kind
	}{
		"text":     {part(name("a"), "x=&ü") + part(name("b"), "1") + part(name("b"), "2") + "--b--\r\n", `{"a":"x=&ü","b":["1","2"]}`, 0},
		"typed":    {part(name("a")+"\r\nContent-Type: text/plain; charset=UTF-8", "x") + "--b--", `{"a":"x"}`, 0},
		"file":     {part(name("a")+`; filename="x.txt"`, "x") + "--b--", "", convert.Refused},
		"no name":  {part(`Content-Disposition: form-data`, "x") + "--b--", "", convert.Malformed},
		"nameless": {part(name("a")+`; filename=""`, "x") + "--b--", "", convert.Refused},
		"starred":  {part(name("a")+`; filename*=UTF-8''x`, "x") + "--b--", "", convert.Refused},
		"image":    {part(name("a")+"\r\nContent-Type: image/png", "x") + "--b--", "", convert.Refused},
		"base64":   {part(name("a")+"\r\nContent-Transfer-Encoding: base64", "eA==") + "--b--", "", convert.Refused},
		"charset":  {part(name("a")+"\r\nContent-Type: text/plain; charset=koi8-r", "x") + "--b--", "", convert.Unsupported},
		"cut":      {part(name("a"), "x"), "", convert.Malformed},
		"other":    {"x", "", convert.Malformed},
		"long":     {part(name("a"), strings.Repeat("x", 200_000)) + "--b--", "", convert.TooLarge},
		"UTF-8":    {part(name("a"), "\xff") + "--b--", "", convert.Malformed},
	} {
		t.Run(title, func(t *testing.T) {
			o := form.Defaults()
			o.Buffer = 64 << 10
			got, err := run(func(w io.Writer, r io.Reader, o *form.Options) error { return form.MultipartToJSON(w, r, "b", o) }, c.in, o)
			if c.want != "" {
				if err != nil || got != c.want {
					t.Errorf("got %s, %v, want %s", got, err, c.want)
				}
				return
			}
			if e, ok := convert.AsError(err); !ok || e.Kind != c.kind || got != "" {
				t.Errorf("got %q, %v, want kind %v", got, err, c.kind)
			}
		})
	}
}

// TestJSONComesBack draws documents of the domain that the manual states.
func TestJSONComesBack(t *testing.T) {
	for _, n := range []string{"none", "brackets", "dots"} {
		t.Run(n, rapid.MakeCheck(func(t *rapid.T) {
			g := drawer{t, n}
			doc := g.object(3)
			want, err := jsontext.AppendFormat(nil, doc)
			if err != nil {
				t.Fatal(err)
			}
			there, err := run(form.FromJSON, doc, nesting(n))
			if err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			if _, err := url.ParseQuery(there); err != nil {
				t.Fatalf("%s is no form to others: %v", there, err)
			}
			if got, err := run(form.ToJSON, there, nesting(n)); err != nil || got != string(want) {
				t.Fatalf("%v\n got %s\nwant %s\n via %s", err, got, want, there)
			}
		}))
	}
}

type drawer struct {
	t       *rapid.T
	nesting string
}

func (g drawer) text(label string) string {
	b, err := jsontext.AppendQuote(nil, rapid.String().Draw(g.t, label))
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

func (g drawer) object(depth int) string {
	var members []string
	for i := range rapid.IntRange(1, 3).Draw(g.t, "members") {
		name := fmt.Sprintf("n%d%s", i, strings.Map(func(r rune) rune {
			if strings.ContainsRune("[].", r) {
				return '_'
			}
			return r
		}, rapid.String().Draw(g.t, "name")))
		quoted, err := jsontext.AppendQuote(nil, name)
		if err != nil {
			g.t.Fatal(err)
		}
		members = append(members, string(quoted)+":"+g.value(depth))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (g drawer) value(depth int) string {
	kind := rapid.IntRange(0, 2).Draw(g.t, "kind")
	switch {
	case kind == 0 || depth == 0:
		return g.text("value")
	case kind == 1 && g.nesting != "none":
		return g.object(depth - 1)
	}
	least := 2
	if g.nesting == "brackets" {
		least = 1
	}
	var list []string
	for range rapid.IntRange(least, 3).Draw(g.t, "entries") {
		if g.nesting == "brackets" {
			list = append(list, g.value(depth-1))
		} else {
			list = append(list, g.text("entry"))
		}
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestOptionsThatCannotBe(t *testing.T) {
	if err := form.Defaults().Validate(); err != nil {
		t.Error(err)
	}
	if o := (&form.Options{}); o.Validate() == nil {
		t.Error("no pairs are accepted")
	}
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b[c][]=2", "a.b=1&a.b=2", "%ff=1", `{"a":{"b":[1]}}`, "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, n := range []string{"none", "brackets", "dots"} {
			o := nesting(n)
			if out, err := run(form.ToJSON, in, o); err == nil && !jsontext.Value(out).IsValid() {
				t.Errorf("%q became %q, which is not JSON", in, out)
			}
			if out, err := run(form.FromJSON, in, o); err == nil {
				if _, err := run(form.ToJSON, out, o); err != nil {
					t.Errorf("%q became %q, which is refused: %v", in, out, err)
				}
			}
			_ = form.MultipartToJSON(io.Discard, strings.NewReader(in), "b", o)
		}
	})
}

func BenchmarkToJSON(b *testing.B) {
	benchmark(b, strings.Repeat("name=A+lamp&price=19.90&", 400), form.ToJSON)
}

func BenchmarkFromJSON(b *testing.B) {
	benchmark(b, `{"name":["`+strings.Repeat(`A lamp","`, 800)+`"]}`, form.FromJSON)
}

func benchmark(b *testing.B, in string, c converter) {
	o := form.Defaults()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c(io.Discard, strings.NewReader(in), o); err != nil {
			b.Fatal(err)
		}
	}
}
