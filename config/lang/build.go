package lang

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// builder makes a tree from the parser's, with anchors, aliases and merge keys resolved.
type builder struct {
	src     *source
	x       *expander
	anchors map[string]ast.Node
	open    []string // the anchors and aliases that are being resolved
	marks   map[*token.Token]*atomic.Bool
	aliases int // how many aliases are being resolved
	added   int // values that aliases have added
	errs    Errors
	wrong   []*value // where errs are, for their paths
}

// report notes an error at a value.
func (b *builder) report(e *Error, at *value) {
	b.errs, b.wrong = append(b.errs, e), append(b.wrong, at)
}

// errors returns what was wrong, with paths, which are known only when the tree is whole.
func (b *builder) errors() Errors {
	for i, at := range b.wrong {
		b.errs[i].Path = at.path()
	}
	return b.errs
}

// fail notes an error at a token and returns a null in place of what is wrong.
func (b *builder) fail(t *token.Token, format string, args ...any) *value {
	at := b.place(t)
	e := b.src.errorf(at.line, at.column, format, args...)
	e.place(at)
	v := &value{kind: NodeNull, at: at, broken: true}
	b.report(e, v)
	return v
}

// build makes a value. It never returns nil.
func (b *builder) build(n ast.Node, depth int) *value {
	if n == nil {
		return &value{kind: NodeNull, at: place{src: b.src, line: 1, column: 1}}
	}
	if b.aliases > 0 && !b.room() {
		return &value{kind: NodeNull, at: b.place(n.GetToken()), broken: true}
	}
	if depth > maxDepth {
		return b.fail(n.GetToken(), "this is nested too deeply; at most %d levels are read", maxDepth)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return b.buildMap(n, n.Values, depth)
	case *ast.MappingValueNode:
		return b.buildMap(n, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		return b.buildList(n, depth)
	case *ast.AnchorNode:
		return b.buildAnchor(n, depth)
	case *ast.AliasNode:
		return b.buildAlias(n, depth)
	case *ast.TagNode:
		return b.buildTag(n, depth)
	}
	return b.buildScalar(n)
}

// buildMap makes an object.
func (b *builder) buildMap(n ast.Node, values []*ast.MappingValueNode, depth int) *value {
	v := &value{kind: NodeMap, at: b.place(n.GetToken())}
	var merges []*ast.MappingValueNode
	for _, mv := range values {
		if k, ok := mv.Key.(*ast.MergeKeyNode); ok && k.Token.Value == "<<" {
			merges = append(merges, mv)
			continue
		}
		key := b.buildKey(mv.Key)
		if key == nil {
			continue
		}
		if first := v.entry(key.text); first != nil {
			b.duplicate(v, key, first.key)
			continue
		}
		v.add(key, b.build(mv.Value, depth+1))
	}
	if len(v.entries) > 0 && v.at.src.at(v.at) != '{' {
		v.at = v.entries[0].key.at
	}
	for _, mv := range merges {
		b.merge(v, mv.Value, depth+1)
	}
	return v
}

// duplicate notes that a key stands twice in an object.
func (b *builder) duplicate(in, key, first *value) {
	key.parent, key.name = in, key
	e := Node{key}.Errorf("the key %q stands twice in this object", key.text)
	b.report(e.RelatedAt(Node{first}, "first here"), key)
}

// buildKey makes a key. Only scalars are keys.
func (b *builder) buildKey(n ast.Node) *value {
	if k, ok := n.(*ast.MappingKeyNode); ok {
		n = k.Value
	}
	if a, ok := n.(*ast.AnchorNode); ok {
		b.anchors[anchorName(a.Name)] = a.Value
		n = a.Value
	}
	if n == nil {
		return nil
	}
	if s, ok := n.(ast.ScalarNode); ok {
		key := b.buildScalar(s)
		key.kind, key.expanded, key.pieces, key.bad = NodeScalar, key.text, nil, nil
		return key
	}
	b.fail(n.GetToken(), "a key must be a plain text")
	return nil
}

// merge adds the entries of a merge key's value that are not there yet.
func (b *builder) merge(v *value, n ast.Node, depth int) {
	from := b.build(n, depth)
	switch from.kind {
	case NodeMap:
		for _, e := range from.entries {
			if v.entry(e.key.text) == nil {
				v.add(e.key, e.value)
			}
		}
	case NodeList:
		for _, item := range from.items {
			if item.kind != NodeMap {
				b.report(Node{item}.Errorf("a merge key takes objects"), item)
				continue
			}
			for _, e := range item.entries {
				if v.entry(e.key.text) == nil {
					v.add(e.key, e.value)
				}
			}
		}
	default:
		if from.broken {
			return
		}
		b.fail(n.GetToken(), "a merge key takes an object, such as `<<: *defaults`")
	}
}

// buildList makes a list.
func (b *builder) buildList(n *ast.SequenceNode, depth int) *value {
	v := &value{kind: NodeList, at: b.place(n.Start)}
	for _, item := range n.Values {
		v.appendItem(b.build(item, depth+1))
	}
	return v
}

// buildAnchor makes a value and remembers it by its name.
func (b *builder) buildAnchor(n *ast.AnchorNode, depth int) *value {
	name := anchorName(n.Name)
	b.anchors[name] = n.Value
	b.open = append(b.open, name)
	defer func() { b.open = b.open[:len(b.open)-1] }()
	return b.build(n.Value, depth)
}

// buildAlias makes the value of an anchor once more, at its own place in the tree.
func (b *builder) buildAlias(n *ast.AliasNode, depth int) *value {
	name := anchorName(n.Value)
	for _, open := range b.open {
		if open == name {
			return b.fail(n.GetToken(), "the alias *%s stands within its own anchor", name)
		}
	}
	target, ok := b.anchors[name]
	if !ok {
		v := b.fail(n.GetToken(), "there is no anchor &%s before this alias", name)
		b.errs[len(b.errs)-1].Hint = b.aliasHint(name)
		return v
	}
	b.open, b.aliases = append(b.open, name), b.aliases+1
	defer func() { b.open, b.aliases = b.open[:len(b.open)-1], b.aliases-1 }()
	return b.build(target, depth)
}

// room reports whether an alias may add one more value.
func (b *builder) room() bool {
	b.added++
	if b.added == maxAlias {
		e := b.src.errorf(0, 0, "aliases make this configuration larger by more than %d values", maxAlias)
		b.report(e, nil)
	}
	return b.added < maxAlias
}

// aliasHint says which anchor was meant, or that a text that begins with "*" needs quotes.
func (b *builder) aliasHint(name string) string {
	names := make([]string, 0, len(b.anchors))
	for known := range b.anchors {
		names = append(names, known)
	}
	if near := Suggest(name, names); near != "" {
		return didYouMean("*" + near)
	}
	return "put quotes around a text that begins with `*`"
}

// anchorName is the name of an anchor or alias.
func anchorName(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// buildTag makes a value with a tag. Only those of plain YAML are known.
func (b *builder) buildTag(n *ast.TagNode, depth int) *value {
	v := b.build(n.Value, depth)
	switch token.ReservedTagKeyword(n.Start.Value) {
	case token.StringTag:
		if v.kind == NodeNull && n.Value != nil {
			v = &value{kind: NodeScalar, at: v.at, text: v.text, secret: new(atomic.Bool)}
			v.expanded = v.text
		}
		v.quoted = true
	case token.IntegerTag, token.FloatTag, token.BooleanTag, token.NullTag, token.MappingTag, token.SequenceTag:
	default:
		b.fail(n.Start, "the tag %s means nothing here", n.Start.Value)
	}
	return v
}

// buildScalar makes a single value or a null.
func (b *builder) buildScalar(n ast.Node) *value {
	t := n.GetToken()
	v := &value{kind: NodeScalar, at: b.place(t), secret: b.mark(t)}
	switch n := n.(type) {
	case *ast.NullNode:
		v.kind, v.text = NodeNull, t.Value
		if t.Type == token.ImplicitNullType {
			v.text, v.at.width = "", 0
		}
		return v
	case *ast.LiteralNode:
		v.quoted, v.text = true, n.Value.Value
		v.at.more = strings.Count(n.Value.GetToken().Origin, "\n") + 1
	case *ast.StringNode:
		v.text, v.quoted = n.Value, t.Type != token.StringType
	case ast.ScalarNode:
		v.text = t.Value
	default:
		return b.fail(t, "this has no place in a configuration")
	}
	b.x.expand(v)
	return v
}

// mark is the mark for secrets of a token, the same for all its uses.
func (b *builder) mark(t *token.Token) *atomic.Bool {
	if b.marks == nil {
		b.marks = map[*token.Token]*atomic.Bool{}
	}
	m := b.marks[t]
	if m == nil {
		m = new(atomic.Bool)
		b.marks[t] = m
	}
	return m
}

// place is where a token stands.
func (b *builder) place(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{src: b.src, line: 1, column: 1}
	}
	text := strings.TrimSpace(t.Origin)
	first, _, many := strings.Cut(text, "\n")
	at := place{src: b.src, line: min(max(1, t.Position.Line), len(b.src.lines)), column: max(1, t.Position.Column)}
	at.width = utf8.RuneCountInString(strings.TrimRight(first, " \r"))
	if many {
		at.more = strings.Count(text, "\n")
	}
	return at
}

// at returns the character at a place.
func (s *source) at(p place) byte {
	line := s.lines[p.line-1]
	if i := byteOffset(line, p.column); i < len(line) {
		return line[i]
	}
	return 0
}
