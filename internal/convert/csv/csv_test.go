package csv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/csv"
)

type converter func(io.Writer, io.Reader, *csv.Options) error

func run(c converter, in string, o *csv.Options) (string, error) {
	var b bytes.Buffer
	err := c(&b, strings.NewReader(in), o)
	return b.String(), err
}

func rules(change ...func(*csv.Options)) *csv.Options {
	o := csv.Defaults()
	for _, c := range change {
		c(o)
	}
	return o
}

func toNDJSON(w io.Writer, r io.Reader, o *csv.Options) error { return csv.ToNDJSON(w, r, &o.Limits) }

func fromNDJSON(w io.Writer, r io.Reader, o *csv.Options) error {
	return csv.FromNDJSON(w, r, &o.Limits)
}

func TestFromJSON(t *testing.T) {
	columns := func(paths ...csv.Column) func(*csv.Options) { return func(o *csv.Options) { o.Columns = paths } }
	for name, c := range map[string]struct {
		in, want string
		o        *csv.Options
	}{
		"rows":          {`[{"a":1,"b":"x"},{"b":"y","a":2}]`, "a,b\r\n1,x\r\n2,y\r\n", rules()},
		"missing":       {`[{"a":1},{"b":2}]`, "a,b\r\n1,\r\n,2\r\n", rules()},
		"quotes":        {`[{"a":"x,y","b":"say \"hi\"","c":"two\nlines"}]`, "a,b,c\r\n\"x,y\",\"say \"\"hi\"\"\",\"two\r\nlines\"\r\n", rules()},
		"nested":        {`[{"a":{"b":1,"c":{"d":2}}}]`, "a.b,a.c.d\r\n1,2\r\n", rules()},
		"not nested":    {`[{"a":{"b":1}, "c.d":2}]`, "a,c.d\r\n\"{\"\"b\"\":1}\",2\r\n", rules(func(o *csv.Options) { o.Nested = false })},
		"lists":         {`[{"a":[1, {"b":2}]}]`, "a\r\n\"[1,{\"\"b\"\":2}]\"\r\n", rules()},
		"digits":        {`[{"a":12345678901234567890.10,"b":1e400,"c":true,"d":null}]`, "a,b,c,d\r\n12345678901234567890.10,1e400,true,\r\n", rules()},
		"no rows":       {`[]`, "", rules()},
		"empty rows":    {`[{},{}]`, "", rules()},
		"one empty":     {`[{"a":""},{"a":"x"}]`, "a\r\n\"\"\r\nx\r\n", rules()},
		"columns":       {`[{"a":{"b":1},"c":2,"d":3}]`, "x,c\r\n1,2\r\n", rules(columns(csv.Column{Path: "a.b", Name: "x"}, csv.Column{Path: "c"}))},
		"columns, none": {`[]`, "a\r\n", rules(columns(csv.Column{Path: "a"}))},
		"whole object":  {`[{"a":{"b":1}}]`, "a\r\n\"{\"\"b\"\":1}\"\r\n", rules(columns(csv.Column{Path: "a"}))},
		"no header":     {`[{"a":1}]`, "1\r\n", rules(func(o *csv.Options) { o.Header = false })},
		"semicolon":     {`[{"a":"1;2","b":"1,2"}]`, "a;b\r\n\"1;2\";1,2\r\n", rules(func(o *csv.Options) { o.Delimiter = ";" })},
		"formulas": {
			`[{"a":"=1+1","b":"+1","c":"-1","d":"@x","e":"\tx","f":-1,"g":"x="}]`, "a,b,c,d,e,f,g\r\n'=1+1,'+1,'-1,'@x,'\tx,-1,x=\r\n",
			rules(func(o *csv.Options) { o.Formulas = "escape" }),
		},
		"formulas, kept": {`[{"a":"=1+1"}]`, "a\r\n=1+1\r\n", rules()},
		"extra dropped":  {`[{"a":1},{"a":2,"b":3}]`, "a\r\n1\r\n2\r\n", rules(func(o *csv.Options) { o.Sample, o.Extra = 1, "drop" })},
		"sample":         {`[{"a":1},{"b":2},{"a":3}]`, "a,b\r\n1,\r\n,2\r\n3,\r\n", rules(func(o *csv.Options) { o.Sample = 2 })},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := run(csv.FromJSON, c.in, c.o); err != nil || got != c.want {
				t.Errorf("%v\n got %q\nwant %q", err, got, c.want)
			}
		})
	}
}

