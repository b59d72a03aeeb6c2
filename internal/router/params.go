package router

import (
	"iter"
	"strings"
)

// inlineParams is how many parameters fit into Params without allocation.
const inlineParams = 8

// Params are the named parts of a path that matched, percent-decoded, in the order of the pattern. The zero value is
// empty and ready. It may be used again for another request.
type Params struct {
	count  int
	inline [inlineParams]param
	more   []param
}

type param struct{ name, value string }

// Get returns the value of the parameter called name, and whether the pattern that matched has one.
func (p *Params) Get(name string) (string, bool) {
	for i := range p.count {
		if n, value := p.At(i); n == name {
			return value, true
		}
	}
	return "", false
}

// Len returns the number of parameters.
func (p *Params) Len() int { return p.count }

// At returns the name and value of parameter i, counted from 0 and less than Len.
func (p *Params) At(i int) (name, value string) {
	if i < inlineParams {
		return p.inline[i].name, p.inline[i].value
	}
	return p.more[i-inlineParams].name, p.more[i-inlineParams].value
}

// All yields the names and values of the parameters.
func (p *Params) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i := range p.count {
			if !yield(p.At(i)) {
				return
			}
		}
	}
}

// Reset empties p and lets go of the values.
func (p *Params) Reset() {
	clear(p.inline[:min(p.count, inlineParams)])
	clear(p.more)
	p.more, p.count = p.more[:0], 0
}

// add appends a parameter whose value is still encoded.
func (p *Params) add(name, escaped string) {
	next := param{name, unescape(escaped)}
	if p.count < inlineParams {
		p.inline[p.count] = next
	} else {
		p.more = append(p.more, next)
	}
	p.count++
}

// captures say where the named parts of a pattern are in a path.
type captures struct {
	parts []capture
	rest  string      // name of the rest; empty: none
	skip  int         // segments before the rest
	regex *expression // or nil
}

// capture is a named part of one segment.
type capture struct {
	name          string
	segment       int // counted from 0
	before, after int // bytes of the segment that are not its value
}

// newCaptures returns where the named parts of p are, or nil where it has none.
func newCaptures(p *Path) *captures {
	c := &captures{rest: p.restName, skip: len(p.segments), regex: p.regex}
	for i := range p.segments {
		if s := &p.segments[i]; s.name != "" {
			c.parts = append(c.parts, capture{s.name, i, len(s.text), len(s.suffix)})
		}
	}
	if len(c.parts) == 0 && c.rest == "" && (c.regex == nil || len(c.regex.names) == 0) {
		return nil
	}
	return c
}

// fill sets p to the named parts of path, whose pattern matches it.
func (p *Params) fill(c *captures, path string) {
	p.Reset()
	if c == nil {
		return
	}
	if c.regex != nil {
		c.regex.fill(p, path)
		return
	}
	at, rest := 0, path[1:]
	for i := range c.parts {
		part := &c.parts[i]
		rest, at = skip(rest, part.segment-at), part.segment
		text, _, _ := strings.Cut(rest, "/")
		p.add(part.name, text[part.before:len(text)-part.after])
	}
	if c.rest != "" {
		p.add(c.rest, skip(rest, c.skip-at))
	}
}

// skip returns rest without its first n segments.
func skip(rest string, n int) string {
	for range n {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return rest
}
