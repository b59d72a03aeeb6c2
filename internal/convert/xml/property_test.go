package xml_test

import (
	"bytes"
	stdxml "encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/convert/xml"
)

// TestJSONComesBack draws documents of the domain that the manual states, and leads them to XML and back.
func TestJSONComesBack(t *testing.T) {
	for name, o := range map[string]*xml.Options{
		"keep":      rules(),
		"strip":     rules(func(o *xml.Options) { o.Namespaces = "strip" }),
		"root":      rules(func(o *xml.Options) { o.Root = "root" }),
		"recognize": rules(func(o *xml.Options) { o.Recognize = true }),
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			g := jsonDrawer{t: t, o: o}
			doc := g.value(4)
			if o.Root == "" {
				doc = `{` + g.quote(g.name("root")) + `:` + doc + `}`
			}
			want := compact(t, doc)
			var there, back bytes.Buffer
			if err := xml.FromJSON(&there, strings.NewReader(doc), o); err != nil {
				t.Fatalf("%s: %v", doc, err)
			}
			if err := xml.ToJSON(&back, bytes.NewReader(there.Bytes()), o); err != nil {
				t.Fatalf("%s: %v", there.String(), err)
			}
			if got := strings.TrimSpace(back.String()); got != want {
				t.Fatalf("\n got %s\nwant %s\n via %s", got, want, there.String())
			}
		}))
	}
}

func compact(t *rapid.T, doc string) string {
	b, err := jsontext.AppendFormat(nil, doc)
	if err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return string(b)
}

type jsonDrawer struct {
	t *rapid.T
	o *xml.Options
}

func (g jsonDrawer) quote(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		g.t.Fatal(err)
	}
	return string(b)
}

// text draws text that XML can hold.
func (g jsonDrawer) text(label string) string {
	if rapid.Bool().Draw(g.t, "plain") {
		return rapid.SampledFrom([]string{"", " ", "x", "a b", "<&>\"'", "]]>", "\r\n\t", "1 ", "01", "null", "größe", "𝄞", "\u0085\u2028", "&amp;"}).Draw(g.t, label)
	}
	s := rapid.String().Draw(g.t, label)
	return strings.Map(func(r rune) rune {
		if !xml.IsChar(r) {
			return 'c'
		}
		return r
	}, s)
}

// scalar draws a value without members.
func (g jsonDrawer) scalar(label string) string {
	if g.o.Recognize {
		if rapid.Bool().Draw(g.t, "other") {
			return rapid.SampledFrom([]string{"true", "false", "1", "-0", "1e400", "0.10", "123456789012345678901234567890"}).Draw(g.t, label)
		}
		return g.quote("t" + g.text(label))
	}
	return g.quote(g.text(label))
}

func (g jsonDrawer) name(label string) string {
	s := rapid.OneOf(
		rapid.SampledFrom([]string{"a", "b", "item", "", " ", "1", "-", "_x0041_", "_x_", "a_x_b", "_x005F_x", "x_x0041_x0042_", "größe", "名前", "Ω", "ǅ", "𝄞", "xmlns", "xml", "a:b:c", ":", "a:", "/", "\x00"}),
		rapid.String(),
	).Draw(g.t, label)
	if strings.HasPrefix(s, "@") || s == "#text" || strings.Count(s, ":") == 1 {
		return "n" + strings.ReplaceAll(s, ":", "")
	}
	return s
}

func (g jsonDrawer) value(depth int) string {
	kind := rapid.IntRange(0, 5).Draw(g.t, "kind")
	switch {
	case kind == 0:
		return "null"
	case kind < 3 || depth == 0:
		return g.scalar("text")
	}
	return g.object(depth - 1)
}

func (g jsonDrawer) object(depth int) string {
	var members []string
	seen := map[string]bool{}
	for range rapid.IntRange(0, 3).Draw(g.t, "attributes") {
		name := g.name("attribute")
		if seen[name] || name == "xmlns" {
			continue
		}
		seen[name] = true
		members = append(members, g.quote("@"+name)+":"+g.scalar("value"))
	}
	if len(members) > 0 && rapid.Bool().Draw(g.t, "with text") {
		return "{" + strings.Join(append(members, `"#text":`+g.quote("t"+g.text("text"))), ",") + "}"
	}
	clear(seen)
	for range rapid.IntRange(0, 3).Draw(g.t, "elements") {
		name := g.name("element")
		if seen[name] {
			continue
		}
		seen[name] = true
		value := g.value(depth)
		if n := rapid.IntRange(1, 3).Draw(g.t, "repeated"); n > 1 {
			list := []string{value}
			for range n - 1 {
				list = append(list, g.value(depth))
			}
			value = "[" + strings.Join(list, ",") + "]"
		}
		members = append(members, g.quote(name)+":"+value)
	}
	if len(members) == 0 {
		return g.scalar("text")
	}
	return "{" + strings.Join(members, ",") + "}"
}

