package openapi

import (
	"net/http"
	"slices"
	"strings"
)

// tree finds operations by the segments of a path.
type tree struct {
	literals   map[string]*tree // by segment, unescaped
	branches   []*branch        // segments with parameters
	operations []*Operation
}

// branch is where segments lead that match pieces.
type branch struct {
	key    string // the pieces without the names of their parameters
	pieces []piece
	to     *tree
}

func (t *tree) add(o *Operation) {
	for _, pieces := range o.template.segments {
		t = t.child(pieces)
	}
	t.operations = append(t.operations, o)
}

// child returns where a segment leads, and makes it where there is none yet.
func (t *tree) child(pieces []piece) *tree {
	if literal, ok := literalOf(pieces); ok {
		to := t.literals[literal]
		if to == nil {
			if t.literals == nil {
				t.literals = map[string]*tree{}
			}
			to = &tree{}
			t.literals[literal] = to
		}
		return to
	}
	var b strings.Builder
	for _, p := range pieces {
		if p.param {
			b.WriteString("{}")
		} else {
			b.WriteString(p.text)
		}
	}
	for _, known := range t.branches {
		if known.key == b.String() {
			return known.to
		}
	}
	own := &branch{b.String(), pieces, &tree{}}
	t.branches = append(t.branches, own)
	return own.to
}

// literalOf is the text of a segment without a parameter.
func literalOf(pieces []piece) (string, bool) {
	switch {
	case len(pieces) == 0:
		return "", true
	case len(pieces) == 1 && !pieces[0].param:
		return unescapedPath(pieces[0].text), true
	}
	return "", false
}

// finder finds the operation of a method and a path.
type finder struct {
	method string
	base   string // of the path
	any    bool   // the base need not be one of the operation's servers
	values []string
	best   Found
	steps  int // how many parts of the tree were looked at
}

// find goes through what matches the rest of a path, which comes after a slash.
func (f *finder) find(t *tree, rest string) {
	f.steps++
	segment, after, more := strings.Cut(rest, "/")
	next := func(to *tree) {
		if more {
			f.find(to, after)
			return
		}
		for _, o := range to.operations {
			f.take(o)
		}
	}
	plain := segment
	if strings.IndexByte(segment, '%') >= 0 {
		plain = unescapedPath(segment)
	}
	if to := t.literals[plain]; to != nil {
		next(to)
	}
	for _, b := range t.branches {
		before := len(f.values)
		if values, ok := matchSegment(b.pieces, segment, f.values); ok {
			f.values = values
			next(b.to)
		}
		f.values = f.values[:before]
	}
}

// take takes an operation whose path matches: it is the best so far, or one whose method is not the one that is asked for.
func (f *finder) take(o *Operation) {
	switch {
	case !f.any && !slices.Contains(o.bases, f.base):
	case o.Method != f.method && (f.method != http.MethodHead || o.Method != http.MethodGet):
		f.best.Allow = append(f.best.Allow, o.Method)
	case f.best.Operation == nil || f.better(o, f.best.Operation):
		f.best.Operation, f.best.Values = o, slices.Clone(f.values)
	}
}

// better says whether an operation goes before another: by its method, rather than one for GET that serves HEAD; by the more of its path that is
// literal; by its place.
func (f *finder) better(o, other *Operation) bool {
	switch {
	case o.Method != other.Method:
		return o.Method == f.method
	case o.template.literals != other.template.literals:
		return o.template.literals > other.template.literals
	}
	return o.place < other.place
}

// found is what was found.
func (f *finder) found() Found {
	if f.best.Operation != nil {
		f.best.Allow = nil
	}
	slices.Sort(f.best.Allow)
	f.best.Allow = slices.Compact(f.best.Allow)
	return f.best
}
