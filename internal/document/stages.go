package document

import (
	"github.com/go-json-experiment/json/jsontext"
)

// selecting passes on only what is at one path, as the whole.
type selecting struct {
	cursor
	out   sink
	many  bool
	begun bool
	kept  whole
	skip  whole
}

func (s *selecting) write(k jsontext.Kind, raw []byte) error {
	switch {
	case s.skip.active():
		s.skip.follow(k)
		return nil
	case s.kept.active():
		s.kept.follow(k)
		return s.out.write(k, raw)
	case k == name:
		s.named(raw)
		return nil
	case closes(k):
		s.close()
		return nil
	}
	return s.begin(k, raw)
}

func (s *selecting) begin(k jsontext.Kind, raw []byte) error {
	n := s.value()
	switch {
	case n != nil && n.keep:
		s.begun = true
		s.kept.follow(k)
		return s.out.write(k, raw)
	case n.objects() && k == '{':
		s.open(n, k)
	case n.lists() && k == '[':
		s.open(n, k)
		if n.each != nil && !s.begun {
			s.begun = true
			return s.out.write('[', nil)
		}
	default:
		s.skip.follow(k)
	}
	return nil
}

func (s *selecting) end() error {
	if !s.begun {
		return &Error{Kind: Unfit, Offset: -1, Reason: "the document has nothing at the path that is selected"}
	}
	if s.many {
		if err := s.out.write(']', nil); err != nil {
			return err
		}
	}
	return s.out.end()
}

// picking passes on only what is at some paths, and what leads there.
type picking struct {
	cursor
	out  sink
	held []byte // the name of the member whose value comes next
	kept whole
	skip whole
}

func (s *picking) write(k jsontext.Kind, raw []byte) error {
	switch {
	case s.skip.active():
		s.skip.follow(k)
		return nil
	case s.kept.active():
		s.kept.follow(k)
		return s.out.write(k, raw)
	case k == name:
		if s.named(raw) != nil {
			s.held = append(s.held[:0], raw...)
		}
		return nil
	case closes(k):
		s.close()
		return s.out.write(k, raw)
	}
	return s.begin(k, raw)
}

func (s *picking) begin(k jsontext.Kind, raw []byte) error {
	n := s.value()
	leads := n.objects() && k == '{' || n.lists() && k == '['
	if n == nil || !n.keep && !leads {
		s.skip.follow(k)
		if len(s.frames) == 0 {
			return s.out.write('n', null)
		}
		return nil
	}
	if len(s.frames) > 0 && !s.top().list {
		if err := s.out.write(name, s.held); err != nil {
			return err
		}
	}
	if n.keep {
		s.kept.follow(k)
	} else {
		s.open(n, k)
	}
	return s.out.write(k, raw)
}

func (s *picking) end() error { return s.out.end() }

var null = []byte("null")

// dropping leaves out what is at some paths.
type dropping struct {
	cursor
	out  sink
	skip whole
}

func (s *dropping) write(k jsontext.Kind, raw []byte) error {
	switch {
	case s.skip.active():
		s.skip.follow(k)
		return nil
	case k == name:
		if n := s.named(raw); n != nil && n.keep {
			return nil
		}
	case closes(k):
		s.close()
	default:
		n := s.value()
		if n != nil && n.keep {
			s.skip.follow(k)
			return nil
		}
		if opens(k) {
			s.open(n, k)
		}
	}
	return s.out.write(k, raw)
}

func (s *dropping) end() error { return s.out.end() }

// masking hides texts.
type masking struct {
	cursor
	out    sink
	mask   *Mask // of the object or list that is being hidden
	hidden whole
	buf    []byte
}

func (s *masking) write(k jsontext.Kind, raw []byte) error {
	if s.hidden.active() {
		s.hidden.follow(k)
		return s.hide(s.mask, k, raw)
	}
	switch {
	case k == name:
		s.named(raw)
	case closes(k):
		s.close()
	default:
		n := s.value()
		if n != nil && n.mask != nil {
			s.mask = n.mask
			s.hidden.follow(k)
			return s.hide(s.mask, k, raw)
		}
		if opens(k) {
			s.open(n, k)
		}
	}
	return s.out.write(k, raw)
}

func (s *masking) hide(m *Mask, k jsontext.Kind, raw []byte) error {
	switch k {
	case '"', '0', 't', 'f':
		var err error
		if s.buf, err = m.append(s.buf[:0], raw); err != nil {
			return err
		}
		return s.out.write('"', s.buf)
	}
	return s.out.write(k, raw)
}

func (s *masking) end() error { return s.out.end() }

// append writes what is shown of a raw text, number or literal, as a text.
func (m *Mask) append(b, raw []byte) ([]byte, error) {
	t := string(raw)
	if raw[0] == '"' {
		var err error
		if t, err = text(raw); err != nil {
			return b, err
		}
	}
	return appendText(b, m.show(t))
}

func (m *Mask) show(t string) string {
	const hidden = "***"
	runes := []rune(t)
	if 2*(m.First+m.Last) > len(runes) {
		return hidden
	}
	return string(runes[:m.First]) + hidden + string(runes[len(runes)-m.Last:])
}

// renaming gives members new names.
type renaming struct {
	cursor
	out sink
}

func (s *renaming) write(k jsontext.Kind, raw []byte) error {
	switch {
	case k == name:
		if n := s.named(raw); n != nil && n.rename != nil {
			raw = n.rename
		}
		if !s.top().unique(raw) {
			return twice()
		}
	case closes(k):
		s.close()
	default:
		if n := s.value(); opens(k) {
			s.open(n, k)
		}
	}
	return s.out.write(k, raw)
}

// unique says whether a name is not one that another member of the object has been given already, or had when it was given.
func (f *frame) unique(quoted []byte) bool {
	if f.node == nil {
		return true
	}
	i, ok := lookup(f.node.targets, quoted)
	if !ok {
		return true
	}
	if f.seen == nil {
		f.seen = make([]bool, len(f.node.targets))
	}
	before := f.seen[i]
	f.seen[i] = true
	return !before
}

func (s *renaming) end() error { return s.out.end() }

// flattening lifts the members of objects.
type flattening struct {
	cursor
	out  sink
	held []byte
}

func (s *flattening) write(k jsontext.Kind, raw []byte) error {
	switch {
	case k == name:
		if n := s.named(raw); n != nil && n.keep {
			s.held = append(s.held[:0], raw...)
			return nil
		}
	case closes(k):
		if s.close().lifted {
			return nil
		}
	default:
		return s.begin(k, raw)
	}
	return s.out.write(k, raw)
}

func (s *flattening) begin(k jsontext.Kind, raw []byte) error {
	n := s.value()
	lifted := n != nil && n.keep && k == '{'
	if n != nil && n.keep && !lifted {
		if err := s.out.write(name, s.held); err != nil {
			return err
		}
	}
	if opens(k) {
		s.open(n, k).lifted = lifted
	}
	if lifted {
		return nil
	}
	return s.out.write(k, raw)
}

func (s *flattening) end() error { return s.out.end() }
