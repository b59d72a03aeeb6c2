package lang

import (
	"fmt"
	"iter"
	"strings"
)

// Kind says what a Node is.
type Kind int

// The kinds of a Node. The zero Node is NodeMissing.
const (
	NodeMissing Kind = iota
	NodeScalar
	NodeList
	NodeMap
	NodeNull
)

// String returns the kind as it is named in messages.
func (k Kind) String() string {
	switch k {
	case NodeScalar:
		return "a single value"
	case NodeList:
		return "a list"
	case NodeMap:
		return "an object"
	case NodeNull:
		return "nothing"
	}
	return "a missing value"
}

// Node is a value as it was written, with its place. It is immutable and may be shared; the zero Node is a value that
// is missing. Nodes are equal (==) when they are the same place of the same tree.
type Node struct{ v *value }

// Pos is a place in a configuration file. Lines and columns count from 1, columns in characters.
type Pos struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String returns "file:line:column".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Kind says what the node is.
func (n Node) Kind() Kind {
	if n.v == nil {
		return NodeMissing
	}
	return n.v.kind
}

// IsZero reports whether the node is missing: it was not written.
func (n Node) IsZero() bool { return n.v == nil }

// Pos is where the node begins.
func (n Node) Pos() Pos {
	if n.v == nil {
		return Pos{}
	}
	return n.v.at.pos()
}

// Path is the node's place in the configuration: "routes[2].jwt.issuer". The root's is "".
func (n Node) Path() string {
	if n.v == nil {
		return ""
	}
	return n.v.path()
}

// IsOff reports whether the node is the plain word `off` (or false): what it would set is not wanted.
func (n Node) IsOff() bool {
	switch n.plain() {
	case "off", "Off", "OFF", "false", "False", "FALSE":
		return true
	}
	return false
}

// IsOn reports whether the node asks for all defaults: the plain word `on` (or true), or an empty object.
func (n Node) IsOn() bool {
	if n.v != nil && n.v.kind == NodeMap {
		return len(n.v.entries) == 0
	}
	switch n.plain() {
	case "on", "On", "ON", "true", "True", "TRUE":
		return true
	}
	return false
}

// plain returns a scalar's expanded text when it stands without quotes, else "".
func (n Node) plain() string {
	if n.v == nil || n.v.kind != NodeScalar || n.v.quoted {
		return ""
	}
	return n.v.expanded
}

// Text returns a scalar as written: without its quotes, and with `${…}` left as it is. It is "" for anything else. Use it
// in messages; use Decode for the value.
func (n Node) Text() string {
	if n.v == nil || n.v.kind != NodeScalar {
		return ""
	}
	return n.v.text
}

// Fields yields the keys and values of an object in the order in which they were written. Anchors, aliases and merge keys
// are resolved.
func (n Node) Fields() iter.Seq2[string, Node] {
	return func(yield func(string, Node) bool) {
		if n.v == nil {
			return
		}
		for _, e := range n.v.entries {
			if !yield(e.key.text, Node{e.value}) {
				return
			}
		}
	}
}

// Len is how many keys an object has, or how many items a list.
func (n Node) Len() int {
	if n.v == nil {
		return 0
	}
	return len(n.v.entries) + len(n.v.items)
}

// Field returns the value of an object's key, or the zero Node.
func (n Node) Field(name string) Node {
	if e := n.v.entry(name); e != nil {
		return Node{e.value}
	}
	return Node{}
}

// Key returns the key itself, for errors about a key rather than its value. It is the zero Node when there is no such key.
func (n Node) Key(name string) Node {
	if e := n.v.entry(name); e != nil {
		return Node{e.key}
	}
	return Node{}
}

// KeyPos is where an object's key stands; the zero Pos when there is no such key.
func (n Node) KeyPos(name string) Pos { return n.Key(name).Pos() }

// Items returns the items of a list; nil for anything else.
func (n Node) Items() []Node {
	if n.v == nil || n.v.kind != NodeList {
		return nil
	}
	items := make([]Node, len(n.v.items))
	for i, item := range n.v.items {
		items[i] = Node{item}
	}
	return items
}

// At returns the node at a path below this one, such as `paths[0].url` or `headers["x-y"].z`. Where the path does not
// exist it is the nearest ancestor that does; a short form (a scalar for an object, one value for a list) stands for
// what it abbreviates.
func (n Node) At(path string) Node {
	for _, s := range splitPath(path) {
		next, ok := n.step(s)
		if !ok {
			return n
		}
		n = next
	}
	return n
}

// step goes down one key or index. Short forms stay where they are.
func (n Node) step(s pathStep) (Node, bool) {
	switch n.Kind() {
	case NodeMap:
		if s.index >= 0 {
			return n, true // one object that stands for a list of one
		}
		next := n.Field(s.key)
		return next, !next.IsZero()
	case NodeList:
		if s.index < 0 {
			return n, true // a list that stands for the object that has it as its short form
		}
		if s.index >= len(n.v.items) {
			return n, false
		}
		return Node{n.v.items[s.index]}, true
	}
	return n, false
}

// pathStep is one step of a path: a key, or an index when that is not negative.
type pathStep struct {
	key   string
	index int
}

// splitPath reads a path: keys joined by dots, `[0]`, `["quoted key"]`.
func splitPath(path string) []pathStep {
	var steps []pathStep
	for path != "" {
		switch {
		case path[0] == '.':
			path = path[1:]
		case path[0] == '[':
			inner, rest := cutBracket(path[1:])
			steps, path = append(steps, bracketStep(inner)), rest
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			steps, path = append(steps, pathStep{key: path[:end], index: -1}), path[end:]
		}
	}
	return steps
}

// joinPath puts a path below another.
func joinPath(base, sub string) string {
	if base == "" || sub == "" || sub[0] == '[' {
		return base + sub
	}
	return base + "." + sub
}
