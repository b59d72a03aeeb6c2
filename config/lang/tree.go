package lang

import (
	"strings"
	"sync"
	"sync/atomic"
)

// value is what a Node points to. Trees are built once and then never change, but for the mark of secrets.
type value struct {
	kind   Kind
	at     place
	parent *value // nil for a root
	name   *value // the key of an object's value
	index  int    // the place in a list
	broken bool   // the builder has reported it; it is a null that nobody wrote

	text     string       // a scalar as written, without quotes
	quoted   bool         // a scalar in quotes, in a block, or tagged !!str
	expanded string       // text with ${…} replaced
	pieces   []piece      // what was replaced
	bad      *Error       // why text could not be expanded
	secret   *atomic.Bool // whether it was decoded into a Secret; shared by all uses of an anchor

	entries []entry
	lookup  map[string]int // of large objects
	items   []*value
}

// entry is one key of an object with its value.
type entry struct{ key, value *value }

// piece is a `${…}` with the text that replaced it.
type piece struct{ written, text string }

// place is a stretch of a source.
type place struct {
	src          *source
	line, column int // from 1
	width        int // characters on that line
	more         int // further lines that it takes
}

// pos is where the place begins.
func (p place) pos() Pos {
	if p.src == nil {
		return Pos{}
	}
	return Pos{File: p.src.name, Line: p.line, Column: p.column}
}

// source is one file of a configuration.
type source struct {
	name  string
	lines []string

	mu      sync.Mutex
	secrets map[int][]place // by line
}

// newSource splits a text into its lines.
func newSource(name string, text string) *source {
	return &source{name: name, lines: strings.Split(text, "\n"), secrets: map[int][]place{}}
}

// entry finds a key of an object; nil when there is none.
func (v *value) entry(name string) *entry {
	if v == nil || v.kind != NodeMap {
		return nil
	}
	if v.lookup != nil {
		if i, ok := v.lookup[name]; ok {
			return &v.entries[i]
		}
		return nil
	}
	for i := range v.entries {
		if v.entries[i].key.text == name {
			return &v.entries[i]
		}
	}
	return nil
}

// largeObject is from how many keys on an object gets an index.
const largeObject = 16

// add appends an entry whose key is not there yet.
func (v *value) add(key, val *value) {
	val.parent, val.name = v, key
	key.parent, key.name = v, key
	v.entries = append(v.entries, entry{key, val})
	switch {
	case v.lookup != nil:
		v.lookup[key.text] = len(v.entries) - 1
	case len(v.entries) >= largeObject:
		v.lookup = make(map[string]int, 2*len(v.entries))
		for i, e := range v.entries {
			v.lookup[e.key.text] = i
		}
	}
}

// appendItem appends an item to a list.
func (v *value) appendItem(item *value) {
	item.parent, item.name, item.index = v, nil, len(v.items)
	v.items = append(v.items, item)
}

// markSecret notes that the value must not be shown.
func (v *value) markSecret() {
	if v.secret == nil || v.secret.Swap(true) {
		return
	}
	s := v.at.src
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[v.at.line] = append(s.secrets[v.at.line], v.at)
	for line := v.at.line + 1; line <= v.at.line+v.at.more; line++ {
		s.secrets[line] = append(s.secrets[line], place{src: s, line: line, column: 1, width: len(s.lines[min(line, len(s.lines))-1])})
	}
}

// isSecret reports whether the value was decoded into a Secret.
func (v *value) isSecret() bool { return v.secret != nil && v.secret.Load() }
