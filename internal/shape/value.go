package shape

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/jq"
)

// Of is the shape of a value that is known.
func Of(v any) *Shape {
	s := &Shape{kinds: kindOf(v)}
	switch v := v.(type) {
	case map[string]any:
		s.told, s.members = true, map[string]member{}
		for name, m := range v {
			s.members[name] = member{lazy: func() *Shape { return useful(Of(m)) }}
		}
	case []any:
		if s.empty = len(v) == 0; s.empty {
			return s
		}
		s.element = func() *Shape {
			elements := make([]*Shape, len(v))
			for i := range v {
				elements[i] = Of(v[i])
			}
			return useful(either(elements...))
		}
	}
	return s
}

// kindOf is the kind of a value.
func kindOf(v any) kinds {
	switch v.(type) {
	case nil:
		return null
	case map[string]any:
		return object
	case []any:
		return list
	case string:
		return text
	case bool:
		return boolean
	}
	return number
}

// Accepts says what is wrong with a value that is written in a configuration: members that are not known or missing, and kinds that do not fit. IsText
// says whether a text in it will be a text; others are not looked at. Errors stand at their places below at.
func (s *Shape) Accepts(at string, v any, isText func(string) bool) (errs []error) {
	if s == nil {
		return nil
	}
	if t, is := v.(string); v == nil || is && !isText(t) {
		return nil // null is sent for what is not there, and taken by many that do not say so
	}
	if kind := kindOf(v); s.kinds&kind == 0 {
		return []error{config.FieldErrorf(at, "it is %s, and should be %s%s", kind, s.kinds&^null, s.by())}
	}
	switch v := v.(type) {
	case []any:
		element, _ := s.each()
		for i, item := range v {
			errs = append(errs, element.Accepts(at+"["+strconv.Itoa(i)+"]", item, isText)...)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			m, err := s.member(name)
			if err != nil {
				errs = append(errs, config.FieldErrorf(at+"["+strconv.Quote(name)+"]", "the body %w", err))
				continue
			}
			errs = append(errs, m.Accepts(at+"["+strconv.Quote(name)+"]", v[name], isText)...)
		}
		for _, name := range s.required {
			if _, has := v[name]; has {
				continue
			}
			if m := s.members[name].lazy(); m == nil || !m.spared {
				errs = append(errs, config.FieldErrorf(at, "the member %q is missing, which is required%s", name, s.by()))
			}
		}
	}
	return errs
}

// Reads says what is wrong with a jq program whose input has the shape, as far as it can be told what that reads.
func (s *Shape) Reads(program string) error {
	for _, r := range jq.Reads(program) {
		if err := s.follow(r.Way); err != nil {
			return r.Place(err)
		}
	}
	return nil
}

// follow follows a way. The error names the place at which it does not go on.
func (s *Shape) follow(way []jq.Step) error {
	for i, step := range way {
		var next *Shape
		var err error
		switch {
		case step.Each:
			next, err = s.values()
		case step.List:
			next, err = s.each()
		default:
			next, err = s.member(step.Name)
		}
		if err != nil {
			return fmt.Errorf("%s %w", place(way[:i]), err)
		}
		s = next
	}
	return nil
}

// place is a way as it is written in jq.
func place(way []jq.Step) string {
	if len(way) == 0 {
		return "the input"
	}
	text := ""
	for _, step := range way {
		if step.List || step.Each {
			text += "[]"
		} else {
			text += "." + step.Name
		}
	}
	return text
}
