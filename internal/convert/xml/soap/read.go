package soap

import (
	"bytes"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/xml"
)

// RequestToJSON reads the envelope of a request and writes what its body has as JSON. An envelope that the client must send otherwise is a
// *Fault that it is to get.
func RequestToJSON(dst io.Writer, src io.Reader, o *Options) error {
	e, err := o.read(src)
	if err != nil {
		return err
	}
	if e.space != o.space() {
		return &Fault{Version: o.Version, Code: VersionMismatch, Reason: "the envelope is not of SOAP " + o.Version, Status: 400}
	}
	if name := e.notUnderstood(o); name != "" {
		return &Fault{Version: o.Version, Code: MustUnderstand, Reason: "the header " + name + " is not understood", Status: 400}
	}
	return e.write(dst, o.Operation, o)
}

// ResponseToJSON reads the envelope of a response and writes what its body has as JSON. A fault in it is a *Fault.
func ResponseToJSON(dst io.Writer, src io.Reader, o *Options) error {
	e, err := o.read(src)
	if err != nil {
		return err
	}
	if e.space != o.space() {
		return fail(convert.Unsuitable, "the envelope is not of SOAP "+o.Version)
	}
	if fault := e.body.Child(e.space, "Fault"); fault != nil {
		return o.fault(fault, e.space)
	}
	if name := e.notUnderstood(o); name != "" {
		return fail(convert.Unsuitable, "the header "+name+" must be understood, and is not")
	}
	return e.write(dst, o.response(), o)
}

// envelope is one as it was read.
type envelope struct {
	space        string
	root         *xml.Node
	header, body *xml.Node
}

func (o *Options) read(src io.Reader) (*envelope, error) {
	root, err := xml.Parse(src, &o.Options)
	if err != nil {
		return nil, err
	}
	if root.Local != "Envelope" || root.Space != space11 && root.Space != space12 {
		return nil, fail(convert.Malformed, "the document is no envelope of SOAP 1.1 or 1.2 but "+root.Name)
	}
	e := &envelope{space: root.Space, root: root}
	for _, c := range root.Children {
		switch {
		case c.Space == e.space && c.Local == "Header" && e.header == nil && e.body == nil:
			e.header = c
		case c.Space == e.space && c.Local == "Body" && e.body == nil:
			e.body = c
		default:
			return nil, fail(convert.Malformed, "the envelope has "+c.Name+" where only one Header and then one Body may stand")
		}
	}
	switch {
	case e.body == nil:
		return nil, fail(convert.Malformed, "the envelope has no Body")
	case hasAttachment(root):
		return nil, fail(convert.Refused, "attachments (xop:Include) are not accepted")
	}
	return e, nil
}

// hasAttachment looks for xop:Include (XOP, section 2.1).
func hasAttachment(n *xml.Node) bool {
	return n.Local == "Include" && n.Space == "http://www.w3.org/2004/08/xop/include" || slices.ContainsFunc(n.Children, hasAttachment)
}

// notUnderstood is the name of a header that is for the gateway, must be understood and is not (SOAP 1.1, section 4.2.3; SOAP 1.2 part 1,
// sections 2.4 and 5.2).
func (e *envelope) notUnderstood(o *Options) string {
	if e.header == nil {
		return ""
	}
	for _, h := range e.header.Children {
		must, _ := h.Attr(e.space, "mustUnderstand")
		if must = strings.TrimSpace(must); must != "1" && must != "true" || slices.Contains(o.Understood, h.Local) {
			continue
		}
		actor, _ := h.Attr(e.space, "actor")
		if e.space == space12 {
			actor, _ = h.Attr(e.space, "role")
		}
		if actor == "" || strings.HasSuffix(actor, "/next") || strings.HasSuffix(actor, "/role/ultimateReceiver") {
			return h.Name
		}
	}
	return ""
}

// write writes the body's element as JSON, or what stands in it when its name is given.
func (e *envelope) write(dst io.Writer, name string, o *Options) error {
	var out bytes.Buffer
	if err := e.writeBody(&out, name, o); err != nil {
		return err
	}
	if !o.Headers {
		_, err := dst.Write(out.Bytes())
		return err
	}
	header := bytes.NewBufferString("{}")
	if e.header != nil && len(e.header.Children) > 0 {
		header.Reset()
		block := &xml.Node{Name: "header", Local: "header", Children: e.header.Children, Attrs: e.inherited(o, e.header)}
		if err := block.WriteJSON(header, &o.Options); err != nil {
			return err
		}
	}
	enc := jsontext.NewEncoder(dst)
	for _, err := range []error{
		enc.WriteToken(jsontext.BeginObject), enc.WriteToken(jsontext.String("header")), enc.WriteValue(header.Bytes()),
		enc.WriteToken(jsontext.String("body")), enc.WriteValue(out.Bytes()), enc.WriteToken(jsontext.EndObject),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *envelope) writeBody(out *bytes.Buffer, name string, o *Options) error {
	if len(e.body.Children) > 1 {
		return fail(convert.Unsuitable, "the Body has several elements, and one can be an operation")
	}
	if len(e.body.Children) == 0 {
		if e.body.Text != "" && strings.TrimSpace(e.body.Text) != "" {
			return fail(convert.Malformed, "the Body has text")
		}
		out.WriteString("null\n")
		return nil
	}
	n := e.body.Children[0]
	switch {
	case name == "":
		return (&xml.Node{Name: "body", Children: []*xml.Node{e.withInherited(n, o)}}).WriteJSON(out, &o.Options)
	case n.Local != name || o.Namespace != "" && n.Space != o.Namespace:
		return fail(convert.Unsuitable, "the Body has {"+n.Space+"}"+n.Local+", and should have {"+o.Namespace+"}"+name)
	}
	content := e.withInherited(n, o)
	if o.Namespaces == "keep" {
		content.Attrs = slices.DeleteFunc(content.Attrs, func(a xml.NodeAttr) bool { return o.declaresOperation(a) })
	}
	return content.WriteJSON(out, &o.Options)
}

// declaresOperation says whether a declaration is the one that the operation is written with.
func (o *Options) declaresOperation(a xml.NodeAttr) bool {
	name := "xmlns"
	if o.Prefix != "" {
		name = "xmlns:" + o.Prefix
	}
	return a.Name == name && a.Value == o.Namespace
}

// withInherited is an element that declares itself what is declared around it, so that it can stand alone.
func (e *envelope) withInherited(n *xml.Node, o *Options) *xml.Node {
	alone := *n
	alone.Attrs = append(e.inherited(o, e.body, n), n.Attrs...)
	return &alone
}

func (e *envelope) inherited(o *Options, inner ...*xml.Node) []xml.NodeAttr {
	if o.Namespaces != "keep" {
		return nil
	}
	var all []xml.NodeAttr
	own := map[string]bool{}
	if len(inner) > 1 {
		for _, a := range inner[1].Attrs {
			own[a.Name] = true
		}
	}
	for _, n := range []*xml.Node{inner[0], e.root} {
		for _, a := range n.Attrs {
			if a.IsDeclaration() && a.Value != e.space && !own[a.Name] {
				own[a.Name] = true
				all = append(all, a)
			}
		}
	}
	return all
}