// TestXMLComesBack draws XML of the domain that the manual states, written in many ways, and compares its canonical form.
func TestXMLComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := rules(func(o *xml.Options) { o.Recognize = rapid.Bool().Draw(t, "recognize") })
		g := xmlDrawer{t: t}
		g.element("root", 4, []string{"", "xml"})
		var there, back bytes.Buffer
		if err := xml.ToJSON(&there, strings.NewReader(g.String()), o); err != nil {
			t.Fatalf("%s: %v", g.String(), err)
		}
		if err := xml.FromJSON(&back, bytes.NewReader(there.Bytes()), o); err != nil {
			t.Fatalf("%s: %v", there.String(), err)
		}
		got, want := canonical(t, back.String()), canonical(t, g.String())
		if got != want {
			t.Fatalf("\n got %s\nwant %s\n via %s", got, want, there.String())
		}
	})
}

// canonical is a document without what does not count: how characters are written, space between elements, the order of attributes,
// comments, and the prefixes' names.
func canonical(t *rapid.T, doc string) string {
	dec := stdxml.NewDecoder(strings.NewReader(doc))
	var b strings.Builder
	var text string
	leaf := false
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		switch tok := tok.(type) {
		case stdxml.StartElement:
			text, leaf = "", true
			var attrs []string
			for _, a := range tok.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
					continue
				}
				attrs = append(attrs, fmt.Sprintf("{%s}%s=%q", a.Name.Space, a.Name.Local, a.Value))
			}
			slices.Sort(attrs)
			fmt.Fprintf(&b, "<{%s}%s %s>", tok.Name.Space, tok.Name.Local, strings.Join(attrs, " "))
		case stdxml.EndElement:
			if leaf {
				fmt.Fprintf(&b, "%q", text)
			}
			leaf = false
			b.WriteString("</>")
		case stdxml.CharData:
			text += string(tok)
		}
	}
}

type xmlDrawer struct {
	t *rapid.T
	strings.Builder
}

func (g *xmlDrawer) draw(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(g.t, label)
}

// between draws what may stand between elements and does not count.
func (g *xmlDrawer) between() {
	g.WriteString(g.draw("between", "", "", "\n  ", "<!-- c -->", "<?pi x?>", " \t<!---->\r\n"))
}

func (g *xmlDrawer) element(local string, depth int, prefixes []string) {
	if rapid.IntRange(0, 9).Draw(g.t, "null") == 0 {
		g.WriteString("<" + local + ` xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>`)
		return
	}
	declared := ""
	for _, p := range []string{"p", "q", ""} {
		if rapid.IntRange(0, 4).Draw(g.t, "declare") == 0 {
			name := "xmlns:" + p
			if p == "" {
				name = "xmlns"
			}
			declared += " " + name + `="urn:` + g.draw("space", "1", "2") + p + `"`
			prefixes = append(slices.Clone(prefixes), p)
		}
	}
	name := local
	if p := g.draw("prefix", prefixes...); p != "" && p != "xml" {
		name = p + ":" + local
	}
	g.WriteString("<" + name + declared)
	seen := map[string]bool{}
	for range rapid.IntRange(0, 2).Draw(g.t, "attributes") {
		a := g.draw("attribute", "k", "lang", "größe")
		if p := g.draw("attribute prefix", prefixes...); p != "" {
			a = p + ":" + a
		}
		if !seen[a] {
			seen[a] = true
			g.WriteString(" " + a + `="` + g.draw("value", "", "1", "true", "a&amp;b", "&#10;&#9;", "&quot;'", "x&#x1D11E;") + `"`)
		}
	}
	g.WriteString(">")
	if depth == 0 || rapid.Bool().Draw(g.t, "leaf") {
		for range rapid.IntRange(0, 2).Draw(g.t, "texts") {
			g.WriteString(g.draw("text", "x", " ", "7", "1.50", "<![CDATA[<&]]>", "&lt;&#13;", "<!-- c -->", "\r\n", "größe"))
		}
	} else {
		for _, child := range []string{"a", "b", "c"} {
			g.between()
			for range rapid.IntRange(0, 2).Draw(g.t, "repeated") {
				g.element("n"+child, depth-1, prefixes)
				g.between()
			}
		}
	}
	g.WriteString("</" + name + ">")
}

// Names that the encoder leaves alone are names to another parser too.
func TestNamesAreNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.String().Draw(t, "key")
		if strings.HasPrefix(key, "@") || key == "#text" || strings.Count(key, ":") == 1 {
			return
		}
		var out bytes.Buffer
		doc, err := jsontext.AppendQuote([]byte("{"), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.FromJSON(&out, bytes.NewReader(append(doc, ":1}"...)), rules()); err != nil {
			t.Fatal(err)
		}
		if err := stdxml.Unmarshal(out.Bytes(), new(struct{})); err != nil {
			t.Fatalf("%s: %v", out.String(), err)
		}
	})
}
