package document_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/document"
)

// names are few, so that paths and documents meet.
var names = []string{"a", "b", "c", "a.b", "é", `"`, "", "\n"}

func number() *rapid.Generator[json.Number] {
	return rapid.Custom(func(t *rapid.T) json.Number {
		return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,10})?`).Draw(t, "number"))
	})
}

func value(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 5
		if depth > 0 {
			kinds = 9
		}
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2, 3:
			return number().Draw(t, "number")
		case 4, 5:
			return rapid.String().Draw(t, "text")
		case 6:
			return rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "list")
		}
		return rapid.MapOfN(rapid.SampledFrom(names), value(depth-1), 0, 4).Draw(t, "object")
	})
}

func path() *rapid.Generator[document.Path] {
	return rapid.Custom(func(t *rapid.T) document.Path {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) document.Step {
			if rapid.IntRange(0, 3).Draw(t, "list") == 0 {
				return document.Step{List: true, Index: rapid.IntRange(-1, 2).Draw(t, "index")}
			}
			return document.Step{Name: rapid.SampledFrom(names).Draw(t, "name")}
		}), 1, 3).Draw(t, "path")
	})
}

func TestReadAndAppendKeepEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(4).Draw(t, "value")
		b, err := document.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := document.Read(bytes.NewReader(b), document.Limits{})
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("got %v, %v; want %v", got, err, v)
		}
		again, _ := document.Append(nil, got)
		if !bytes.Equal(again, b) {
			t.Fatalf("got %s; want %s", again, b)
		}
		var std any
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		if err := dec.Decode(&std); err != nil || !reflect.DeepEqual(std, v) {
			t.Fatalf("encoding/json reads %v, %v; want %v", std, err, v)
		}
	})
}

func TestPathsAreReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := path().Draw(t, "path")
		got, err := document.ParsePath(p.String())
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("got %#v, %v; want %#v", got, err, p)
		}
	})
}

// TestEditsOfStreamsAndValues compares the editor with an oracle that works on values, in the plainest way.
func TestEditsOfStreamsAndValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value(4).Draw(t, "value")
		e := drawEdits(t)
		editor, err := document.Compile(e)
		if err != nil {
			t.Skip("not valid:", err)
		}
		b, _ := document.Append(nil, v)
		want, wantErr := oracle(e, v)
		var r io.Reader = bytes.NewReader(b)
		if rapid.Bool().Draw(t, "bytes") {
			r = iotest.OneByteReader(r)
		}
		out, err := io.ReadAll(editor.Reader(r, document.Limits{}, nil))
		if (err != nil) != wantErr {
			t.Fatalf("%+v of %s: got %s, %v; the oracle fails: %v", e, b, out, err, wantErr)
		}
		applied, applyErr := editor.Apply(v, nil)
		if (applyErr != nil) != wantErr {
			t.Fatalf("%+v of %s: Apply: got %v, %v; the oracle fails: %v", e, b, applied, applyErr, wantErr)
		}
		if wantErr {
			if !editor.MayFail() && len(e.Set) == 0 {
				t.Fatalf("%+v: MayFail is false, but: %v", e, err)
			}
			return
		}
		got, err := document.Read(bytes.NewReader(out), document.Limits{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v of %s: got %s, %v; want %v", e, b, out, err, want)
		}
		if !reflect.DeepEqual(applied, want) {
			t.Fatalf("%+v of %s: Apply: got %v; want %v", e, b, applied, want)
		}
	})
}

func drawEdits(t *rapid.T) *document.Edits {
	e := &document.Edits{}
	text := rapid.Map(path(), document.Path.String)
	texts := rapid.SliceOfN(text, 0, 3)
	for range rapid.IntRange(1, 3).Draw(t, "edits") {
		switch rapid.IntRange(0, 6).Draw(t, "edit") {
		case 0:
			e.Select = text.Draw(t, "select")
		case 1:
			e.Pick = texts.Draw(t, "pick")
		case 2:
			e.Drop = texts.Draw(t, "drop")
		case 3:
			e.Mask = rapid.MapOfN(text, rapid.Just(document.Mask{Last: 2}), 0, 2).Draw(t, "mask")
		case 4:
			e.Rename = rapid.MapOfN(text, rapid.SampledFrom([]string{"a", "z"}), 0, 2).Draw(t, "rename")
		case 5:
			e.Flatten = texts.Draw(t, "flatten")
		case 6:
			e.Set = rapid.MapOfN(text, value(1), 0, 2).Draw(t, "set")
		}
	}
	return e
}

// TestCheckAcceptsWhatJSONIs compares Check and Read with jsontext, on documents that are broken here and there.
func TestCheckAcceptsWhatJSONIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _ := document.Append(nil, value(4).Draw(t, "value"))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			i := rapid.IntRange(0, len(b)).Draw(t, "at")
			j := rapid.IntRange(i, min(i+3, len(b))).Draw(t, "to")
			piece := rapid.SampledFrom([]string{"", " ", ",", "]", "}", "{", "[", `"`, "0", "-", "\xff", "\x00", `\`, `\ud800`, "null", "\n"}).Draw(t, "piece")
			b = slices.Concat(b[:i], []byte(piece), b[j:])
		}
		sameVerdict(t, b)
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

