package router

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Conflict is a rule that can never win a request, since another wins all that it matches.
type Conflict struct {
	A, B   int // A wins, B never does: indexes in the rules given to New
	Kind   ConflictKind
	Reason string // one sentence, with the names of the routes
}

// ConflictKind says how two rules are in conflict.
type ConflictKind uint8

const (
	// Duplicate: both match exactly the same requests.
	Duplicate ConflictKind = iota + 1
	// Shadowed: all that B matches is won by A, or by A and others.
	Shadowed
)

// String returns "duplicate" or "shadowed".
func (k ConflictKind) String() string {
	if k == Duplicate {
		return "duplicate"
	}
	return "shadowed"
}

// loss counts the parts of a rule, one for each host and method, that others win.
type loss struct {
	parts int
	to    *rule // the first of the winners
}

// part is what decides within one leaf: rules with the same method and conditions match the same requests.
type part struct{ method, conditions string }

// findConflicts finds the rules that never win. Within one host and path, and for one method, a rule with more
// conditions comes first; so what another rule covers wholly has the same conditions. Different hosts and paths never
// cover what comes after them, since the more specific comes first. The cost is that of one map access for each rule,
// host and method.
//
// There is one exception: an expression such as ~^/users/.*$ covers /users/{id}, which comes after it.
func (t *Table) findConflicts(leaves []*leaf) []Conflict {
	lost, covered := map[*rule]loss{}, map[*leaf]*rule{}
	for s := range t.hosts.all() {
		if s.root != nil {
			s.root.findCovered(nil, covered)
		}
	}
	for _, l := range leaves {
		switch cover := covered[l]; {
		case cover != nil:
			for _, c := range l.rules {
				lost[c] = loss{lost[c].parts + max(1, len(c.Methods)), cmp.Or(lost[c].to, cover)}
			}
		case len(l.rules) > 1:
			l.findLosses(lost)
		}
	}
	var found []Conflict
	for c, l := range lost {
		if l.parts == len(c.Hosts)*max(1, len(c.Methods)) {
			found = append(found, newConflict(l.to, c))
		}
	}
	slices.SortFunc(found, func(x, y Conflict) int { return cmp.Compare(x.B, y.B) })
	return found
}

// findLosses adds the parts that rules of l lose to one another.
func (l *leaf) findLosses(lost map[*rule]loss) {
	winners := map[part]*rule{}
	for _, c := range slices.SortedFunc(slices.Values(l.rules), compareDefinition) {
		methods := c.Methods
		if len(methods) == 0 {
			methods = []string{""}
		}
		for _, method := range methods {
			winner := winners[part{method, c.key}]
			if winner == nil {
				winners[part{method, c.key}] = c
				continue
			}
			lost[c] = loss{lost[c].parts + 1, cmp.Or(lost[c].to, winner)}
		}
	}
}

// findCovered finds the leaves below n which are covered by an expression for everything. Cover is one from above.
func (n *node) findCovered(cover *rule, covered map[*leaf]*rule) {
	for _, l := range []*leaf{n.end, n.rest} {
		if cover != nil && l != nil {
			covered[l] = cover
		}
	}
	if n.literal.many == nil && n.literal.only != nil {
		n.literal.only.findCovered(cover, covered)
	}
	for _, child := range n.literal.many {
		child.findCovered(cover, covered)
	}
	if n.rarer != nil {
		cover = n.rarer.findCovered(cover, covered)
	}
	if n.param != nil {
		n.param.findCovered(cover, covered)
	}
}

// findCovered does so for the affixes and expressions, and returns the cover of what comes after them.
func (n *rarer) findCovered(cover *rule, covered map[*leaf]*rule) *rule {
	for _, g := range n.affixes {
		for _, child := range g.nodes {
			child.findCovered(cover, covered)
		}
	}
	for _, g := range n.regexes {
		for _, list := range g.leaves {
			for _, l := range list {
				if cover != nil {
					covered[l.leaf] = cover
				} else if l.path.everything() {
					cover = l.leaf.unconditional()
				}
			}
		}
	}
	return cover
}

