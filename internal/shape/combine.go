package shape

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// both is the shape of what has two shapes at once. Members of either are members.
func both(a, b *Shape) *Shape {
	switch {
	case a == nil || a == b:
		return b
	case b == nil:
		return a
	}
	left, enough := spend(a, b)
	if !enough {
		return &Shape{of: a.of, kinds: all, open: true, left: left}
	}
	s := &Shape{of: a.of, left: left, kinds: a.kinds & b.kinds, told: a.told || b.told, open: a.open || b.open, spared: a.spared || b.spared}
	switch {
	case !a.open:
		s.rest = b.rest
	case !b.open:
		s.rest = a.rest
	}
	s.members = map[string]member{}
	for name, m := range a.members {
		s.members[name] = m.and(b, name)
	}
	for name, m := range b.members {
		if _, twice := a.members[name]; !twice {
			s.members[name] = m.and(a, name)
		}
	}
	s.element = joined(a.element, b.element, both)
	s.required = union(a.required, b.required)
	return s
}

// and is a member of what has two shapes at once. Where only some objects of one have it, it is in others as the other shape says.
func (m member) and(other *Shape, name string) member {
	n, is := other.members[name]
	switch {
	case !is && other.rest == nil:
		return m
	case !is:
		n = member{other.rest, true}
	}
	together := joined(m.lazy, n.lazy, both)
	switch {
	case m.partly && n.partly:
		return member{sync.OnceValue(func() *Shape { return one(one(m.lazy(), n.lazy()), together()) }), true}
	case m.partly:
		return member{sync.OnceValue(func() *Shape { return one(n.lazy(), together()) }), false}
	case n.partly:
		return member{sync.OnceValue(func() *Shape { return one(m.lazy(), together()) }), false}
	}
	return member{together, false}
}

// Either is the shape of what has one of several shapes.
func Either(a *Shape, others ...*Shape) *Shape {
	return useful(either(append([]*Shape{a}, others...)...))
}

// either is the shape of what has one of several shapes. A nil one among them is anything.
func either(shapes ...*Shape) *Shape {
	s := settled(shapes[0])
	for i, next := range shapes {
		switch {
		case s == nil || next == nil:
			return nil
		case i > 0:
			s = one(s, next)
		}
	}
	return s
}

// one is the shape of what has one of two shapes.
func one(a, b *Shape) *Shape {
	switch {
	case a == nil || b == nil:
		return nil
	case a == b:
		return a
	}
	a, b = settled(a), settled(b)
	left, enough := spend(a, b)
	if !enough {
		return &Shape{of: tellers(a.of, b.of), kinds: all, open: true, left: left}
	}
	s := &Shape{of: tellers(a.of, b.of), left: left, kinds: a.kinds | b.kinds, told: true, open: a.open || b.open, spared: a.spared || b.spared}
	switch { // of members that neither names
	case !a.open:
		s.rest = b.rest
	case !b.open:
		s.rest = a.rest
	}
	s.members = map[string]member{}
	for name, m := range a.members {
		s.members[name] = m.or(b, name)
	}
	for name, m := range b.members {
		s.members[name] = m.or(a, name)
	}
	switch {
	case a.kinds&list == 0, a.empty:
		s.element, s.empty = b.element, b.empty
	case b.kinds&list == 0, b.empty:
		s.element = a.element
	case a.element != nil && b.element != nil:
		s.element = joined(a.element, b.element, one)
	}
	switch {
	case a.kinds&object == 0:
		s.required = b.required
	case b.kinds&object == 0:
		s.required = a.required
	default:
		in := set(b.required)
		s.required = slices.DeleteFunc(slices.Clone(a.required), func(name string) bool { return !in[name] })
	}
	return s
}

// others stands for all that tell of something but the first.
const others = " and others"

// tellers is what tells of one of two shapes.
func tellers(a, b string) string {
	switch {
	case a == b, a == "", b == "", strings.HasSuffix(a, others):
		return a
	case strings.HasSuffix(b, others):
		return b
	}
	return a + others
}

// or is a member of what has its shape, or another.
func (m member) or(other *Shape, name string) member {
	n, is := other.members[name]
	switch {
	case is:
		return member{joined(m.lazy, n.lazy, one), m.partly || n.partly}
	case other.open: // it may be something else there
		return member{unknown, true}
	}
	return member{m.lazy, true}
}

// joined joins what one or both of two know.
func joined(a, b lazy, join func(a, b *Shape) *Shape) lazy {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return sync.OnceValue(func() *Shape { return useful(join(a(), b())) })
}

func union(a, b []string) []string {
	if len(a) == 0 || len(b) == 0 {
		return append(slices.Clip(a), b...)
	}
	u, in := slices.Clone(a), set(a)
	for _, name := range b {
		if !in[name] {
			u = append(u, name)
		}
	}
	return u
}

func set(names []string) map[string]bool {
	in := make(map[string]bool, len(names))
	for _, name := range names {
		in[name] = true
	}
	return in
}

// effort is what may still be spent on the schemas of a document, in members and schemas. All shapes of them share it.
type effort struct{ left atomic.Int64 }

// take says whether there was enough left. A nil effort has no end.
func (e *effort) take(n int) bool { return e == nil || e.left.Add(-int64(n)) >= 0 }

// spend takes what it costs to join two shapes.
func spend(a, b *Shape) (left *effort, enough bool) {
	left = cmp.Or(a.left, b.left)
	return left, left.take(1 + len(a.members) + len(b.members) + len(a.required) + len(b.required))
}

// settled is a shape of which nothing more will be said: objects of which nobody says which members they have are
// open.
func settled(s *Shape) *Shape {
	if s == nil || s.kinds&object == 0 || s.open || s.told {
		return s
	}
	own := *s
	own.open = true
	return &own
}

// useful is a settled shape, or nil where it says nothing, or contradicts itself.
func useful(s *Shape) *Shape {
	s = settled(s)
	switch {
	case s == nil || s.kinds&^null == 0:
		return nil
	case s.kinds == all && s.open && len(s.members) == 0 && s.rest == nil && s.element == nil && !s.spared:
		return nil
	}
	return s
}
