package soap

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/xml"
)

// RequestFromJSON reads a JSON document and writes it as the envelope of a request. It streams unless Headers is set.
func RequestFromJSON(dst io.Writer, src io.Reader, o *Options) error {
	return o.envelope(dst, src, o.Operation)
}

// ResponseFromJSON reads a JSON document and writes it as the envelope of a response. It streams unless Headers is set.
func ResponseFromJSON(dst io.Writer, src io.Reader, o *Options) error {
	return o.envelope(dst, src, o.response())
}

func (o *Options) envelope(dst io.Writer, src io.Reader, name string) error {
	var header jsontext.Value
	if o.Headers {
		var body jsontext.Value
		var err error
		if header, body, err = o.split(src); err != nil {
			return err
		}
		src = bytes.NewReader(body)
	}
	var begin bytes.Buffer
	if err := o.begin(&begin, header); err != nil {
		return err
	}
	if err := o.body(&after{dst, begin.Bytes()}, src, name); err != nil {
		return err
	}
	return o.end(dst)
}

// after writes what stands before with the first bytes, so that nothing is written when there come none.
type after struct {
	dst    io.Writer
	before []byte
}

// Write writes.
func (a *after) Write(p []byte) (int, error) {
	if a.before != nil {
		if _, err := a.dst.Write(a.before); err != nil {
			return 0, err
		}
		a.before = nil
	}
	return a.dst.Write(p)
}

// around are the namespaces that stand around all that is written.
func (o *Options) around() map[string]string { return map[string]string{envelopePrefix: o.space()} }

func (o *Options) begin(b *bytes.Buffer, header jsontext.Value) error {
	if o.Declaration {
		b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	}
	b.WriteString(`<soap:Envelope xmlns:soap="` + o.space() + `">`)
	if header.Kind() == '{' {
		rules := o.Options
		rules.Namespaces = "keep"
		if err := xml.WriteElement(b, bytes.NewReader(header), "soap:Header", nil, o.around(), &rules); err != nil {
			return err
		}
	}
	b.WriteString("<soap:Body>")
	return nil
}

func (o *Options) end(dst io.Writer) error {
	_, err := io.WriteString(dst, "</soap:Body></soap:Envelope>")
	return err
}

func (o *Options) body(dst io.Writer, src io.Reader, name string) error {
	if name == "" {
		return xml.WriteDocument(dst, src, o.around(), &o.Options)
	}
	var attrs []xml.Attr
	switch {
	case o.Prefix != "":
		name = o.Prefix + ":" + name
		attrs = []xml.Attr{{Name: "xmlns:" + o.Prefix, Value: o.Namespace}}
	case o.Namespace != "":
		attrs = []xml.Attr{{Name: "xmlns", Value: o.Namespace}}
	}
	return xml.WriteElement(dst, src, name, attrs, o.around(), &o.Options)
}

// split reads {"header": …, "body": …}.
func (o *Options) split(src io.Reader) (header, body jsontext.Value, err error) {
	in := convert.NewJSON(src, "JSON", o.Limits)
	t, err := in.Token()
	if err == io.EOF {
		return nil, nil, in.Fail(convert.Malformed, "the input is empty")
	}
	if err != nil {
		return nil, nil, err
	}
	if t.Kind() != '{' {
		return nil, nil, in.Fail(convert.Unsuitable, "the document must be an object with the members header and body")
	}
	for {
		if t, err = in.Token(); err != nil {
			return nil, nil, err
		}
		if t.Kind() == '}' {
			break
		}
		name := t.String()
		v, err := in.Value()
		if err != nil {
			return nil, nil, err
		}
		switch {
		case name == "header" && (v.Kind() == '{' || v.Kind() == 'n'):
			header = v.Clone()
		case name == "body":
			body = v.Clone()
		default:
			return nil, nil, in.Fail(convert.Unsuitable, "the document has the members header, an object, and body; not %q", name)
		}
	}
	if body == nil {
		return nil, nil, in.Fail(convert.Unsuitable, "the document has no member body")
	}
	return header, body, in.End()
}
