package xml

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"cardea.dev/cardea/internal/convert"
)

// Parse reads a document into its root element.
func Parse(src io.Reader, o *Options) (*Node, error) {
	in := convert.NewReader(src, "XML", o.Limits)
	decoded, err := decoded(bufio.NewReader(in), o.Charset)
	if err != nil {
		if own := in.Err(); own != nil {
			return nil, own
		}
		return nil, err
	}
	p := &parser{in: in, o: o, dec: xml.NewDecoder(decoded), scope: newScope(), left: int64(o.Buffer)}
	p.dec.Strict = true
	p.dec.CharsetReader = decoded.declared
	for {
		t, err := p.dec.RawToken()
		if err == io.EOF && in.Err() == nil {
			break
		}
		if err != nil {
			return nil, p.wrap(err)
		}
		in.MarkAll()
		if err := p.token(t); err != nil {
			return nil, err
		}
		p.begun = true
	}
	switch {
	case len(p.open) > 0:
		return nil, p.fail(convert.Malformed, "the input ends before the element does")
	case p.root == nil:
		return nil, p.fail(convert.Malformed, "there is no element")
	}
	return p.root, nil
}

type parser struct {
	in    *convert.Reader
	dec   *xml.Decoder
	o     *Options
	scope scope
	open  []*building
	root  *Node
	begun bool
	left  int64 // bytes that the tree may still grow by
}

// building is an element whose end was not read.
type building struct {
	*Node
	text     strings.Builder
	declared []string
}

func (p *parser) token(t xml.Token) error {
	switch t := t.(type) {
	case xml.StartElement:
		return p.start(t)
	case xml.EndElement:
		return p.end(t)
	case xml.CharData:
		return p.chars(t)
	case xml.Directive:
		return p.fail(convert.Refused, "DTDs and declarations (<!…>) are not accepted")
	case xml.ProcInst:
		if t.Target == "xml" && p.begun || t.Target != "xml" && strings.EqualFold(t.Target, "xml") {
			return p.fail(convert.Malformed, "an XML declaration may only stand first")
		}
	}
	return nil
}

// nodeCost is what an element, an attribute takes in memory beside its text.
const nodeCost = 160

func (p *parser) start(t xml.StartElement) error {
	if p.root != nil && len(p.open) == 0 {
		return p.fail(convert.Malformed, "there is a second root element, %s", rawName(t.Name))
	}
	if len(p.open) >= p.o.Depth {
		return p.fail(convert.TooLarge, "elements stand in each other more than %d deep", p.o.Depth)
	}
	b := &building{Node: &Node{Name: rawName(t.Name), Local: t.Name.Local}}
	cost := nodeCost + len(b.Name)
	for _, a := range t.Attr {
		cost += nodeCost/2 + len(a.Name.Space) + len(a.Name.Local) + len(a.Value)
	}
	if err := p.take(cost); err != nil {
		return err
	}
	if err := p.checkMixed(); err != nil {
		return err
	}
	p.open = append(p.open, b)
	if p.root == nil {
		p.root = b.Node
	}
	if err := p.attributes(b, t.Attr); err != nil {
		return err
	}
	return p.resolve(b, t.Name)
}

func (p *parser) attributes(b *building, attrs []xml.Attr) error {
	b.Attrs = make([]NodeAttr, 0, len(attrs))
	seen := make(map[string]bool, len(attrs))
	names := make([]string, 0, len(attrs))
	for _, a := range attrs {
		name := rawName(a.Name)
		if seen[name] {
			return p.fail(convert.Malformed, "the attribute %s stands twice", name)
		}
		seen[name] = true
		names = append(names, name)
		n := NodeAttr{Name: name, Local: a.Name.Local, Value: a.Value}
		if name == "xmlns" || a.Name.Space == "xmlns" {
			prefix := strings.TrimPrefix(strings.TrimPrefix(name, "xmlns"), ":")
			if !mayDeclare(prefix, a.Value) {
				return p.fail(convert.Malformed, "%s=%q is no namespace declaration that XML allows", name, a.Value)
			}
			n.Space = xmlnsSpace
			p.scope.declare(prefix, a.Value)
			b.declared = append(b.declared, prefix)
		}
		if !validName(a.Name) {
			return p.fail(convert.Malformed, "%q cannot be the name of an attribute", name)
		}
		b.Attrs = append(b.Attrs, n)
	}
	if bad := p.scope.checkAttributes(names); bad != "" {
		return p.fail(convert.Malformed, "%s", bad)
	}
	return nil
}

