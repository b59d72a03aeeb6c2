package document

import "github.com/go-json-experiment/json/jsontext"

// name is the kind of the name of a member. All other kinds are those of jsontext.
const name jsontext.Kind = ':'

// sink takes a document token by token. Raw is the text of names (quoted), texts, numbers and literals, good until the call returns.
type sink interface {
	write(k jsontext.Kind, raw []byte) error
	// end is called after the last token.
	end() error
}

func opens(k jsontext.Kind) bool  { return k == '{' || k == '[' }
func closes(k jsontext.Kind) bool { return k == '}' || k == ']' }

// frame is an object or a list that is open.
type frame struct {
	node   *node
	list   bool
	i      int    // of the next element
	lifted bool   // it is flattened
	seen   []bool // which members came, where values are set, and which new names
}

// cursor follows a document through a tree of paths.
type cursor struct {
	root   *node
	frames []frame
	member *node // of the name that came last
}

func (c *cursor) top() *frame { return &c.frames[len(c.frames)-1] }

// named notes the name of the member that comes next.
func (c *cursor) named(quoted []byte) *node {
	c.member = c.top().node.named(quoted)
	return c.member
}

// value returns the node of the value that begins.
func (c *cursor) value() *node {
	if len(c.frames) == 0 {
		return c.root
	}
	f := c.top()
	if !f.list {
		return c.member
	}
	f.i++
	return f.node.element(f.i - 1)
}

func (c *cursor) open(n *node, k jsontext.Kind) *frame {
	c.frames = append(c.frames, frame{node: n, list: k == '['})
	return c.top()
}

func (c *cursor) close() frame {
	f := *c.top()
	c.frames = c.frames[:len(c.frames)-1]
	return f
}

// whole follows one value to its end, for stages that leave it out or pass it on whole.
type whole struct{ depth int }

func (w *whole) active() bool { return w.depth > 0 }

func (w *whole) follow(k jsontext.Kind) {
	switch {
	case opens(k):
		w.depth++
	case closes(k):
		w.depth--
	}
}
