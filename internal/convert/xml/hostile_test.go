package xml_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/xml"
)

func TestXMLThatIsRefused(t *testing.T) {
	small := func(o *xml.Options) { o.Size, o.Buffer = 1<<20, 64<<10 }
	laughs := `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>`
	for name, c := range map[string]struct {
		in   string
		kind convert.Kind
	}{
		"billion laughs":         {laughs, convert.Refused},
		"external entity":        {`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`, convert.Refused},
		"parameter entity":       {`<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1/x"> %p;]><a/>`, convert.Refused},
		"bare DTD":               {`<!DOCTYPE html><html/>`, convert.Refused},
		"DTD inside":             {`<a><!ELEMENT a ANY></a>`, convert.Refused},
		"entity":                 {`<a>&nbsp;</a>`, convert.Refused},
		"entity in an attribute": {`<a b="&x;"/>`, convert.Refused},
		"deep":                   {strings.Repeat("<a>", 101) + strings.Repeat("</a>", 101), convert.TooLarge},
		"very deep":              {strings.Repeat("<a>", 100_000), convert.TooLarge},
		"long":                   {`<a>` + strings.Repeat("<!-- x -->", 200_000) + `</a>`, convert.TooLarge},
		"long text":              {`<a>` + strings.Repeat("x", 200_000) + `</a>`, convert.TooLarge},
		"long name":              {`<` + strings.Repeat("x", 200_000) + `/>`, convert.TooLarge},
		"long comment":           {`<a><!--` + strings.Repeat("x", 200_000) + `--></a>`, convert.TooLarge},
		"many elements":          {`<a>` + strings.Repeat("<b/>", 2000) + `</a>`, convert.TooLarge},
		"many attributes":        {`<a ` + manyAttributes(2000) + `/>`, convert.TooLarge},
		"attribute twice":        {`<a b="1" b="2"/>`, convert.Malformed},
		"attribute twice by URI": {`<a xmlns:x="urn:u" xmlns:y="urn:u" x:b="1" y:b="2"/>`, convert.Malformed},
		"prefix":                 {`<p:a/>`, convert.Malformed},
		"prefix of attribute":    {`<a p:b="1"/>`, convert.Malformed},
		"prefix out of scope":    {`<a><b xmlns:p="urn:p"/><p:c/></a>`, convert.Malformed},
		"prefix undeclared":      {`<a xmlns:p=""/>`, convert.Malformed},
		"prefix xmlns":           {`<xmlns:a/>`, convert.Malformed},
		"xmlns:xmlns":            {`<a xmlns:xmlns="urn:x"/>`, convert.Malformed},
		"xml redeclared":         {`<a xmlns:xml="urn:x"/>`, convert.Malformed},
		"two colons":             {`<a:b:c xmlns:a="urn:a"/>`, convert.Malformed},
		"colon first":            {`<:a/>`, convert.Malformed},
		"colon last":             {`<a:/>`, convert.Malformed},
		"unbalanced":             {`<a><b></a></b>`, convert.Malformed},
		"not ended":              {`<a><b>`, convert.Malformed},
		"not begun":              {`</a>`, convert.Malformed},
		"two roots":              {`<a/><b/>`, convert.Malformed},
		"text after":             {`<a/>x`, convert.Malformed},
		"text before":            {`x<a/>`, convert.Malformed},
		"empty":                  {``, convert.Malformed},
		"space":                  {` `, convert.Malformed},
		"JSON":                   {`{"a":1}`, convert.Malformed},
		"HTML":                   {`<html><br></html>`, convert.Malformed},
		"no quotes":              {`<a b=1/>`, convert.Malformed},
		"no value":               {`<a b/>`, convert.Malformed},
		"less-than in a value":   {`<a b="<"/>`, convert.Malformed},
		"control":                {"<a>\x01</a>", convert.Malformed},
		"NUL":                    {"<a>\x00</a>", convert.Malformed},
		"control by reference":   {`<a>&#1;</a>`, convert.Malformed},
		"NUL by reference":       {`<a>&#0;</a>`, convert.Malformed},
		"beyond Unicode":         {`<a>&#x110000;</a>`, convert.Malformed},
		"noncharacter":           {`<a>&#xFFFE;</a>`, convert.Malformed},
		"invalid UTF-8":          {"<a>\xff</a>", convert.Malformed},
		"invalid in attribute":   {"<a b='\xff'/>", convert.Malformed},
		"end of CDATA":           {`<a>]]></a>`, convert.Malformed},
		"CDATA not ended":        {`<a><![CDATA[x</a>`, convert.Malformed},
		"comment":                {`<a><!-- -- --></a>`, convert.Malformed},
		"late declaration":       {`<a><?xml version="1.0"?></a>`, convert.Malformed},
		"space before":           {` <?xml version="1.0"?><a/>`, convert.Malformed},
		"declaration in capital": {`<?XML version="1.0"?><a/>`, convert.Malformed},
		"version":                {`<?xml version="1.1"?><a/>`, convert.Malformed},
		"charset":                {`<?xml version="1.0" encoding="EBCDIC-CP-US"?><a/>`, convert.Unsupported},
		"UTF-7":                  {`<?xml version="1.0" encoding="UTF-7"?><a>+ADw-</a>`, convert.Unsupported},
		"UTF-16, and is not":     {`<?xml version="1.0" encoding="UTF-16"?><a/>`, convert.Malformed},
		"half a character":       {"\xFE\xFF\x00<\x00a\x00>\xD8\x00\x00<", convert.Malformed},
		"half a unit":            {"\xFE\xFF\x00<\x00a\x00/\x00>\x00", convert.Malformed},
		"mixed":                  {`<a>x<b/></a>`, convert.Unsuitable},
		"mixed after":            {`<a><b/>x</a>`, convert.Unsuitable},
		"mixed between":          {`<a><b/>x<b/></a>`, convert.Unsuitable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := toJSON(t, c.in, rules(small))
			e, ok := convert.AsError(err)
			if !ok || e.Kind != c.kind || got != "" {
				t.Fatalf("got %q, %v, kind %v; want kind %v", got, err, e, c.kind)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("a", 1+i%50) + strings.Repeat("b", 1+i/50) + `="" `)
	}
	return b.String()
}

func TestErrorsSayWhere(t *testing.T) {
	_, err := toJSON(t, "<a>\n <b>\n  <c></b>\n</a>", rules())
	e, _ := convert.AsError(err)
	if e == nil || e.Line != 3 || e.Path != "/a/b/c" || e.Offset != 18 {
		t.Errorf("got %v (%+v)", err, e)
	}
	_, err = fromJSON(t, `{"a":{"b":[1,[2]]}}`, rules())
	if e, _ = convert.AsError(err); e == nil || e.Path != "/a/b/1" || e.Format != "JSON" {
		t.Errorf("got %v (%+v)", err, e)
	}
}

func TestJSONThatIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		kind convert.Kind
	}{
		"empty":              {``, convert.Malformed},
		"cut":                {`{"a":{"b":1}`, convert.Malformed},
		"more":               {`{"a":1} 2`, convert.Malformed},
		"name twice":         {`{"a":{"b":1,"b":2}}`, convert.Malformed},
		"invalid UTF-8":      {"{\"a\":\"\xff\"}", convert.Malformed},
		"half a character":   {`{"a":"\ud800"}`, convert.Malformed},
		"HTML":               {`<html>`, convert.Malformed},
		"deep":               {strings.Repeat(`{"a":`, 101), convert.TooLarge},
		"very deep":          {strings.Repeat(`{"a":`, 100_000), convert.TooLarge},
		"deep lists":         {`{"a":` + strings.Repeat(`[`, 101), convert.Unsuitable},
		"long text":          {`{"a":"` + strings.Repeat("x", 200_000) + `"}`, convert.TooLarge},
		"long":               {`{"r":{"a":[` + strings.Repeat("1,", 1<<20) + `1]}}`, convert.TooLarge},
		"several members":    {`{"a":1,"b":2}`, convert.Unsuitable},
		"no member":          {`{}`, convert.Unsuitable},
		"list":               {`[1]`, convert.Unsuitable},
		"list as root":       {`{"a":[1]}`, convert.Unsuitable},
		"text":               {`"a"`, convert.Unsuitable},
		"text as root":       {`{"#text":"a"}`, convert.Unsuitable},
		"attribute of none":  {`{"@a":"a"}`, convert.Unsuitable},
		"attribute, object":  {`{"a":{"@b":{}}}`, convert.Unsuitable},
		"attribute, list":    {`{"a":{"@b":[1]}}`, convert.Unsuitable},
		"text, object":       {`{"a":{"#text":{}}}`, convert.Unsuitable},
		"mixed":              {`{"a":{"#text":"x","b":1}}`, convert.Unsuitable},
		"mixed after":        {`{"a":{"b":1,"#text":"x"}}`, convert.Unsuitable},
		"list in a list":     {`{"a":[[1]]}`, convert.Unsuitable},
		"control":            {`{"a":"\u0001"}`, convert.Unsuitable},
		"noncharacter":       {`{"a":"\uffff"}`, convert.Unsuitable},
		"control, attribute": {`{"a":{"@b":"\u0000"}}`, convert.Unsuitable},
		"prefix":             {`{"p:a":1}`, convert.Unsuitable},
		"prefix, attribute":  {`{"a":{"@p:b":1}}`, convert.Unsuitable},
		"late declaration":   {`{"a":{"p:b":1,"@xmlns:p":"urn:p"}}`, convert.Unsuitable},
		"declared late":      {`{"a":{"b":1,"@xmlns":"urn:p"}}`, convert.Unsuitable},
		"declared empty":     {`{"a":{"@xmlns:p":""}}`, convert.Unsuitable},
		"attribute by URI":   {`{"a":{"@xmlns:p":"urn:u","@xmlns:q":"urn:u","@p:b":1,"@q:b":2}}`, convert.Unsuitable},
		"xmlns as element":   {`{"xmlns:a":1}`, convert.Unsuitable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fromJSON(t, c.in, rules(func(o *xml.Options) { o.Size, o.Buffer = 1<<20, 64<<10 }))
			e, ok := convert.AsError(err)
			if !ok || e.Kind != c.kind {
				t.Fatalf("got %.100q, %v; want kind %v", got, err, c.kind)
			}
			if name != "long" && got != "" {
				t.Errorf("%d bytes were written before the error", len(got))
			}
		})
	}
}

