package xml

import (
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"cardea.dev/cardea/internal/convert"
)

// ToJSON reads an XML document and writes it as JSON. It holds the document in memory, and writes only when the whole of it was read.
func ToJSON(dst io.Writer, src io.Reader, o *Options) error {
	root, err := Parse(src, o)
	if err != nil {
		return err
	}
	w := &writer{Encoder: jsontext.NewEncoder(dst), o: o}
	if o.Root == "" {
		return w.members(nil, []*Node{root}, "", true)
	}
	if w.key(root) != o.Root {
		return unsuitable("/"+root.Name, "the root element is "+root.Name+", and should be "+o.Root)
	}
	if o.Item != "" && len(root.Attrs) == 0 && root.Text == "" && w.onlyItems(root) {
		return w.list(root.Children, "/"+o.Root)
	}
	return w.node(root, "/"+o.Root)
}

// WriteJSON writes the JSON value that an element is, without its name.
func (n *Node) WriteJSON(dst io.Writer, o *Options) error {
	w := &writer{Encoder: jsontext.NewEncoder(dst), o: o}
	return w.node(n, "/"+w.key(n))
}

// Key is the name that an element has as a member.
func (n *Node) Key(o *Options) string { return (&writer{o: o}).key(n) }

type writer struct {
	*jsontext.Encoder
	o *Options
}

func unsuitable(path, reason string) error {
	return &convert.Error{Format: "XML", Kind: convert.Unsuitable, Offset: -1, Path: path, Reason: reason}
}

func (w *writer) onlyItems(n *Node) bool {
	for _, c := range n.Children {
		if w.key(c) != w.o.Item {
			return false
		}
	}
	return true
}

// key is the name that an element has as a member. Names that would be an attribute or text stay escaped.
func (w *writer) key(n *Node) string {
	name := n.Name
	if w.o.Namespaces == "strip" {
		name = n.Local
	}
	return w.unescape(name)
}

func (w *writer) unescape(name string) string {
	key := unescapeName(name)
	if key == w.o.Text || strings.HasPrefix(key, w.o.Attributes) {
		return name
	}
	return key
}

// node writes the value of an element.
func (w *writer) node(n *Node, path string) error {
	attrs := w.attributes(n)
	switch {
	case w.isNil(n, attrs):
		return w.WriteToken(jsontext.Null)
	case len(attrs) == 0 && len(n.Children) == 0:
		return w.text(n.Text)
	}
	return w.members(n, n.Children, path, false)
}

// members writes an element's attributes, elements and text as an object.
func (w *writer) members(n *Node, children []*Node, path string, document bool) error {
	if err := w.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	if n != nil {
		if err := w.writeAttributes(n, path); err != nil {
			return err
		}
	}
	for _, g := range w.groups(children) {
		if err := w.WriteToken(jsontext.String(g.key)); err != nil {
			return err
		}
		below := path + "/" + g.key
		var err error
		if len(g.nodes) > 1 || !document && w.o.isList(below, g.key) {
			err = w.list(g.nodes, below)
		} else {
			err = w.node(g.nodes[0], below)
		}
		if err != nil {
			return err
		}
	}
	if n != nil && n.Text != "" {
		if err := w.WriteToken(jsontext.String(w.o.Text)); err != nil {
			return err
		}
		if err := w.text(n.Text); err != nil {
			return err
		}
	}
	return w.WriteToken(jsontext.EndObject)
}

func (w *writer) writeAttributes(n *Node, path string) error {
	seen := map[string]bool{}
	for _, a := range w.attributes(n) {
		key := w.attributeKey(a)
		if seen[key] {
			return unsuitable(path, "two attributes are both "+key+" without their prefixes and escapes")
		}
		seen[key] = true
		if err := w.WriteToken(jsontext.String(key)); err != nil {
			return err
		}
		if err := w.text(a.Value); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) attributeKey(a NodeAttr) string {
	if w.o.Namespaces == "strip" {
		return w.o.Attributes + unescapeName(a.Local)
	}
	return w.o.Attributes + unescapeName(a.Name)
}

// attributes are those that become members.
func (w *writer) attributes(n *Node) []NodeAttr {
	if w.o.Namespaces != "strip" {
		return n.Attrs
	}
	var kept []NodeAttr
	for _, a := range n.Attrs {
		if a.Space != xmlnsSpace {
			kept = append(kept, a)
		}
	}
	return kept
}

// isNil says whether an element is null: xsi:nil is all that it has.
func (w *writer) isNil(n *Node, attrs []NodeAttr) bool {
	if w.o.Null != "nil" || len(n.Children) > 0 || n.Text != "" {
		return false
	}
	found := false
	for _, a := range attrs {
		switch {
		case a.Space == xsi && a.Local == "nil" && (a.Value == "true" || a.Value == "1"):
			found = true
		case a.Space != xmlnsSpace || a.Value != xsi:
			return false
		}
	}
	return found
}

func (w *writer) list(nodes []*Node, path string) error {
	if err := w.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := w.node(n, path); err != nil {
			return err
		}
	}
	return w.WriteToken(jsontext.EndArray)
}

func (w *writer) text(s string) error {
	if w.o.Recognize && isPlainValue(s) {
		return w.WriteValue(jsontext.Value(s))
	}
	return w.WriteToken(jsontext.String(s))
}

// isPlainValue says whether text is a number or boolean as JSON writes them.
func isPlainValue(s string) bool {
	if s == "true" || s == "false" {
		return true
	}
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || s[len(s)-1] < '0' || s[len(s)-1] > '9' {
		return false
	}
	return jsontext.Value(s).IsValid()
}

type group struct {
	key   string
	nodes []*Node
}

// groups puts elements of one name together, where the first of them stood.
func (w *writer) groups(children []*Node) []group {
	var all []group
	at := make(map[string]int, min(len(children), 16))
	for _, c := range children {
		key := w.key(c)
		i, found := at[key]
		if !found {
			i = len(all)
			at[key] = i
			all = append(all, group{key: key})
		}
		all[i].nodes = append(all[i].nodes, c)
	}
	return all
}
