package router

import (
	"slices"
	"strings"
	"unique"
)

// site holds the paths of one host pattern. Literal paths come before all others that match the same request, so they
// are found in one step; the tree holds the rest.
type site struct {
	exact map[string]*leaf
	root  *node
}

// node is a place in a tree of segments: what may come after one slash. It fills one line of the processor's cache,
// which is what a look-up in a large table mostly waits for.
type node struct {
	literal literals
	*rarer
	param *node
	rest  *leaf
	end   *leaf // the path ends before this slash
}

// rarer is what few nodes have: it comes after literals and before whole segments.
type rarer struct {
	affixes []affixGroup
	regexes []regexGroup
}

// literals finds the node after a literal segment. Most nodes have one, for which a map would cost too much.
type literals struct {
	text string
	only *node
	many map[string]*node // all of them, where there are several
}

// get returns the node after text, or nil.
func (l *literals) get(text string) *node {
	if l.many != nil {
		return l.many[text]
	}
	if l.only != nil && l.text == text {
		return l.only
	}
	return nil
}

// obtain returns the node after text, making it where it is not there yet.
func (l *literals) obtain(text string) *node {
	if n := l.get(text); n != nil {
		return n
	}
	if l.only == nil {
		l.text, l.only = unique.Make(text).Value(), &node{} // one copy of "items", not one for each route
		return l.only
	}
	if l.many == nil {
		l.many = map[string]*node{l.text: l.only}
	}
	return obtain(l.many, text)
}

// affixGroup holds the segments with as much text before and after their parameter. At most one of them matches.
type affixGroup struct {
	before, after int
	nodes         map[affix]*node
}

type affix struct{ before, after string }

// regexGroup holds the expressions with as much literal text in their first open segment, by that text.
type regexGroup struct {
	length int
	leaves map[string][]regexLeaf
}

type regexLeaf struct {
	path *Path
	leaf *leaf
}

// leaf returns the leaf of pattern p, making it where it is not there yet.
func (s *site) leaf(p *Path) *leaf {
	if p.exact() {
		if s.exact == nil {
			s.exact = map[string]*leaf{}
		}
		return obtain(s.exact, p.key())
	}
	if s.root == nil {
		s.root = &node{}
	}
	n := s.root
	for i := range p.segments {
		n = n.child(&p.segments[i])
	}
	switch {
	case p.regex != nil:
		return n.regex(p)
	case p.open():
		if n.rest == nil {
			n.rest = &leaf{}
		}
		return n.rest
	}
	if n.end == nil {
		n.end = &leaf{}
	}
	return n.end
}

// obtain returns m[key], adding it where it is not there yet.
func obtain[K comparable, V any](m map[K]*V, key K) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}

// child returns the node after segment s.
func (n *node) child(s *segment) *node {
	switch s.kind {
	case segmentLiteral:
		return n.literal.obtain(s.text)
	case segmentAffix:
		return obtain(n.affixGroup(s).nodes, affix{s.text, s.suffix})
	}
	if n.param == nil {
		n.param = &node{}
	}
	return n.param
}

// extend makes room in n for affixes and expressions.
func (n *node) extend() {
	if n.rarer == nil {
		n.rarer = &rarer{}
	}
}

// affixGroup returns the group for s, with more text first, and more text before the parameter where it is as much.
func (n *node) affixGroup(s *segment) *affixGroup {
	n.extend()
	at, found := slices.BinarySearchFunc(n.affixes, s, func(g affixGroup, s *segment) int {
		if order := len(s.text) + len(s.suffix) - g.before - g.after; order != 0 {
			return order
		}
		return len(s.text) - g.before
	})
	if !found {
		n.affixes = slices.Insert(n.affixes, at, affixGroup{len(s.text), len(s.suffix), map[affix]*node{}})
	}
	return &n.affixes[at]
}

// regex returns the leaf of an expression, with a longer literal start first, then a longer expression.
func (n *node) regex(p *Path) *leaf {
	n.extend()
	prefix := p.regex.prefix
	at, found := slices.BinarySearchFunc(n.regexes, len(prefix), func(g regexGroup, length int) int { return length - g.length })
	if !found {
		n.regexes = slices.Insert(n.regexes, at, regexGroup{len(prefix), map[string][]regexLeaf{}})
	}
	list := n.regexes[at].leaves[prefix]
	i, found := slices.BinarySearchFunc(list, p, func(l regexLeaf, p *Path) int { return compareExpressions(l.path.regex, p.regex) })
	if !found {
		list = slices.Insert(list, i, regexLeaf{p, &leaf{}})
		n.regexes[at].leaves[prefix] = list
	}
	return list[i].leaf
}

// search is one look-up: for the first rule that holds, or where allow is set, for all methods there are.
type search struct {
	*Request
	method methodBits // of the request
	found  *rule
	allow  *methodSet
}

// try ends the search where l has what it is for.
func (q *search) try(l *leaf) bool {
	if l == nil {
		return false
	}
	if q.allow != nil {
		q.allow.add(l, q.Request)
		return false
	}
	q.found = l.match(q)
	return q.found != nil
}

// search tries the leaves that match the path, in order of precedence.
func (s *site) search(q *search) bool {
	if l := s.exact[q.Path]; l != nil && q.try(l) {
		return true
	}
	if s.root == nil {
		return false
	}
	if q.Path == "" || q.Path[0] != '/' { // "*" of OPTIONS: only any path matches it
		return q.try(s.root.rest)
	}
	return s.root.search(q, q.Path[1:])
}

// search tries the leaves below n in order. What is left of the path after the slash is rest.
func (n *node) search(q *search, rest string) bool {
	text, tail, more := rest, "", false
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		text, tail, more = rest[:slash], rest[slash+1:], true
	}
	if child := n.literal.get(text); child != nil && child.step(q, tail, more) {
		return true
	}
	if n.rarer != nil && (n.searchAffixes(q, text, tail, more) || n.searchRegexes(q, rest)) {
		return true
	}
	if n.param != nil && text != "" && n.param.step(q, tail, more) {
		return true
	}
	return n.rest != nil && q.try(n.rest)
}

// step goes on after a segment: with the next one, or with what may stand at the end of the path.
func (n *node) step(q *search, tail string, more bool) bool {
	if more {
		return n.search(q, tail)
	}
	return q.try(n.end) || q.try(n.rest)
}

func (n *rarer) searchAffixes(q *search, text, tail string, more bool) bool {
	for i := range n.affixes {
		g := &n.affixes[i]
		if !splits(text, g.before, g.after) {
			continue
		}
		child := g.nodes[affix{text[:g.before], text[len(text)-g.after:]}]
		if child != nil && child.step(q, tail, more) {
			return true
		}
	}
	return false
}

func (n *rarer) searchRegexes(q *search, rest string) bool {
	for i := range n.regexes {
		g := &n.regexes[i]
		if len(rest) < g.length {
			continue
		}
		for _, l := range g.leaves[rest[:g.length]] {
			if l.path.regex.re.MatchString(q.Path) && q.try(l.leaf) {
				return true
			}
		}
	}
	return false
}