func TestToJSON(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		o        *csv.Options
	}{
		"rows":         {"a,b\r\n1,x\r\n2,\"y,\"\"z\"\r\n", `[{"a":"1","b":"x"},{"a":"2","b":"y,\"z"}]`, rules()},
		"no end":       {"a\n1", `[{"a":"1"}]`, rules()},
		"mark":         {"\xEF\xBB\xBFa\n1", `[{"a":"1"}]`, rules()},
		"nested":       {"a.b,c,a.d\n1,2,3\n", `[{"a":{"b":"1","d":"3"},"c":"2"}]`, rules()},
		"not nested":   {"a.b\n1\n", `[{"a.b":"1"}]`, rules(func(o *csv.Options) { o.Nested = false })},
		"no rows":      {"a,b\n", `[]`, rules()},
		"nothing":      {"", `[]`, rules()},
		"recognized":   {"a,b,c,d,e,f\n1.50,true,,01,\"[1,{}]\",NaN\n", `[{"a":1.50,"b":true,"c":null,"d":"01","e":[1,{}],"f":"NaN"}]`, rules(func(o *csv.Options) { o.Recognize = true })},
		"no header":    {"1,2\n", `[{"a":"1","b":"2"}]`, rules(func(o *csv.Options) { o.Header, o.Columns = false, []csv.Column{{Path: "a"}, {Path: "b"}} })},
		"renamed":      {"x,y\n1,2\n", `[{"a":{"b":"1"}}]`, rules(func(o *csv.Options) { o.Columns = []csv.Column{{Path: "a.b", Name: "x"}} })},
		"tab":          {"a\tb\n1\t2\n", `[{"a":"1","b":"2"}]`, rules(func(o *csv.Options) { o.Delimiter = "\t" })},
		"quoted lines": {"a\n\"x\ny\"\n", `[{"a":"x\ny"}]`, rules()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := run(csv.ToJSON, c.in, c.o)
			if err != nil || strings.TrimSpace(got) != c.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, c.want)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct {
		conv converter
		in   string
		kind convert.Kind
	}{
		"no list":             {csv.FromJSON, `{"a":1}`, convert.Unsuitable},
		"no object":           {csv.FromJSON, `[1]`, convert.Unsuitable},
		"list in the list":    {csv.FromJSON, `[[1]]`, convert.Unsuitable},
		"dot":                 {csv.FromJSON, `[{"a.b":1}]`, convert.Unsuitable},
		"nothing":             {csv.FromJSON, ``, convert.Malformed},
		"cut":                 {csv.FromJSON, `[{"a":1}`, convert.Malformed},
		"cut in the list":     {csv.FromJSON, `[{"a":1},`, convert.Malformed},
		"more":                {csv.FromJSON, `[{"a":1}] 1`, convert.Malformed},
		"name twice":          {csv.FromJSON, `[{"a":1,"a":2}]`, convert.Malformed},
		"HTML":                {csv.FromJSON, `<html>`, convert.Malformed},
		"a late member":       {csv.FromJSON, `[` + strings.Repeat(`{"a":1},`, 100) + `{"b":1}]`, convert.Unsuitable},
		"a long value":        {csv.FromJSON, `[{"a":"` + long + `"}]`, convert.TooLarge},
		"long first rows":     {csv.FromJSON, `[` + strings.Repeat(`{"a":"`+long[:1000]+`"},`, 99) + `{"a":1}]`, convert.TooLarge},
		"deep":                {csv.FromJSON, `[` + strings.Repeat(`{"a":`, 200), convert.TooLarge},
		"deep list":           {csv.FromJSON, `[{"a":` + strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200) + `}]`, convert.TooLarge},
		"cells":               {csv.ToJSON, "a,b\n1\n", convert.Malformed},
		"more cells":          {csv.ToJSON, "a,b\n1,2,3\n", convert.Malformed},
		"quote":               {csv.ToJSON, "a\nx\"y\n", convert.Malformed},
		"quote not closed":    {csv.ToJSON, "a\n\"x\n", convert.Malformed},
		"endless quote":       {csv.ToJSON, "a\n\"" + long, convert.TooLarge},
		"UTF-8":               {csv.ToJSON, "a\n\xff\n", convert.Malformed},
		"UTF-8 in the header": {csv.ToJSON, "\xff\n1\n", convert.Malformed},
		"column twice":        {csv.ToJSON, "a,a\n1,2\n", convert.Unsuitable},
		"value and object":    {csv.ToJSON, "a,a.b\n1,2\n", convert.Unsuitable},
		"object and value":    {csv.ToJSON, "a.b,a\n1,2\n", convert.Unsuitable},
		"deep column":         {csv.ToJSON, strings.Repeat("a.", 200) + "b\n1\n", convert.TooLarge},
		"columns":             {csv.ToJSON, strings.Repeat(",", 1000) + "\n", convert.TooLarge},
		"long header":         {csv.ToJSON, long[:70_000] + "\n", convert.TooLarge},
		"members":             {csv.FromJSON, "[{" + many(1001) + "}]", convert.TooLarge},
		"long names":          {csv.FromJSON, `[{"` + long[:40_000] + `":1},{"` + long[:40_001] + `":1}]`, convert.TooLarge},
		"lines of no list":    {toNDJSON, `{"a":1}`, convert.Unsuitable},
		"lines of nothing":    {toNDJSON, ``, convert.Malformed},
		"lines, cut":          {toNDJSON, `[1,2`, convert.Malformed},
		"lines, cut after ,":  {toNDJSON, `[1,`, convert.Malformed},
		"lines, more":         {toNDJSON, `[1] 2`, convert.Malformed},
		"lines, long":         {toNDJSON, `["` + long + `"]`, convert.TooLarge},
		"list of bad lines":   {fromNDJSON, "{\"a\":1}\n{\"a\":", convert.Malformed},
		"list of HTML":        {fromNDJSON, "<html>", convert.Malformed},
		"list, long line":     {fromNDJSON, `"` + long + `"`, convert.TooLarge},
		"list, deep line":     {fromNDJSON, strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200), convert.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(c.conv, c.in, rules(func(o *csv.Options) { o.Buffer = 64 << 10 }))
			if e, ok := convert.AsError(err); !ok || e.Kind != c.kind {
				t.Errorf("got %v, want kind %v", err, c.kind)
			}
		})
	}
	_, err := run(csv.ToJSON, "a\n", rules(func(o *csv.Options) { o.Charset = "koi8-r" }))
	if e, ok := convert.AsError(err); !ok || e.Kind != convert.Unsupported {
		t.Errorf("another charset: %v", err)
	}
	_, err = run(csv.ToJSON, "a,b\n1,2\n1\n", rules())
	if e, ok := convert.AsError(err); !ok || e.Line != 3 {
		t.Errorf("the third line is wrong, and the error says: %v", err)
	}
}

