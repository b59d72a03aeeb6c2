package document_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"cardea.dev/cardea/internal/document"
)

// endless is a prefix, and then the same bytes again and again, up to 10 GB.
type endless struct {
	prefix, again string
	n             int64
	at            int // in again
}

func (e *endless) Read(p []byte) (int, error) {
	const most = 10 << 30
	if e.n > most {
		return 0, io.EOF
	}
	n := copy(p, e.prefix)
	e.prefix = e.prefix[n:]
	for n < len(p) {
		c := copy(p[n:], e.again[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.again)
	}
	e.n += int64(n)
	return n, nil
}

// readers are all the ways in which a document is read.
func readers(l document.Limits) map[string]func(io.Reader) error {
	editor, _ := document.Compile(&document.Edits{Pick: []string{"a"}, Rename: map[string]string{"a": "b"}})
	return map[string]func(io.Reader) error{
		"Read":   func(r io.Reader) error { _, err := document.Read(r, l); return err },
		"Check":  func(r io.Reader) error { _, err := io.Copy(io.Discard, document.Check(r, l)); return err },
		"Reader": func(r io.Reader) error { _, err := io.Copy(io.Discard, editor.Reader(r, l, nil)); return err },
	}
}

func TestHostileDocuments(t *testing.T) {
	tests := []struct {
		name     string
		document func() io.Reader
		kind     document.Kind
		want     string
	}{
		{"10 GB of [", func() io.Reader { return &endless{again: "["} }, document.TooDeep, "deeper than 512"},
		{"10 GB of objects", func() io.Reader { return &endless{again: `{"a":`} }, document.TooDeep, "deeper than 512"},
		{"an endless text", func() io.Reader { return &endless{prefix: `"`, again: "x"} }, document.TooLarge, "longer than 1048576 bytes"},
		{"an endless text in escapes", func() io.Reader { return &endless{prefix: `"`, again: `\u0041`} }, document.TooLarge, "longer than"},
		{"an endless name", func() io.Reader { return &endless{prefix: `{"`, again: "x"} }, document.TooLarge, "longer than"},
		{"an endless number", func() io.Reader { return &endless{prefix: "1", again: "0"} }, document.TooLarge, "longer than"},
		{"an endless list", func() io.Reader { return &endless{prefix: `[1`, again: ",1"} }, document.TooLarge, "longer than"},
		{"endless white space", func() io.Reader { return &endless{again: " "} }, document.TooLarge, "longer than"},
		{"endless white space behind", func() io.Reader { return &endless{prefix: "1", again: "\n"} }, document.TooLarge, "longer than"},
		{"depth 100,000", func() io.Reader {
			return strings.NewReader(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))
		}, document.TooDeep, "deeper than 512"},
		{"a name twice", func() io.Reader { return strings.NewReader(`{"x":{"a":1,"b":2,"a":3}}`) }, document.Invalid, "twice in one object, in /x/a, at byte 18"},
		{"a name twice in escapes", func() io.Reader { return strings.NewReader(`{"a":1,"\u0061":3}`) }, document.Invalid, "twice"},
		{"a lone surrogate", func() io.Reader { return strings.NewReader(`["\ud800"]`) }, document.Invalid, "surrogate"},
		{"invalid UTF-8", func() io.Reader { return strings.NewReader("[\"\xff\"]") }, document.Invalid, "UTF-8"},
		{"an overlong NUL", func() io.Reader { return strings.NewReader("\"\xc0\x80\"") }, document.Invalid, "UTF-8"},
		{"a BOM", func() io.Reader { return strings.NewReader("\xef\xbb\xbf{}") }, document.Invalid, "byte order mark"},
		{"UTF-16", func() io.Reader { return strings.NewReader("\xff\xfe{\x00}\x00") }, document.Invalid, "at byte 0"},
		{"UTF-16 without a BOM", func() io.Reader { return strings.NewReader("{\x00}\x00") }, document.Invalid, "at byte 1"},
		{"NUL behind", func() io.Reader { return strings.NewReader("{}\x00") }, document.Invalid, "follows the end"},
		{"two documents", func() io.Reader { return strings.NewReader("{}{}") }, document.Invalid, "follows the end of the document, at byte 2"},
		{"HTML", func() io.Reader { return strings.NewReader("<!doctype html><p>no") }, document.Invalid, "at byte 0"},
		{"nothing", func() io.Reader { return strings.NewReader("") }, document.Truncated, "empty"},
		{"white space", func() io.Reader { return strings.NewReader(" \n") }, document.Truncated, "empty"},
		{"truncated", func() io.Reader { return strings.NewReader(`{"a":[1,"b`) }, document.Truncated, "too early, in /a/1, at byte 10"},
		{"truncated after a value", func() io.Reader { return strings.NewReader(`{"a":[1`) }, document.Truncated, "too early"},
		{"a pointer of long names", func() io.Reader {
			return strings.NewReader(strings.Repeat(`{"`+strings.Repeat("s", 1000)+`":`, 50) + "x")
		}, document.Invalid, "…"},
	}
	for _, tt := range tests {
		for name, read := range readers(document.Limits{Size: 1 << 20}) {
			t.Run(tt.name+" by "+name, func(t *testing.T) {
				err := read(tt.document())
				e := (*document.Error)(nil)
				if !errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v; want %q", err, tt.want)
				}
				if err != nil && len(err.Error()) > 800 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			})
		}
	}
}

