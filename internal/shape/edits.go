package shape

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/document"
)

// Edit checks field operations, whose paths are right, against what is known of documents, and returns what is known of them afterwards. Errors stand at the
// fields of the operations.
func (s *Shape) Edit(e *document.Edits) (*Shape, []error) {
	if s == nil {
		return nil, nil
	}
	d := &edited{shape: s}
	if e.Select != "" {
		d.selects(e.Select)
	}
	if len(e.Pick) > 0 {
		d.pick(e.Pick)
	}
	d.change(e.Drop, func(path string) string { return fmt.Sprintf("drop[%d]", slices.Index(e.Drop, path)) },
		func(_ string, parent *Shape, name string) *Shape { return parent.with(name, nil) })
	d.change(slices.Collect(maps.Keys(e.Mask)), func(path string) string { return fmt.Sprintf("mask[%q]", path) },
		func(_ string, parent *Shape, name string) *Shape { return parent.with(name, unknown) })
	d.rename(e.Rename)
	d.change(e.Flatten, func(path string) string { return fmt.Sprintf("flatten[%d]", slices.Index(e.Flatten, path)) },
		func(_ string, parent *Shape, name string) *Shape { return parent.lifted(name) })
	for _, path := range slices.Sorted(maps.Keys(e.Set)) {
		d.set(path)
	}
	return useful(d.shape), d.errs
}

// edited is a shape as operations leave it.
type edited struct {
	shape *Shape
	errs  []error
}

func (d *edited) wrong(field string, at document.Path, err error) {
	where := at.String()
	if where == "" {
		where = "the document"
	}
	d.errs = append(d.errs, config.FieldErrorf(field, "%s %w", where, err))
}

// parse reads a path, which was read before.
func parse(path string) document.Path {
	p, err := document.ParsePath(path)
	if err != nil {
		return nil
	}
	return p
}

// step goes a step of a path on.
func (s *Shape) step(to document.Step) (*Shape, error) {
	if to.List {
		return s.each()
	}
	return s.member(to.Name)
}

// selects makes what is at a path the whole.
func (d *edited) selects(path string) {
	at, many := d.shape, false
	p := parse(path)
	for i, step := range p {
		next, err := at.step(step)
		if err != nil {
			d.wrong("select", p[:i], err)
			d.shape = nil
			return
		}
		at, many = next, many || step.List && step.Index < 0
	}
	if d.shape = at; many {
		d.shape = List(at)
	}
}

// pick keeps what is at paths, and what leads there.
func (d *edited) pick(paths []string) {
	var kept *Shape
	for i, path := range paths {
		p := parse(path)
		one, err := d.shape.only(p, nil)
		if err != nil {
			d.wrong(fmt.Sprintf("pick[%d]", i), err.at, err.error)
			continue
		}
		if kept = join(kept, one); kept == nil {
			break
		}
	}
	d.shape = kept
}

// join is the shape of what is picked by two paths.
func join(a, b *Shape) *Shape {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	s := both(a, b)
	s.kinds = a.kinds | b.kinds
	return s
}

// pathError says where on a path something is wrong.
type pathError struct {
	at document.Path
	error
}

// only is the shape with nothing but what is at a path.
func (s *Shape) only(p, at document.Path) (*Shape, *pathError) {
	if len(p) == 0 || s == nil {
		return s, nil
	}
	next, err := s.step(p[0])
	if err != nil {
		return nil, &pathError{at, err}
	}
	below, wrong := next.only(p[1:], append(slices.Clip(at), p[0]))
	if wrong != nil {
		return nil, wrong
	}
	own := &Shape{of: s.of, told: true, members: map[string]member{}}
	if p[0].List {
		own.kinds, own.element = list, func() *Shape { return below }
	} else {
		own.kinds, own.members[p[0].Name] = object, member{lazy: func() *Shape { return below }}
	}
	return own, nil
}

// change has the objects changed in which the last names of paths are. The paths are all of what there is before, so that what is deeper is changed first.
func (d *edited) change(paths []string, field func(path string) string, change func(path string, parent *Shape, name string) *Shape) {
	before := d.shape
	for _, path := range deepest(paths) {
		p := parse(path)
		if _, wrong := before.changed(p, nil, func(parent *Shape, _ string) *Shape { return parent }); wrong != nil {
			d.wrong(field(path), wrong.at, wrong.error)
			continue
		}
		if changed, wrong := d.shape.changed(p, nil, func(parent *Shape, name string) *Shape { return change(path, parent, name) }); wrong == nil {
			d.shape = changed
		}
	}
}