// Programs that sort members put "#text" before "@", and others put attributes anywhere.
func TestAttributesMayComeLate(t *testing.T) {
	in := `{"a":{"#text":"x","@id":"1"}}`
	if got, err := fromJSON(t, in, rules()); err != nil || got != `<a id="1">x</a>` {
		t.Errorf("got %s, %v", got, err)
	}
	in = `{"a":{"@1":"a","b":[{"c":"x","@k":"v"},{"c":"y","@k":"w"}],"@2":"b"}}`
	if got, err := fromJSON(t, in, rules()); err != nil || got != `<a _x0031_="a" _x0032_="b"><b k="v"><c>x</c></b><b k="w"><c>y</c></b></a>` {
		t.Errorf("got %s, %v", got, err)
	}
	long := `{"a":{"b":["` + strings.Repeat("x", 50_000) + `","` + strings.Repeat("x", 50_000) + `"],"@id":"1"}}`
	_, err := fromJSON(t, long, rules(func(o *xml.Options) { o.Buffer = 64 << 10 }))
	if e, ok := convert.AsError(err); !ok || e.Kind != convert.Unsuitable {
		t.Errorf("an attribute after what was written already: %v", err)
	}
}

func TestCharsets(t *testing.T) {
	text := `<a b="ü">größe 𝄞</a>`
	want := `{"a":{"@b":"ü","#text":"größe 𝄞"}}`
	wide := func(s string, high, low int) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u>>high), byte(u>>low))
		}
		return string(b)
	}
	for name, c := range map[string]struct{ in, charset, want string }{
		"UTF-8":                 {text, "", want},
		"UTF-8 with a mark":     {"\xEF\xBB\xBF" + text, "", want},
		"UTF-8 declared":        {`<?xml version="1.0" encoding="utf-8"?>` + text, "", want},
		"UTF-16BE with a mark":  {"\xFE\xFF" + wide(text, 8, 0), "", want},
		"UTF-16LE with a mark":  {"\xFF\xFE" + wide(text, 0, 8), "", want},
		"UTF-16 declared":       {"\xFF\xFE" + wide(`<?xml version="1.0" encoding="UTF-16"?>`+text, 0, 8), "", want},
		"UTF-16LE without":      {wide(text, 0, 8), "", want},
		"UTF-16BE without":      {wide(text, 8, 0), "", want},
		"UTF-16BE by its type":  {wide(text, 8, 0), "UTF-16BE", want},
		"the mark goes first":   {"\xFF\xFE" + wide(text, 0, 8), "utf-8", want},
		"ISO-8859-1 declared":   {"<?xml version='1.0' encoding='ISO-8859-1'?><a>gr\xf6\xdfe</a>", "", `{"a":"größe"}`},
		"ISO-8859-1 by type":    {"<a>gr\xf6\xdfe</a>", "iso-8859-1", `{"a":"größe"}`},
		"the type goes first":   {"<?xml version='1.0' encoding='UTF-8'?><a>gr\xf6\xdfe</a>", "ISO-8859-1", `{"a":"größe"}`},
		"the type goes first 2": {"<?xml version='1.0' encoding='ISO-8859-1'?><a>größe</a>", "UTF-8", `{"a":"größe"}`},
	} {
		t.Run(name, func(t *testing.T) {
			o := rules(func(o *xml.Options) { o.Charset = c.charset })
			if got, err := toJSON(t, c.in, o); err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
			var b bytes.Buffer
			if err := xml.ToJSON(&b, iotest.OneByteReader(strings.NewReader(c.in)), o); err != nil || strings.TrimSpace(b.String()) != c.want {
				t.Errorf("byte by byte: got %s, %v", b.String(), err)
			}
		})
	}
	_, err := toJSON(t, text, rules(func(o *xml.Options) { o.Charset = "koi8-r" }))
	if e, ok := convert.AsError(err); !ok || e.Kind != convert.Unsupported {
		t.Errorf("koi8-r: %v", err)
	}
}