// TestHostileButValid has what looks odd, and is a document.
func TestHostileButValid(t *testing.T) {
	digits := strings.Repeat("1234567890", 10_000)
	for _, s := range []string{
		"1e999999999", "-1E-999999999", digits, "0." + digits, `"\u0000\ud83d\ude00"`, "\"\xed\x9f\xbf\u2028\"", `{"":{"":{}}}`, " \t\r\n1 \t\r\n",
		strings.Repeat("[", 512) + strings.Repeat("]", 512), `{"a":1,"A":1,"á":1}`, `"\/"`,
	} {
		for name, read := range readers(document.Limits{}) {
			if err := read(strings.NewReader(s)); err != nil {
				t.Errorf("%s of %.40s: %v", name, s, err)
			}
		}
	}
	v, err := document.Read(strings.NewReader(digits+"e5"), document.Limits{})
	if err != nil || v != json.Number(digits+"e5") {
		t.Errorf("digits were lost: %v", err)
	}
}

// TestMemoryIsBounded reads a document of 8 MiB, whose tokens are small, and looks at what is allocated.
func TestMemoryIsBounded(t *testing.T) {
	const size = 8 << 20
	for name, read := range readers(document.Limits{Size: 2 * size}) {
		if name == "Read" {
			continue
		}
		doc := io.MultiReader(strings.NewReader("[0"), io.LimitReader(&endless{again: `,{"a":[1]}`}, size/10*10), strings.NewReader("]"))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := read(doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
			t.Errorf("%s allocated %d KiB", name, got>>10)
		}
	}
}

func TestErrorsOfTheSourceComeAsTheyAre(t *testing.T) {
	gone := errors.New("gone")
	for name, read := range readers(document.Limits{}) {
		if err := read(io.MultiReader(strings.NewReader(`{"a":[1,`), iotest.ErrReader(gone))); !errors.Is(err, gone) {
			t.Errorf("%s: got %v", name, err)
		}
		if err := read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(`{"a":1}`)))); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCheckPassesBytesAtOnce(t *testing.T) {
	src, w := io.Pipe()
	defer src.Close()
	r := document.Check(src, document.Limits{})
	p := make([]byte, 100)
	for _, piece := range []string{`{"a`, `":"b`, `c"`, `}`} {
		go func() { _, _ = io.WriteString(w, piece) }()
		n, err := r.Read(p)
		if string(p[:n]) != piece || err != nil {
			t.Fatalf("got %q, %v; want %q", p[:n], err, piece)
		}
	}
	go w.Close()
	if n, err := r.Read(p); n != 0 || err != io.EOF {
		t.Errorf("got %d, %v at the end", n, err)
	}
}

// TestSmallPieces would take minutes if what has come were read again with each byte.
func TestSmallPieces(t *testing.T) {
	size := 1 << 20
	if raceEnabled {
		size = 1 << 13 // there jsontext writes over its whole buffer with each read
	}
	long, space := strings.Repeat("x", size), strings.Repeat(" ", size)
	for _, doc := range []string{`["` + long + `"]`, `{"` + long + `":1}`, space + "1" + space, "[" + space + "," + space + "]", "1" + strings.Repeat("0", size)} {
		want := json.Valid([]byte(doc))
		for name, read := range readers(document.Limits{}) {
			if err := read(iotest.OneByteReader(strings.NewReader(doc))); (err == nil) != want {
				t.Errorf("%s of %.5s…: %v", name, doc, err)
			}
		}
	}
}

// TestSizeIsExact makes sure that the size is exact.
func TestSizeIsExact(t *testing.T) {
	doc := `{"a":"bcd"}`
	for size, ok := range map[int64]bool{int64(len(doc)): true, int64(len(doc)) - 1: false} {
		for name, read := range readers(document.Limits{Size: size}) {
			if err := read(strings.NewReader(doc)); (err == nil) != ok {
				t.Errorf("%s within %d bytes: %v", name, size, err)
			}
		}
	}
}

