package router

// Table finds the rule for a request. It is immutable and safe for use by many goroutines.
//
// # Precedence
//
// Where several rules match a request, the most specific one wins; the order of the file has no say. What follows is
// compared in turn, and the first difference decides.
//
//  1. Host: an exact name comes before a wildcard, a longer wildcard before a shorter one, and any wildcard before
//     rules without a host.
//  2. Path, segment by segment from the left: the path ends here (/a), literal text (/a/b), text with a parameter in it
//     (/a/v{n}; more text first), regular expression (~^/a/[0-9]+$; it stands where its literal start leads, and
//     among several a longer literal start, then a longer expression, comes first), one whole segment (/a/{id} and
//     /a/*), rest (/a/**, which also matches /a itself). So an exact path comes before all others, and a longer /**
//     before a shorter one.
//  3. Method: a rule that names the method comes before one that answers HEAD since it names GET, and that before a
//     rule without methods.
//  4. More header conditions before fewer, then more query conditions, then more cookie conditions.
//  5. Client address: a narrower network before a wider one (of several, the widest counts), and any before none.
//  6. A condition (when) before none.
//  7. More conditions on one exact value before fewer, counting headers, query and cookies together.
//  8. Last resort: the name of the route in alphabetical order, then the order of definition.
//
// A rule takes a request only if everything in it holds. If the first in order does not, the next one is asked, down
// to less specific paths and then to less specific hosts: a host of its own does not hide the routes that every host
// has, as with routes of the Kubernetes Gateway API that are attached to one listener.
//
// # Cost
//
// A look-up takes a map access for the host, one for a literal path, and otherwise one for each segment. It goes up
// and tries again only where patterns overlap. Regular expressions are tried only at the place their literal start
// leads to. Nothing is allocated, except for parameters that must be decoded, more than eight of them or named groups
// of a regular expression, and for query values that are encoded and wanted by a regular expression.
type Table struct {
	hosts hosts
	rules []*rule
}

// New builds the table of rules, and says which of them are in conflict. A table with conflicts works: the rule that
// comes first by precedence wins. Nothing of rules is changed.
func New(rules []Rule) (*Table, []Conflict) {
	t := &Table{rules: make([]*rule, len(rules))}
	var leaves []*leaf
	for i := range rules {
		c := newRule(&rules[i], i)
		t.rules[i] = c
		for _, host := range c.Hosts {
			l := t.hosts.site(host).leaf(&c.Path)
			if len(l.rules) == 0 {
				leaves = append(leaves, l)
			}
			l.rules = append(l.rules, c)
		}
	}
	for _, l := range leaves {
		l.seal()
	}
	return t, t.findConflicts(leaves)
}

// Match returns the value of the rule that wins r, and whether there is one. On return r.Params holds the parameters of
// its path; it is empty where there is none.
func (t *Table) Match(r *Request) (value int, ok bool) {
	q := search{Request: r, method: bitOf(r.Method)}
	t.search(&q)
	if q.found == nil {
		if r.Params != nil {
			r.Params.Reset()
		}
		return 0, false
	}
	if r.Params != nil {
		r.Params.fill(q.found.captures, r.Path)
	}
	return q.found.value, true
}

// search goes through the sites for the host, most specific first.
func (t *Table) search(q *search) {
	if s := t.hosts.exact[q.Host]; s != nil && s.search(q) {
		return
	}
	if t.hosts.wildcard != nil {
		for s, next := t.hosts.wildcardSite(q.Host, 1); s != nil; s, next = t.hosts.wildcardSite(q.Host, next) {
			if s.search(q) {
				return
			}
		}
	}
	if t.hosts.any != nil {
		t.hosts.any.search(q)
	}
}
