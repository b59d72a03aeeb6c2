package shape

import (
	"fmt"
	"maps"
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/document"
)

// Made checks the names that field operations make against a shape that documents shall have afterwards: those of `set`, and the new ones of `rename`. Errors
// stand at the fields of the operations, whose paths are right.
func (s *Shape) Made(e *document.Edits) (errs []error) {
	if s == nil || len(e.Flatten) > 0 { // members may end up elsewhere
		return nil
	}
	for _, path := range slices.Sorted(maps.Keys(e.Rename)) {
		p := parse(path)
		if slices.ContainsFunc(slices.Collect(maps.Keys(e.Rename)), func(other string) bool { return above(parse(other), p) }) {
			continue
		}
		last := len(p) - 1
		at, _, err := s.at(p[:last])
		if err != nil {
			continue // perhaps it is not there afterwards either
		}
		if _, err := at.member(e.Rename[path]); err != nil {
			errs = append(errs, madeError(fmt.Sprintf("rename[%q]", path), p[:last], err))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(e.Set)) {
		if _, where, err := s.at(parse(path)); err != nil {
			errs = append(errs, madeError(fmt.Sprintf("set[%q]", path), where, err))
		}
	}
	return errs
}

// at is the shape of what is at a path. The error is about a place on the way.
func (s *Shape) at(p document.Path) (found *Shape, where document.Path, err error) {
	for i, step := range p {
		next, err := s.step(step)
		if err != nil {
			return nil, p[:i], err
		}
		s = next
	}
	return s, p, nil
}

// above says whether a path leads to something that a longer one leads through.
func above(p, longer document.Path) bool {
	return len(p) < len(longer) && slices.Equal(p, longer[:len(p)])
}

func madeError(field string, at document.Path, err error) error {
	where := at.String()
	if where == "" {
		where = "what is sent"
	}
	return config.FieldErrorf(field, "%s %w", where, err)
}