func TestAppendRefusesWhatIsNotJSON(t *testing.T) {
	type own struct{}
	deep := any(nil)
	for range 20_000 {
		deep = []any{deep}
	}
	for _, v := range []any{
		json.Number(""), json.Number("x"), json.Number("01"), json.Number("1 "), json.Number("1,2"), json.Number("null"), json.Number(`"`), "\xff",
		map[string]any{"\xff": 1},
		own{},
		[]string{"a"},
		map[string]any{"a": own{}},
		deep,
	} {
		got, err := document.Append([]byte("x"), v)
		if err == nil {
			t.Errorf("%T gave %.100s", v, got)
		}
	}
	got, err := document.Append([]byte("x"), []any{1, int64(-2), uint64(1 << 63), 1.5, 1e21, map[string]any{"b": nil, "a": true}})
	if err != nil || string(got) != `x[1,-2,9223372036854775808,1.5,1e+21,{"a":true,"b":null}]` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestPaths(t *testing.T) {
	v, _ := document.Read(strings.NewReader(`{"profile":{"items":[{"name":"a","tags":[1,2]},{"tags":[3]}]},"odd name":{"":1}}`), document.Limits{})
	for s, want := range map[string]string{
		`profile.items[0].name`: `"a"`, `profile.items[].name`: `["a"]`, `profile.items[].tags`: `[[1,2],[3]]`, `profile.items[].tags[]`: `[1,2,3]`,
		`["odd name"][""]`: `1`, `profile.items[5]`: ``, `profile.name`: ``, `profile[]`: ``, `profile.items.name`: ``, `["profile"].items[1].tags[0]`: `3`,
	} {
		p, err := document.ParsePath(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		got, ok := p.Get(v)
		b, _ := document.Append(nil, got)
		if ok != (want != "") || ok && string(b) != want {
			t.Errorf("%s: got %s, %v; want %q", s, b, ok, want)
		}
	}
	for s, want := range map[string]string{
		"": "empty", ".": "expected a name", "a.": "expected", "a..b": "expected a name", ".a": "expected a name", "a b": `expected "." or "["`, "a[": `expected "]"`,
		"a[-1]": "index from 0", "a[x]": "index from 0", `a["x]`: "does not end", `a["x"`: `expected "]"`, `a["\q"]`: "", "a[0]b": `expected "."`, "a[99999999999]": "index",
		"a.[0]": "expected a name", "a*": "expected",
	} {
		if _, err := document.ParsePath(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v; want %q", s, err, want)
		}
	}
}

func TestEditsAreValidated(t *testing.T) {
	tests := []struct {
		edits document.Edits
		want  string
	}{
		{document.Edits{Select: "a."}, "not a path"},
		{document.Edits{Pick: []string{"a", "b["}}, "not a path"},
		{document.Edits{Flatten: []string{"a[]"}}, "name of a field"},
		{document.Edits{Rename: map[string]string{"a[0]": "b"}}, "only fields have names"},
		{document.Edits{Rename: map[string]string{"a": ""}}, "missing"},
		{document.Edits{Rename: map[string]string{"a": "c", "b": "c"}}, "two fields"},
		{document.Edits{Rename: map[string]string{"a": "b", `["a"]`: "c"}}, "renamed twice"},
		{document.Edits{Set: map[string]any{"a": 1, "a.b": 1}}, "set as a whole"},
		{document.Edits{Set: map[string]any{"a.b": 1, "a[0]": 1}}, "both an object and a list"},
		{document.Edits{Set: map[string]any{"a": 1, `["a"]`: 1}}, "set twice"},
		{document.Edits{Set: map[string]any{"a[].b": 1, "a[0].b.c": 1}}, "set as a whole"},
		{document.Edits{Set: map[string]any{"a[].b": 1, "a[0][0]": 1}}, "both an object and a list"},
		{document.Edits{Rename: map[string]string{"a[].b": "x", "a[0].c": "x"}}, "two fields"},
		{document.Edits{Mask: map[string]document.Mask{"": {}}}, "empty"},
	}
	for _, tt := range tests {
		if err := tt.edits.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: got %v; want %q", tt.edits, err, tt.want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	doc := orders(1 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.Copy(io.Discard, document.Check(bytes.NewReader(doc), document.Limits{})); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	doc := orders(1 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := document.Read(bytes.NewReader(doc), document.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	for name, e := range map[string]*document.Edits{
		"pick": {Pick: []string{"[].id", "[].user.name"}},
		"drop": {Drop: []string{"[].user.card", "[].tags"}},
		"all":  {Pick: []string{"[].id", "[].user"}, Mask: map[string]document.Mask{"[].user.card": {Last: 4}}, Rename: map[string]string{"[].id": "key"}, Set: map[string]any{"[].x": 1}},
	} {
		for _, size := range []int{1 << 10, 1 << 20} {
			b.Run(name+"/"+map[int]string{1 << 10: "1KiB", 1 << 20: "1MiB"}[size], func(b *testing.B) {
				editor, err := document.Compile(e)
				if err != nil {
					b.Fatal(err)
				}
				doc := orders(size)
				b.SetBytes(int64(len(doc)))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := io.Copy(io.Discard, editor.Reader(bytes.NewReader(doc), document.Limits{}, nil)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// orders is a document of about a size.
func orders(size int) []byte {
	const order = `{"id":123456,"user":{"name":"Ann Miller","card":"4111111111111111","active":true},"tags":["a","b"],"price":12.50,"note":null}`
	n := max(1, size/len(order))
	return []byte("[" + strings.Repeat(order+",", n-1) + order + "]")
}