// deepest sorts paths so that what is deeper comes first.
func deepest(paths []string) []string {
	return slices.SortedFunc(slices.Values(paths), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(parse(b)), len(parse(a))), cmp.Compare(a, b))
	})
}

func (s *Shape) changed(p, at document.Path, change func(parent *Shape, name string) *Shape) (*Shape, *pathError) {
	if len(p) == 0 || s == nil {
		return s, nil
	}
	step := p[0]
	next, err := s.step(step)
	if err != nil {
		return nil, &pathError{at, err}
	}
	if len(p) == 1 {
		if step.List {
			return s, nil
		}
		return change(s, step.Name), nil
	}
	below, wrong := next.changed(p[1:], append(slices.Clip(at), step), change)
	switch {
	case wrong != nil:
		return nil, wrong
	case !step.List:
		return s.with(step.Name, func() *Shape { return below }), nil
	case step.Index < 0:
		return s.withElement(func() *Shape { return below }), nil
	}
	return s.withElement(nil), nil // it is another shape than that of the others
}

// with is the shape with a member, or, where that is nil, without.
func (s *Shape) with(name string, m lazy) *Shape {
	own := *s
	own.members = maps.Clone(s.members)
	if own.members == nil {
		own.members = map[string]member{}
	}
	if own.members[name] = (member{lazy: m}); m == nil {
		delete(own.members, name)
	}
	return &own
}

func (s *Shape) withElement(element lazy) *Shape {
	own := *s
	own.element = element
	return &own
}

// lifted is the shape with the members of one of its members. Of a name that both can have it is not known whose it is.
func (s *Shape) lifted(name string) *Shape {
	m, err := s.member(name)
	if err != nil || m == nil {
		m = &Shape{kinds: all, open: true}
	}
	own := *s
	own.members = map[string]member{}
	stays := m.kinds&^null != object
	for outer, v := range s.members {
		switch {
		case outer == name && !stays:
			continue
		case m.kinds&object != 0 && m.open:
			v.lazy = unknown
		}
		own.members[outer] = v
	}
	if m.kinds&object == 0 {
		return &own
	}
	for inner, v := range m.members {
		if _, both := own.members[inner]; both || s.open {
			v.lazy = unknown
		}
		own.members[inner] = v
	}
	if m.open {
		own.open, own.rest = true, nil
	}
	return &own
}

// rename gives members new names. Where a name was taken before, nothing is known of it.
func (d *edited) rename(names map[string]string) {
	taken := slices.Collect(maps.Values(names))
	d.change(slices.Collect(maps.Keys(names)), func(path string) string { return fmt.Sprintf("rename[%q]", path) }, func(path string, parent *Shape, name string) *Shape {
		to, m := names[path], parent.members[name].lazy
		if _, is := parent.members[to]; is || m == nil {
			m = unknown
		}
		if !slices.Contains(taken, name) {
			parent = parent.with(name, nil)
		}
		return parent.with(to, m)
	})
}

// set sets a value, which can be anything. Objects are made where there are none; lists are not.
func (d *edited) set(path string) {
	p := parse(path)
	at := d.shape
	for i, step := range p {
		if step.List || slices.ContainsFunc(p[i:], func(s document.Step) bool { return s.List }) {
			next, err := at.step(step)
			if err != nil {
				d.wrong(fmt.Sprintf("set[%q]", path), p[:i], err)
				return
			}
			at = next
			continue
		}
		if at != nil && at.kinds&(object|null) == 0 {
			d.wrong(fmt.Sprintf("set[%q]", path), p[:i], fmt.Errorf("is %s, in which nothing can be set%s", at.kinds, at.by()))
			return
		}
		next, err := at.member(step.Name)
		if err != nil {
			break
		}
		at = next
	}
	d.shape = d.shape.made(p)
}

// made is the shape with something at a path.
func (s *Shape) made(p document.Path) *Shape {
	if s == nil {
		return nil
	}
	step := p[0]
	if step.List {
		below := unknown
		if element, err := s.each(); err == nil && step.Index < 0 && len(p) > 1 {
			below = func() *Shape { return element.made(p[1:]) }
		}
		return s.withElement(below)
	}
	below := unknown
	if m := s.members[step.Name].lazy; m != nil && len(p) > 1 {
		below = func() *Shape { return m().made(p[1:]) }
	}
	own := s.with(step.Name, below)
	own.kinds |= object // what was null is an object now
	return own
}
