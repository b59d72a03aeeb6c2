package shape

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Shape is what is known of a value. A nil Shape knows nothing. It is immutable.
type Shape struct {
	of       string // what tells of it: "GET /users/{id} in users.yaml"; may be empty
	kinds    kinds
	members  map[string]member
	told     bool // it is said of objects which members they have
	open     bool // they may have others
	rest     lazy // of other members; nil: nothing is known
	element  lazy // of lists; nil: nothing is known
	empty    bool // lists have no elements
	required []string
	spared   bool // a client need not send it, although it is required
	left     *effort
}

// lazy makes a shape once it is asked for, since schemas may refer to themselves.
type lazy func() *Shape

// member is a member that objects may have.
type member struct {
	lazy
	partly bool // only some of the objects have it: others are not said to
}

// unknown is the shape of anything.
func unknown() *Shape { return nil }

var _ filter.Shape = (*Shape)(nil)

// kinds are the kinds of values that a value may be of.
type kinds uint8

const (
	object kinds = 1 << iota
	list
	text
	number
	boolean
	null
	all = object | list | text | number | boolean | null
)

// kindNames are how kinds are called, in the order of their bits.
var kindNames = [...]string{"an object", "a list", "a text", "a number", "true or false", "null"}

// String says what a value is.
func (k kinds) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 && (1<<i != null || k == null) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// Known is a shape as others see it.
func Known(s *Shape) filter.Shape {
	if s == nil {
		return nil
	}
	return s
}

// From is a shape that was made by Known.
func From(s filter.Shape) *Shape {
	own, _ := s.(*Shape)
	return own
}

// List is the shape of a list of elements.
func List(element *Shape) *Shape {
	return &Shape{kinds: list, element: func() *Shape { return element }}
}

// Object is the shape of an object with these members and no others.
func Object(members map[string]*Shape) *Shape {
	s := &Shape{kinds: object, told: true, members: map[string]member{}}
	for name, m := range members {
		s.members[name] = member{lazy: func() *Shape { return m }}
	}
	return s
}

// Member is the shape of a member.
func (s *Shape) Member(name string) (filter.Shape, error) {
	m, err := s.member(name)
	return Known(m), err
}

// Element is the shape of the elements.
func (s *Shape) Element() (filter.Shape, error) {
	e, err := s.each()
	return Known(e), err
}

func (s *Shape) member(name string) (*Shape, error) {
	switch {
	case s == nil:
		return nil, nil
	case s.kinds&object == 0:
		return nil, fmt.Errorf("has no members: it is %s%s", s.kinds, s.by())
	}
	if m, is := s.members[name]; is {
		return m.lazy(), nil
	}
	if !s.open {
		return nil, s.without(name)
	}
	if s.rest != nil {
		return s.rest(), nil
	}
	return nil, nil
}

func (s *Shape) each() (*Shape, error) {
	switch {
	case s == nil:
		return nil, nil
	case s.kinds&list == 0:
		return nil, fmt.Errorf("is no list: it is %s%s", s.kinds, s.by())
	case s.element == nil:
		return nil, nil
	}
	return s.element(), nil
}

// values is the shape of what jq's `[]` goes through, which may be an object's members.
func (s *Shape) values() (*Shape, error) {
	switch {
	case s == nil || s.kinds&object != 0:
		return nil, nil
	case s.kinds&list == 0:
		return nil, fmt.Errorf("has nothing to go through: it is %s%s", s.kinds, s.by())
	}
	return s.each()
}

// by says what tells so.
func (s *Shape) by() string {
	if s.of == "" {
		return ""
	}
	return ", by " + s.of
}

// maxListed is how many members an error lists.
const maxListed = 12

// without says that an object has no such member, and which it has.
func (s *Shape) without(name string) error {
	known := slices.Sorted(maps.Keys(s.members))
	listed, more := known, ""
	if len(known) > maxListed {
		listed, more = known[:maxListed], fmt.Sprintf(" and %d more", len(known)-maxListed)
	}
	there := "there are none"
	if len(listed) > 0 {
		there = "there are " + strings.Join(listed, ", ") + more
	}
	if near := config.Suggest(name, known); near != "" {
		return fmt.Errorf("has no member %q; did you mean %q? (%s%s)", name, near, there, s.by())
	}
	return fmt.Errorf("has no member %q; %s%s", name, there, s.by())
}