func TestOtherRules(t *testing.T) {
	for name, c := range map[string]struct {
		xml, json string
		change    func(*xml.Options)
	}{
		"strip":           {`<p:a xmlns:p="urn:p" xmlns="urn:d" p:k="1"><b/></p:a>`, `{"a":{"@k":"1","b":""}}`, func(o *xml.Options) { o.Namespaces = "strip" }},
		"join":            {`<p>one <b>two</b> three</p>`, `{"p":{"b":"two","#text":"one  three"}}`, func(o *xml.Options) { o.Mixed = "join" }},
		"drop":            {`<p>one <b>two</b> three</p>`, `{"p":{"b":"two"}}`, func(o *xml.Options) { o.Mixed = "drop" }},
		"nil is kept":     {`<a xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:nil="true"/>`, `{"a":{"@xmlns:x":"http://www.w3.org/2001/XMLSchema-instance","@x:nil":"true"}}`, func(o *xml.Options) { o.Null = "empty" }},
		"nil and more":    {`<a k="1" xmlns:x="http://www.w3.org/2001/XMLSchema-instance" x:nil="true"/>`, `{"a":{"@k":"1","@xmlns:x":"http://www.w3.org/2001/XMLSchema-instance","@x:nil":"true"}}`, func(*xml.Options) {}},
		"a list by name":  {`<a><b/></a>`, `{"a":{"b":[""]}}`, func(o *xml.Options) { o.Lists = []string{"b"} }},
		"list elsewhere":  {`<a><b/></a>`, `{"a":{"b":""}}`, func(o *xml.Options) { o.Lists = []string{"/b"} }},
		"list with root":  {`<a><b/></a>`, `{"b":[""]}`, func(o *xml.Options) { o.Root, o.Lists = "a", []string{"/a/b"} }},
		"order":           {`<a><b>1</b><c/><b>2</b></a>`, `{"a":{"b":["1","2"],"c":""}}`, func(*xml.Options) {}},
		"comments":        {`<?xml version="1.0"?><!-- c --><a>x<!-- c -->y<?p i?>z</a><!-- c -->`, `{"a":"xyz"}`, func(*xml.Options) {}},
		"CDATA":           {`<a>x<![CDATA[<b>&amp;</b>]]>y</a>`, `{"a":"x<b>&amp;</b>y"}`, func(*xml.Options) {}},
		"empty list":      {`<r/>`, `[]`, func(o *xml.Options) { o.Root, o.Item = "r", "i" }},
		"other prefixes":  {`<a k="1">x</a>`, `{"a":{"-k":"1","$":"x"}}`, func(o *xml.Options) { o.Attributes, o.Text = "-", "$" }},
		"element as text": {`<a><_x0023_text>1</_x0023_text><_x0040_b/></a>`, `{"a":{"_x0023_text":"1","_x0040_b":""}}`, func(*xml.Options) {}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := toJSON(t, c.xml, rules(c.change)); err != nil || got != c.json {
				t.Errorf("%v\n got %s\nwant %s", err, got, c.json)
			}
		})
	}
	for name, c := range map[string]struct {
		json, xml string
		change    func(*xml.Options)
	}{
		"null as empty":  {`{"a":{"b":null}}`, `<a><b/></a>`, func(o *xml.Options) { o.Null = "empty" }},
		"null left out":  {`{"a":{"b":null,"c":[null,1]}}`, `<a><c>1</c></a>`, func(o *xml.Options) { o.Null = "omit" }},
		"digits":         {`{"a":[]}`, `<r/>`, func(o *xml.Options) { o.Root = "r" }},
		"numbers":        {`{"a":{"n":1.0e+400,"m":-0}}`, `<a><n>1.0e+400</n><m>-0</m></a>`, func(*xml.Options) {}},
		"lists in lists": {`{"a":[[1,2],[3]]}`, `<r><a><i>1</i><i>2</i></a><a><i>3</i></a></r>`, func(o *xml.Options) { o.Root, o.Item = "r", "i" }},
		"mixed":          {`{"p":{"b":"two","#text":"one"}}`, `<p><b>two</b>one</p>`, func(o *xml.Options) { o.Mixed = "join" }},
		"colon, strip":   {`{"p:a":1}`, `<p_x003A_a>1</p_x003A_a>`, func(o *xml.Options) { o.Namespaces = "strip" }},
		"declaration":    {`{"a":1}`, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a>1</a>", func(o *xml.Options) { o.Declaration = true }},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := fromJSON(t, c.json, rules(c.change)); err != nil || got != c.xml {
				t.Errorf("%v\n got %s\nwant %s", err, got, c.xml)
			}
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	if err := rules().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, change := range map[string]func(*xml.Options){
		"root":            func(o *xml.Options) { o.Root = "1" },
		"item":            func(o *xml.Options) { o.Item = "a b" },
		"attributes":      func(o *xml.Options) { o.Attributes = "" },
		"attributes, x":   func(o *xml.Options) { o.Attributes = "x" },
		"attributes, ü":   func(o *xml.Options) { o.Attributes = "ü" },
		"text":            func(o *xml.Options) { o.Text = "" },
		"text, name":      func(o *xml.Options) { o.Text = "text" },
		"text, attribute": func(o *xml.Options) { o.Text = "@text" },
		"depth":           func(o *xml.Options) { o.Depth = 0 },
		"buffer":          func(o *xml.Options) { o.Buffer = 1 },
	} {
		if rules(change).Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The input's own errors, and those of writing, come through as they are.
func TestOtherErrorsComeThrough(t *testing.T) {
	broken := errors.New("broken")
	cut := func(s string) io.Reader { return io.MultiReader(strings.NewReader(s), iotest.ErrReader(broken)) }
	if err := xml.ToJSON(io.Discard, cut(`<a>`), rules()); !errors.Is(err, broken) {
		t.Errorf("reading XML: %v", err)
	}
	if err := xml.FromJSON(io.Discard, cut(`{"a":`), rules()); !errors.Is(err, broken) {
		t.Errorf("reading JSON: %v", err)
	}
	if err := xml.ToJSON(failing{broken}, strings.NewReader(`<a/>`), rules()); !errors.Is(err, broken) {
		t.Errorf("writing JSON: %v", err)
	}
	if err := xml.FromJSON(failing{broken}, strings.NewReader(`{"a":1}`), rules()); !errors.Is(err, broken) {
		t.Errorf("writing XML: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func FuzzToJSON(f *testing.F) {
	for _, s := range []string{
		`<a b="1">x</a>`, `<p:a xmlns:p="urn:p"><b/><b/></p:a>`, "\xFE\xFF\x00<\x00a\x00/\x00>", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`,
		`<a><![CDATA[x]]></a>`, `<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>`, `<!DOCTYPE a []><a/>`, `<_x0041_/>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, o := range []*xml.Options{rules(), rules(func(o *xml.Options) { o.Namespaces, o.Recognize, o.Mixed = "strip", true, "join" })} {
			there, err := toJSON(t, in, o)
			if err != nil {
				continue
			}
			back, err := fromJSON(t, there, o)
			if err != nil {
				if o.Mixed == "refuse" && !strings.Contains(in, "_x") {
					t.Errorf("%q became %s, which cannot come back: %v", in, there, err)
				}
				continue
			}
			again, err := toJSON(t, back, o)
			if !strings.Contains(in, "_x") && (err != nil || o.Mixed == "refuse" && again != there) {
				t.Errorf("%q became %s, %q, %s (%v)", in, there, back, again, err)
			}
		}
	})
}

func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":{"@b":"1","#text":"x"}}`, `{"a":{"b":[1,2],"c":null}}`, `{"a":{"#text":"x","@b":1}}`, `{"a b":{"@xmlns:p":"urn:p","p:c":true}}`, `{"_x0041_":""}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, o := range []*xml.Options{rules(), rules(func(o *xml.Options) { o.Root, o.Item, o.Namespaces = "r", "i", "strip" })} {
			there, err := fromJSON(t, in, o)
			if err != nil {
				continue
			}
			if _, err := toJSON(t, there, o); err != nil {
				t.Errorf("%q became %q, which is refused: %v", in, there, err)
			}
		}
	})
}

func benchmark(b *testing.B, in string, run func(io.Writer, io.Reader, *xml.Options) error) {
	o := rules()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := run(io.Discard, strings.NewReader(in), o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToJSON(b *testing.B) {
	benchmark(b, `<orders>`+strings.Repeat(`<order id="17"><name>A lamp</name><price currency="EUR">19.90</price><tag>x</tag><tag>y</tag></order>`, 1000)+`</orders>`, xml.ToJSON)
}

func BenchmarkFromJSON(b *testing.B) {
	entry := `{"@id":"17","name":"A lamp","price":{"@currency":"EUR","#text":"19.90"},"tag":["x","y"]}`
	benchmark(b, `{"orders":{"order":[`+strings.Repeat(entry+",", 999)+entry+`]}}`, xml.FromJSON)
}
