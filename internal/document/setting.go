package document

import (
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// settingStage sets values.
type settingStage struct {
	cursor
	out    sink
	values []any // of the references
	skip   whole
}

func (s *settingStage) write(k jsontext.Kind, raw []byte) error {
	switch {
	case s.skip.active():
		s.skip.follow(k)
		return nil
	case k == name:
		if n := s.named(raw); n != nil {
			s.top().see(n)
		}
	case closes(k):
		if err := s.complete(s.close()); err != nil {
			return err
		}
	default:
		return s.begin(k, raw)
	}
	return s.out.write(k, raw)
}

// see notes that a member is there.
func (f *frame) see(n *node) {
	if f.seen == nil {
		f.seen = make([]bool, len(f.node.members))
	}
	for i, m := range f.node.members {
		if m.node == n {
			f.seen[i] = true
		}
	}
}

func (s *settingStage) begin(k jsontext.Kind, raw []byte) error {
	n := s.value()
	switch {
	case n != nil && n.set != nil:
		s.skip.follow(k)
		return s.put(n.set.value)
	case n.objects() && k == 'n':
		return s.make(n)
	case n.objects() && k != '{', n.lists() && k != '[' && k != 'n':
		return unfit(n, k)
	case opens(k):
		s.open(n, k)
	}
	return s.out.write(k, raw)
}

func unfit(n *node, k jsontext.Kind) error {
	expected := "an object"
	if n.lists() {
		expected = "a list"
	}
	return &Error{Kind: Unfit, Offset: -1, Reason: fmt.Sprintf("a value cannot be set: it would be in %s, but there is %s", expected, kindName(k))}
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case 'n':
		return "null"
	}
	return "true or false"
}

// complete adds the members that did not come to an object that ends.
func (s *settingStage) complete(f frame) error {
	if f.list || f.node == nil {
		return nil
	}
	for i, m := range f.node.members {
		if f.seen != nil && f.seen[i] || m.node.set == nil && !m.node.makes {
			continue
		}
		if err := s.out.write(name, m.quoted); err != nil {
			return err
		}
		if err := s.make(m.node); err != nil {
			return err
		}
	}
	return nil
}

// make writes a value that is not there.
func (s *settingStage) make(n *node) error {
	if n.set != nil {
		return s.put(n.set.value)
	}
	if err := s.out.write('{', nil); err != nil {
		return err
	}
	if err := s.complete(frame{node: n}); err != nil {
		return err
	}
	return s.out.write('}', nil)
}

func (s *settingStage) put(v any) error { return emit(s.out, v, s.values) }

func (s *settingStage) end() error { return s.out.end() }
