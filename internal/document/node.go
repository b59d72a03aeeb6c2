package document

import (
	"iter"
	"maps"
	"slices"
)

// node is a place in a tree of paths, with what is done to the value there. A nil node is a place that no path leads to.
type node struct {
	names map[string]*node
	index map[int]*node
	each  *node

	alike bool // it is what its elements are, should it be a list

	keep   bool // the value is picked, dropped, flattened or selected
	mask   *Mask
	rename []byte // quoted
	set    *setting

	members []*member      // of names, sorted; made by finish
	makes   bool           // set somewhere below without a list between
	targets map[string]int // the new names of names, numbered; made by finish
}

// setting is a value that is set.
type setting struct{ value any }

// member is a name below a node that sets values.
type member struct {
	quoted []byte
	node   *node
}

// at returns the node of a path, which it makes.
func (n *node) at(p Path) *node {
	for _, s := range p {
		n = n.child(s)
	}
	return n
}

func (n *node) child(s Step) *node {
	switch {
	case !s.List:
		if n.names == nil {
			n.names = map[string]*node{}
		}
		if n.names[s.Name] == nil {
			n.names[s.Name] = &node{}
		}
		return n.names[s.Name]
	case s.Index == each:
		if n.each == nil {
			n.each = &node{}
		}
		return n.each
	}
	if n.index == nil {
		n.index = map[int]*node{}
	}
	if n.index[s.Index] == nil {
		n.index[s.Index] = &node{}
	}
	return n.index[s.Index]
}

// children goes through all nodes right below, in a stable order.
func (n *node) children() iter.Seq2[Step, *node] {
	return func(yield func(Step, *node) bool) {
		if n == nil {
			return
		}
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			if !yield(Step{Name: name}, n.names[name]) {
				return
			}
		}
		if n.each != nil && !yield(Step{List: true, Index: each}, n.each) {
			return
		}
		for _, i := range slices.Sorted(maps.Keys(n.index)) {
			if !yield(Step{List: true, Index: i}, n.index[i]) {
				return
			}
		}
	}
}

func (n *node) inner() bool { return n.objects() || n.lists() }

// objects says whether paths lead on through the names of an object, and lists whether through elements of a list.
func (n *node) objects() bool { return n != nil && len(n.names) > 0 }
func (n *node) lists() bool   { return n != nil && (n.each != nil || len(n.index) > 0) }

// finish gives elements with an index what holds for each element as well, and readies nodes for the walk.
func (n *node) finish() {
	if n == nil {
		return
	}
	if n.each != nil {
		for _, at := range n.index {
			at.merge(n.each)
		}
	}
	for _, child := range n.children() {
		child.finish()
	}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		quoted, _ := appendText(nil, name)
		child := n.names[name]
		n.members = append(n.members, &member{quoted, child})
		n.makes = n.makes || child.set != nil || child.makes
		if child.rename != nil {
			if n.targets == nil {
				n.targets = map[string]int{}
			}
			to, _ := text(child.rename)
			n.targets[to] = len(n.targets)
		}
	}
}

// liken has a value and the elements of a list in its place be the same.
func (n *node) liken() {
	if n == nil {
		return
	}
	for each := n.each; each != nil; each = each.each { // lists in lists, too
		n.merge(&node{names: each.names, index: each.index, keep: each.keep, mask: each.mask})
	}
	n.alike, n.each = true, nil
	own := &node{names: n.names, keep: n.keep, mask: n.mask}
	for _, at := range n.index {
		at.merge(own)
	}
	if first := n.index[0]; first != nil { // what stands once is the first, and the others are not
		n.each = &node{}
		n.each.merge(own)
		n.merge(&node{names: first.names, keep: first.keep, mask: first.mask})
	}
	for _, child := range n.children() {
		child.liken()
	}
}

// merge adds what another node does. What the node says itself wins.
func (n *node) merge(other *node) {
	n.keep = n.keep || other.keep
	if n.mask == nil {
		n.mask = other.mask
	}
	if n.rename == nil {
		n.rename = other.rename
	}
	if n.set == nil {
		n.set = other.set
	}
	for step, child := range other.children() {
		n.child(step).merge(child)
	}
}

// named returns the node of a member, by its quoted name.
func (n *node) named(quoted []byte) *node {
	if n == nil {
		return nil
	}
	child, _ := lookup(n.names, quoted)
	return child
}

// lookup finds a quoted name in a map, mostly without a copy of it.
func lookup[V any](m map[string]V, quoted []byte) (v V, ok bool) {
	if m == nil {
		return v, false
	}
	if plain(quoted) {
		v, ok = m[string(quoted[1:len(quoted)-1])]
		return v, ok
	}
	name, err := text(quoted)
	if err != nil {
		return v, false
	}
	v, ok = m[name]
	return v, ok
}

// element returns the node of an element of a list.
func (n *node) element(i int) *node {
	if n == nil {
		return nil
	}
	if at := n.index[i]; at != nil {
		return at
	}
	if n.each == nil && n.alike {
		return n
	}
	return n.each
}