// resolve finds the namespaces of an element and its attributes, now that all that it declares are known.
func (p *parser) resolve(b *building, name xml.Name) error {
	if !validName(name) || name.Space == "xmlns" {
		return p.fail(convert.Malformed, "%q cannot be the name of an element", b.Name)
	}
	if name.Space != "" && !p.scope.knows(name.Space) {
		return p.fail(convert.Malformed, "the prefix %s is not declared", name.Space)
	}
	b.Space = p.scope.uri(name.Space)
	for i := range b.Attrs {
		a := &b.Attrs[i]
		if prefix, _, found := strings.Cut(a.Name, ":"); found && a.Space == "" {
			a.Space = p.scope.uri(prefix)
		}
	}
	return nil
}

func (p *parser) end(t xml.EndElement) error {
	if len(p.open) == 0 {
		return p.fail(convert.Malformed, "</%s> ends an element that was not begun", rawName(t.Name))
	}
	b := p.open[len(p.open)-1]
	if name := rawName(t.Name); name != b.Name {
		return p.fail(convert.Malformed, "</%s> stands where </%s> should", name, b.Name)
	}
	b.Text = b.text.String()
	if len(b.Children) > 0 && (p.o.Mixed == "drop" || isBlank(b.Text)) {
		b.Text = ""
	}
	for _, prefix := range b.declared {
		p.scope.forget(prefix)
	}
	p.open = p.open[:len(p.open)-1]
	if len(p.open) > 0 {
		parent := p.open[len(p.open)-1]
		parent.Children = append(parent.Children, b.Node)
	}
	return nil
}

func (p *parser) chars(t xml.CharData) error {
	if len(p.open) == 0 {
		if !isBlank(string(t)) {
			return p.fail(convert.Malformed, "there is text outside of the root element")
		}
		return nil
	}
	b := p.open[len(p.open)-1]
	if len(b.Children) > 0 && isBlank(string(t)) {
		return nil
	}
	if len(b.Children) > 0 && p.o.Mixed == "refuse" {
		return p.mixed(b.Name)
	}
	b.text.Write(t)
	return p.take(len(t))
}

// checkMixed looks at the text that stands before a child.
func (p *parser) checkMixed() error {
	if len(p.open) == 0 {
		return nil
	}
	b := p.open[len(p.open)-1]
	switch blank := isBlank(b.text.String()); {
	case blank:
		b.text.Reset()
	case p.o.Mixed == "refuse":
		return p.mixed(b.Name)
	}
	return nil
}

func (p *parser) mixed(name string) error {
	return p.fail(convert.Unsuitable, "%s has text beside elements, and mixed does not allow that", name)
}

func (p *parser) take(n int) error {
	p.left -= int64(n)
	if p.left < 0 {
		return p.fail(convert.TooLarge, "the document takes more than the %d bytes of buffer in memory", int64(p.o.Buffer))
	}
	return nil
}

func (p *parser) fail(kind convert.Kind, format string, args ...any) error {
	line, _ := p.dec.InputPos()
	return &convert.Error{
		Format: "XML", Kind: kind, Line: line, Offset: p.dec.InputOffset(), Path: p.path(), Reason: fmt.Sprintf(format, args...),
	}
}

func (p *parser) path() string {
	var b strings.Builder
	for _, n := range p.open {
		b.WriteString("/" + n.Name)
	}
	return b.String()
}

func (p *parser) wrap(err error) error {
	if own := p.in.Err(); own != nil {
		return own
	}
	if e, ok := convert.AsError(err); ok {
		return e
	}
	kind, reason := convert.Malformed, err.Error()
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		reason = syntax.Msg
		if strings.Contains(reason, "entity") && !strings.Contains(reason, "&#") {
			kind, reason = convert.Refused, "only the entities amp, lt, gt, apos and quot are known: "+reason
		}
	}
	return p.fail(kind, "%s", reason)
}

func rawName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// validName says whether the decoder took a name apart as Namespaces in XML does.
func validName(n xml.Name) bool { return n.Local != "" && !strings.Contains(n.Local, ":") }

func isBlank(s string) bool { return strings.Trim(s, " \t\r\n") == "" }