func many(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"%d":1`, i)
	}
	return strings.Join(members, ",")
}

func TestLines(t *testing.T) {
	list, lines := `[{"a": 1, "b":[ 1 ]}, "x\ny", 12345678901234567890.0, null]`, "{\"a\":1,\"b\":[1]}\n\"x\\ny\"\n12345678901234567890.0\nnull\n"
	if got, err := run(toNDJSON, list, rules()); err != nil || got != lines {
		t.Errorf("got %q, %v", got, err)
	}
	want := `[{"a":1,"b":[1]},"x\ny",12345678901234567890.0,null]`
	for _, in := range []string{lines, "\n" + strings.ReplaceAll(lines, "\n", "\r\n\n")} {
		if got, err := run(fromNDJSON, in, rules()); err != nil || strings.TrimSpace(got) != want {
			t.Errorf("got %q, %v", got, err)
		}
	}
	for in, want := range map[string]string{"[]": "", " [ ] ": ""} {
		if got, err := run(toNDJSON, in, rules()); err != nil || got != want {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
	if got, err := run(fromNDJSON, "", rules()); err != nil || strings.TrimSpace(got) != "[]" {
		t.Errorf("got %q, %v", got, err)
	}
}

// Lists of any length pass with a buffer that holds a row.
func TestLongListsPass(t *testing.T) {
	o := rules(func(o *csv.Options) { o.Buffer, o.Size = 64<<10, 0 })
	const rows = 50_000
	row := `{"a":1,"b":"x"}`
	in := func() io.Reader {
		return io.MultiReader(strings.NewReader("["+row), &repeated{text: "," + row, left: rows - 1}, strings.NewReader("]"))
	}
	for name, c := range map[string]converter{"CSV": csv.FromJSON, "NDJSON": toNDJSON} {
		var n counter
		if err := c(&n, in(), o); err != nil || n.lines < rows {
			t.Errorf("%s: %d lines, %v", name, n.lines, err)
		}
	}
	var n counter
	if err := csv.ToJSON(&n, io.MultiReader(strings.NewReader("a,b\n"), &repeated{text: "1,x\n", left: rows}), o); err != nil || n.bytes < rows*len(row) {
		t.Errorf("from CSV: %d bytes, %v", n.bytes, err)
	}
	n = counter{}
	if err := fromNDJSON(&n, &repeated{text: row + "\n", left: rows}, o); err != nil || n.bytes < rows*len(row) {
		t.Errorf("from NDJSON: %d bytes, %v", n.bytes, err)
	}
}

type repeated struct {
	text string
	rest string
	left int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.rest, r.left = r.text, r.left-1
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

type counter struct{ lines, bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	c.bytes += len(p)
	return len(p), nil
}

// A line is handed on as soon as it was read, not when more comes.
func TestLinesAreHandedOn(t *testing.T) {
	in, feed := io.Pipe()
	out, drain := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- csv.ToNDJSON(drain, in, &csv.Defaults().Limits) }()
	buf := make([]byte, 100)
	for _, part := range []string{`[{"a":1},`, `{"a":2},`} {
		if _, err := io.WriteString(feed, part); err != nil {
			t.Fatal(err)
		}
		n, err := out.Read(buf)
		if err != nil || !strings.HasSuffix(string(buf[:n]), "}\n") {
			t.Fatalf("after %s: %q, %v", part, buf[:n], err)
		}
	}
	if _, err := io.WriteString(feed, "3]"); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "3\n" {
		t.Fatalf("%q, %v", buf[:n], err)
	}
	feed.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOtherErrorsComeThrough(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		conv converter
		in   string
	}{
		"from JSON": {csv.FromJSON, `[{"a":1},`}, "to JSON": {csv.ToJSON, "a\n1\n"}, "lines": {toNDJSON, `[1,`}, "from lines": {fromNDJSON, "1\n"},
	} {
		in := io.MultiReader(strings.NewReader(c.in), iotest.ErrReader(broken))
		if err := c.conv(io.Discard, in, rules()); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJSONComesBack draws lists of the domain that the manual states.
func TestJSONComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := rules(func(o *csv.Options) {
			o.Delimiter = rapid.SampledFrom([]string{",", ";", "\t", "|"}).Draw(t, "delimiter")
			o.Recognize = rapid.Bool().Draw(t, "recognize")
		})
		n := rapid.IntRange(1, 4).Draw(t, "columns")
		names := make([]string, n)
		for i := range names {
			names[i] = quote(t, fmt.Sprintf("%d%s", i, strings.NewReplacer(".", "", "\r", "").Replace(rapid.String().Draw(t, "name"))))
		}
		cell := func() string {
			if o.Recognize {
				return rapid.OneOf(
					rapid.SampledFrom([]string{"null", "true", "1.50", "-0", "1e400", "[1,\"x\"]"}),
					rapid.Custom(func(rt *rapid.T) string { return quote(t, "t"+text(rt)) }),
				).Draw(t, "cell")
			}
			return quote(t, rapid.Custom(text).Draw(t, "cell"))
		}
		var rows []string
		for range rapid.IntRange(1, 5).Draw(t, "rows") {
			var members, nested []string
			for _, name := range names {
				members = append(members, name+":"+cell())
				nested = append(nested, name+":"+cell())
			}
			rows = append(rows, `{`+strings.Join(members, ",")+`,"o":{`+strings.Join(nested, ",")+`}}`)
		}
		doc := "[" + strings.Join(rows, ",") + "]"
		want, err := jsontext.AppendFormat(nil, doc)
		if err != nil {
			t.Fatal(err)
		}
		there, err := run(csv.FromJSON, doc, o)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		got, err := run(csv.ToJSON, there, o)
		if err != nil || strings.TrimSpace(got) != string(want) {
			t.Fatalf("%v\n got %s\nwant %s\n via %q", err, got, want, there)
		}
	})
}

// text draws text without returns: in CSV, they are a part of a line's end.
func text(t *rapid.T) string { return strings.ReplaceAll(rapid.String().Draw(t, "text"), "\r", "") }

func quote(t *rapid.T, s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOptionsThatCannotBe(t *testing.T) {
	if err := rules().Validate(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, change := range map[string]func(*csv.Options){
		"no delimiter":  func(o *csv.Options) { o.Delimiter = "" },
		"long one":      func(o *csv.Options) { o.Delimiter = ",," },
		"a quote":       func(o *csv.Options) { o.Delimiter = `"` },
		"a line's end":  func(o *csv.Options) { o.Delimiter = "\n" },
		"sample":        func(o *csv.Options) { o.Sample = 0 },
		"columns twice": func(o *csv.Options) { o.Columns = []csv.Column{{Path: "a"}, {Path: "b", Name: "a"}} },
	} {
		if rules(change).Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{`[{"a":1,"b":{"c":"x"}}]`, "a,b.c\n1,\"x\"\n", "{\"a\":1}\n2\n", `[1,2]`, "\"", "\xEF\xBB\xBFa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, o := range []*csv.Options{rules(), rules(func(o *csv.Options) { o.Recognize, o.Nested, o.Delimiter, o.Formulas = true, false, ";", "escape" })} {
			for _, c := range []converter{csv.ToJSON, fromNDJSON} {
				if out, err := run(c, in, o); err == nil && !jsontext.Value(out).IsValid() {
					t.Errorf("%q became %q, which is not JSON", in, out)
				}
			}
			if out, err := run(csv.FromJSON, in, o); err == nil {
				if _, err := run(csv.ToJSON, out, o); err != nil && !strings.Contains(err.Error(), "twice") {
					t.Errorf("%q became %q, which is refused: %v", in, out, err)
				}
			}
			if out, err := run(toNDJSON, in, o); err == nil {
				if _, err := run(fromNDJSON, out, o); err != nil {
					t.Errorf("%q became %q, which is refused: %v", in, out, err)
				}
			}
		}
	})
}

func benchmark(b *testing.B, in string, c converter) {
	o := rules()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c(io.Discard, strings.NewReader(in), o); err != nil {
			b.Fatal(err)
		}
	}
}

func list() string {
	row := `{"id":17,"name":"A lamp","price":{"amount":19.90,"currency":"EUR"},"tag":"x, y"}`
	return "[" + strings.Repeat(row+",", 999) + row + "]"
}

func BenchmarkFromJSON(b *testing.B) { benchmark(b, list(), csv.FromJSON) }

func BenchmarkToNDJSON(b *testing.B) { benchmark(b, list(), toNDJSON) }

func BenchmarkFromNDJSON(b *testing.B) {
	benchmark(b, strings.Repeat(`{"id":17,"name":"A lamp","price":{"amount":19.90,"currency":"EUR"},"tag":"x, y"}`+"\n", 1000), fromNDJSON)
}

func BenchmarkToJSON(b *testing.B) {
	benchmark(b, "id,name,price.amount,price.currency,tag\n"+strings.Repeat("17,A lamp,19.90,EUR,\"x, y\"\n", 1000), csv.ToJSON)
}
