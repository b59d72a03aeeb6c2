package docs_test

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/convert/csv"
	"cardea.dev/cardea/internal/convert/form"
	"cardea.dev/cardea/internal/convert/xml"
	"cardea.dev/cardea/internal/convert/xml/soap"
)

type conversion func(io.Writer, io.Reader) error

// TestFormatsAreAsDescribed runs the examples of formats.md. A comment before two blocks says what they are: <!-- to xml {…} --> that
// the first becomes the second as JSON, <!-- from csv --> that JSON becomes the second, <!-- both form --> both ways, and <!-- refused xml -->
// that the second is the error. The options in braces also stand in the text.
func TestFormatsAreAsDescribed(t *testing.T) {
	text := read(t, "docs/manual/formats.md")
	blocks := fences(text)
	ran := 0
	for i, b := range blocks {
		words := strings.SplitN(b.mark, " ", 3)
		if len(words) < 2 {
			continue
		}
		ran++
		options := "{}"
		if len(words) == 3 {
			options = words[2]
			if !strings.Contains(text, "`"+options+"`") {
				t.Errorf("line %d: the text does not say %s", b.line, options)
			}
		}
		to, from := conversions(t, words[1], options)
		first, second := b.text, blocks[i+1].text
		switch words[0] {
		case "to":
			same(t, b.line, to, first, second)
		case "from":
			same(t, b.line, from, first, second)
		case "both":
			same(t, b.line, to, first, second)
			same(t, b.line, from, second, first)
		case "refused":
			if err := to(io.Discard, strings.NewReader(first)); err == nil || err.Error() != second {
				t.Errorf("line %d:\n got %v\nwant %s", b.line, err, second)
			}
		default:
			t.Errorf("line %d: %q says nothing", b.line, b.mark)
		}
	}
	if ran < 15 {
		t.Errorf("there are %d examples only", ran)
	}
}

func conversions(t *testing.T, format, options string) (to, from conversion) {
	t.Helper()
	switch format {
	case "xml":
		return both(decoded[xml.Options](t, options), xml.ToJSON, xml.FromJSON)
	case "soap-request":
		return both(decoded[soap.Options](t, options), soap.RequestToJSON, soap.RequestFromJSON)
	case "soap-response":
		return both(decoded[soap.Options](t, options), soap.ResponseToJSON, soap.ResponseFromJSON)
	case "form":
		return both(decoded[form.Options](t, options), form.ToJSON, form.FromJSON)
	case "csv":
		return both(decoded[csv.Options](t, options), csv.ToJSON, csv.FromJSON)
	case "ndjson":
		return both(&csv.Defaults().Limits, csv.FromNDJSON, csv.ToNDJSON)
	}
	t.Fatalf("there is no format %q", format)
	return nil, nil
}

func decoded[Options any](t *testing.T, text string) *Options {
	t.Helper()
	root, err := config.ParseTree("formats.md", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o := new(Options)
	if err := root.Decode(o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

func both[Options any](o *Options, to, from func(io.Writer, io.Reader, *Options) error) (conversion, conversion) {
	with := func(f func(io.Writer, io.Reader, *Options) error) conversion {
		return func(dst io.Writer, src io.Reader) error { return f(dst, src, o) }
	}
	return with(to), with(from)
}

func same(t *testing.T, line int, convert conversion, in, want string) {
	t.Helper()
	var out bytes.Buffer
	if err := convert(&out, strings.NewReader(in)); err != nil {
		t.Errorf("line %d: %v", line, err)
		return
	}
	if got, want := plain(out.String()), plain(want); got != want {
		t.Errorf("line %d:\n got %s\nwant %s", line, got, want)
	}
}

var between = regexp.MustCompile(`>\s+<`)

// plain is a document without what the examples have for the eye.
func plain(doc string) string {
	doc = strings.TrimSpace(strings.ReplaceAll(doc, "\r\n", "\n"))
	if b, err := jsontext.AppendFormat(nil, doc); err == nil {
		return string(b)
	}
	if strings.HasPrefix(doc, "<") {
		doc = strings.TrimPrefix(doc, `<?xml version="1.0" encoding="UTF-8"?>`)
		return strings.TrimSpace(between.ReplaceAllString(doc, "><"))
	}
	return doc
}