// sameVerdict compares what all that reads documents makes of bytes.
func sameVerdict(t fataler, b []byte) {
	l := document.Limits{Depth: 10_000}
	want := jsontext.Value(b).IsValid()
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(b), "bytes": iotest.OneByteReader(bytes.NewReader(b)),
		"with the end": iotest.DataErrReader(bytes.NewReader(b)), "halves": iotest.HalfReader(bytes.NewReader(b)),
	} {
		got, err := io.ReadAll(document.Check(r, l))
		if (err == nil) != want {
			t.Fatalf("Check (%s) of %q: got %v; want valid: %v", name, b, err, want)
		}
		if e := (*document.Error)(nil); err != nil && !errors.As(err, &e) {
			t.Fatalf("Check (%s) of %q: %v is no *Error", name, b, err)
		}
		if err == nil && !bytes.Equal(got, b) || !bytes.HasPrefix(b, got) {
			t.Fatalf("Check (%s) passed %q; want %q", name, got, b)
		}
	}
	if _, err := document.Read(bytes.NewReader(b), l); (err == nil) != want {
		t.Fatalf("Read of %q: got %v; want valid: %v", b, err, want)
	}
	editor, _ := document.Compile(&document.Edits{})
	if _, err := io.ReadAll(editor.Reader(bytes.NewReader(b), l, nil)); (err == nil) != want {
		t.Fatalf("Reader of %q: got %v; want valid: %v", b, err, want)
	}
	if want && !json.Valid(b) {
		t.Fatalf("encoding/json does not take %q", b)
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) { sameVerdict(t, b) })
}

func FuzzEdits(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), "a", `a["b"][]`)
	}
	f.Add([]byte(`{"a":{"b":[1,{"c":2}]}}`), "a.b[0]", "a.b[].c")
	f.Fuzz(func(t *testing.T, b []byte, one, two string) {
		e := &document.Edits{Pick: []string{one, two}, Drop: []string{two}, Rename: map[string]string{one: "x"}, Set: map[string]any{two: "y"}}
		editor, err := document.Compile(e)
		if err != nil {
			return
		}
		out, err := io.ReadAll(editor.Reader(bytes.NewReader(b), document.Limits{}, nil))
		if err == nil && !jsontext.Value(out).IsValid() {
			t.Fatalf("%+v of %q gave %q", e, b, out)
		}
		if !jsontext.Value(b).IsValid() && err == nil {
			t.Fatalf("%q was taken", b)
		}
		editor.Alike()
		out, err = io.ReadAll(editor.Reader(bytes.NewReader(b), document.Limits{}, nil))
		if err == nil && !jsontext.Value(out).IsValid() {
			t.Fatalf("%+v of %q gave %q, with lists and others alike", e, b, out)
		}
	})
}

var seeds = []string{
	`{}`, `[]`, `null`, ` true `, `"a"`, `-0.0e-0`, `{"a":[1,{"b":null}],"c":"\ud83d\ude00"}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`,
	`"\ud800"`, `"\udc00\ud800"`, "\xef\xbb\xbf{}", "{}\x00", "{\x00}", "\xff\xfe{\x00}\x00", "[1,]", "[1 2]", "01", "1.", "+1", ".5", "1e", "NaN",
	"'a'", "{a:1}", "// c\n1", "[1]]", "1 2", "", " ", "\"\x7f\"", "\"\t\"", "\"\xc0\x80\"", "[" + strings.Repeat("9", 1000) + "]", "1e999999999",
	strings.Repeat("[", 600), strings.Repeat("[", 600) + strings.Repeat("]", 600), "tru", "nul", `"abc`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, "[1,",
}