// everything reports whether p is an expression for all below its literal segments.
func (p *Path) everything() bool {
	prefix := "/"
	for i := range p.segments {
		prefix += p.segments[i].text + "/"
	}
	return strings.TrimSuffix(strings.TrimPrefix(p.regex.source, "^"), "$") == regexp.QuoteMeta(prefix)+".*"
}

// unconditional returns a rule that holds for every method and request.
func (l *leaf) unconditional() *rule {
	at := slices.IndexFunc(l.rules, func(c *rule) bool { return c.plain && len(c.Methods) == 0 })
	if at < 0 {
		return nil
	}
	return l.rules[at]
}

// newConflict describes the conflict in which b loses to a.
func newConflict(a, b *rule) Conflict {
	c := Conflict{A: a.index, B: b.index, Kind: Shadowed}
	if a.key == b.key && a.Path.key() == b.Path.key() && sameSet(a.Hosts, b.Hosts) && sameSet(a.Methods, b.Methods) {
		c.Kind = Duplicate
		c.Reason = fmt.Sprintf("routes %s and %s both match %s", a.title(), b.title(), b)
		return c
	}
	c.Reason = fmt.Sprintf("route %s can never match: all of %s goes to route %s, which matches %s", b.title(), b, a.title(), a)
	return c
}

// sameSet reports whether two lists without repetitions hold the same.
func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(text string) bool { return !slices.Contains(b, text) })
}

// title returns the name of the route in quotes, or its number where it has none.
func (c *rule) title() string {
	if c.Name == "" {
		return "#" + strconv.Itoa(c.Value)
	}
	return strconv.Quote(c.Name)
}

// String returns what c matches, in one line.
func (c *rule) String() string {
	var b strings.Builder
	if len(c.Methods) > 0 {
		b.WriteString(strings.Join(c.Methods, ",") + " ")
	}
	if !slices.Equal(c.Hosts, []string{anyHost}) {
		b.WriteString(strings.Join(c.Hosts, ","))
	}
	b.WriteString(c.Path.String())
	if conditions := c.conditions((*ValueRule).wanted); len(conditions) > 0 {
		b.WriteString(" with " + strings.Join(conditions, ", "))
	}
	return b.String()
}

// conditionKey returns the conditions in normal form: rules with the same key have the same conditions. A condition
// without text is known only to itself.
func (c *rule) conditionKey() string {
	if c.plain {
		return ""
	}
	list := c.conditions((*ValueRule).exactly)
	slices.Sort(list)
	if c.When != nil && c.WhenText == "" {
		list = append(list, "rule "+strconv.Itoa(c.index))
	}
	return strings.Join(slices.Compact(list), "\x00")
}

// conditions returns each condition but host, path and method as a text, those on values in the words of value.
func (c *rule) conditions(value func(*ValueRule) string) []string {
	var list []string
	for _, kind := range []struct {
		name   string
		values []ValueRule
	}{{KindHeader, c.Headers}, {KindQuery, c.Queries}, {KindCookie, c.Cookies}} {
		for i := range kind.values {
			v := &kind.values[i]
			list = append(list, kind.name+" "+v.Name+" "+value(v))
		}
	}
	if len(c.Addresses) > 0 {
		list = append(list, KindAddress+" "+c.wantedAddresses())
	}
	if c.When != nil {
		list = append(list, KindWhen+" "+c.WhenText)
	}
	return list
}

// wanted returns what v asks for, to be read after the name by people.
func (v *ValueRule) wanted() string {
	if v.Shown != "" {
		if v.Matches != nil {
			return "matching " + v.Shown
		}
		return "= " + v.Shown
	}
	return v.exactly()
}

// exactly returns what v asks for in full: rules are the same when it is.
func (v *ValueRule) exactly() string {
	switch {
	case v.Present > 0:
		return "present"
	case v.Present < 0:
		return "absent"
	case v.Matches != nil:
		return "matching " + strconv.Quote(v.Matches.String())
	}
	return "= " + strconv.Quote(v.Is)
}

// wantedAddresses returns the networks, sorted.
func (c *rule) wantedAddresses() string {
	texts := make([]string, len(c.Addresses))
	for i, prefix := range c.Addresses {
		texts[i] = prefix.String()
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), " or ")
}
