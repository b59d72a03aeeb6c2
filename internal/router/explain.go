package router

import (
	"cmp"
	"slices"
	"strings"
)

// Explanation says which rule a request finds, and why not another.
type Explanation struct {
	// Matched says whether a rule matched; Winner is it.
	Matched bool
	Winner  RuleInfo
	// Nearer are rules that did not match, nearest first. Where a rule matched, they are those that would have come
	// before it; else they are those that came closest.
	Nearer []Candidate
	// Methods are those for which the request would have found a route, where nothing but the method stood in the way.
	Methods []string
}

// RuleInfo names a rule.
type RuleInfo struct {
	Rule  int    // index in the rules given to New
	Value int    // index of the route
	Name  string // of the route
	Match string // all that the rule matches, in one line
}

// Candidate is a rule that did not match, and the first condition that failed.
type Candidate struct {
	RuleInfo
	Failed Failure
}

// Failure is a condition that did not hold.
type Failure struct {
	Kind   string // one of the Kind constants
	Name   string // of the header, query parameter or cookie
	Wanted string // what the rule asks for
	Got    string // what the request has; empty where it has nothing
	Hint   string // what may be the mistake; empty where none is known
}

// Kinds of conditions, in the order in which they are checked.
const (
	KindHost    = "host"
	KindPath    = "path"
	KindMethod  = "method"
	KindHeader  = "header"
	KindQuery   = "query"
	KindCookie  = "cookie"
	KindAddress = "address"
	KindWhen    = "when"
)

// candidate is a Candidate with what its place in the list depends on.
type candidate struct {
	rule   *rule
	host   string // the pattern that matched, or the most specific one
	near   int    // how far the rule got: see nearness
	failed Failure
}

// How near a rule is that failed early. One that failed after its path is nearer the later it failed.
const (
	nearHost   = 1       // the host matches and nothing of the path
	nearPath   = 2       // the path matches, the host does not
	nearPart   = 3       // the host and some segments match: plus the number of segments
	nearSpell  = 1 << 20 // but for its spelling, the path matches
	nearMethod = 2 << 20 // host and path match: plus the number of the condition that failed
)

// Explain says which rule r finds, and why each of up to limit nearer ones did not match. It looks at every rule, and
// is not meant for the request path.
func (t *Table) Explain(r *Request, limit int) Explanation {
	q := search{Request: r, method: bitOf(r.Method)}
	t.search(&q)
	var e Explanation
	if q.found != nil {
		e.Matched, e.Winner = true, q.found.info()
	} else {
		e.Methods = t.Methods(r)
	}
	var list []candidate
	for _, c := range t.rules {
		if found, ok := c.explain(r, q.found); ok {
			list = append(list, found)
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(-cmp.Compare(a.near, b.near), compareRules(a.rule, a.host, b.rule, b.host, r.Method))
	})
	for _, found := range list[:min(len(list), max(limit, 0))] {
		if found.near == nearHost && list[0].near > nearHost {
			break // they have nothing but the host in common with the request, and others came closer
		}
		e.Nearer = append(e.Nearer, Candidate{found.rule.info(), found.failed})
	}
	if r.Params != nil {
		r.Params.Reset()
		if q.found != nil {
			r.Params.fill(q.found.captures, r.Path)
		}
	}
	return e
}

// compareRules compares rules by all that precedence knows, each by one of its hosts.
func compareRules(a *rule, hostA string, b *rule, hostB string, method string) int {
	return cmp.Or(compareHosts(hostA, hostB), comparePaths(&a.Path, &b.Path), compareConditions(a, b, method))
}

// info names c.
func (c *rule) info() RuleInfo {
	return RuleInfo{Rule: c.index, Value: c.Value, Name: c.Name, Match: c.String()}
}

// explain returns c as a candidate, if it did not match r, would have come before winner and is near enough.
func (c *rule) explain(r *Request, winner *rule) (candidate, bool) {
	found := candidate{rule: c}
	var hostOK bool
	found.host, hostOK = c.bestHost(r.Host)
	if winner != nil {
		winnerHost, _ := winner.bestHost(r.Host)
		if c == winner || compareRules(c, found.host, winner, winnerHost, r.Method) > 0 {
			return found, false
		}
	}
	segments, pathOK := c.Path.compare(r.Path)
	switch {
	case !hostOK && !pathOK:
		return found, false
	case !hostOK:
		found.near = nearPath
		found.failed = Failure{Kind: KindHost, Wanted: strings.Join(c.Hosts, " or "), Got: r.Host}
		return found, true
	case !pathOK:
		found.failed = Failure{Kind: KindPath, Wanted: c.Path.String(), Got: r.Path, Hint: c.Path.hint(r.Path)}
		switch {
		case found.failed.Hint != "":
			found.near = nearSpell
		case segments > 0:
			found.near = nearPart + segments
		default:
			found.near = nearHost
		}
		return found, winner == nil || found.near > nearHost
	}
	var step int
	found.failed, step = c.failure(r)
	found.near = nearMethod + step
	return found, found.failed.Kind != ""
}

// bestHost returns the most specific host pattern of c that matches host, or if none does, the most specific one.
func (c *rule) bestHost(host string) (pattern string, ok bool) {
	sorted := slices.SortedStableFunc(slices.Values(c.Hosts), compareHosts)
	if at := slices.IndexFunc(sorted, func(pattern string) bool { return hostMatches(pattern, host) }); at >= 0 {
		return sorted[at], true
	}
	return sorted[0], false
}

// hint says what is wrong with path for p, where it is only a matter of spelling.
func (p *Path) hint(path string) string {
	if p.regex != nil {
		return ""
	}
	other, slash := strings.CutSuffix(path, "/")
	if !slash {
		other = path + "/"
	}
	switch {
	case p.matches(other) && slash:
		return "the pattern has no slash at the end"
	case p.matches(other):
		return "the pattern has a slash at the end"
	case p.fold().matches(strings.ToLower(path)):
		return "upper and lower case differ"
	}
	return ""
}

// fold returns p with its literals in lower case.
func (p *Path) fold() *Path {
	folded := *p
	folded.segments = slices.Clone(p.segments)
	for i := range folded.segments {
		s := &folded.segments[i]
		s.text, s.suffix = strings.ToLower(s.text), strings.ToLower(s.suffix)
	}
	return &folded
}

// failure returns the first condition after host and path that fails for r, and how many kinds held before it.
func (c *rule) failure(r *Request) (failed Failure, step int) {
	if !c.answers(r.Method) {
		return Failure{Kind: KindMethod, Wanted: strings.Join(c.Methods, " or "), Got: r.Method}, 0
	}
	for i := range c.Headers {
		if v := &c.Headers[i]; !v.inHeader(r.Header) {
			return v.failure(KindHeader, r.Header[v.Name]), 1
		}
	}
	for i := range c.Queries {
		if v := &c.Queries[i]; !v.inQuery(r.RawQuery) {
			return v.failure(KindQuery, v.queryValues(r.RawQuery)), 2
		}
	}
	for i := range c.Cookies {
		if v := &c.Cookies[i]; !v.inCookies(r.Header) {
			return Failure{Kind: KindCookie, Name: v.Name, Wanted: v.wanted(), Got: v.hidden(r)}, 3
		}
	}
	switch {
	case !c.addressHolds(r):
		return Failure{Kind: KindAddress, Wanted: c.wantedAddresses(), Got: r.Client.String()}, 4
	case !c.whenHolds(r):
		return Failure{Kind: KindWhen, Wanted: c.WhenText, Got: "false"}, 5
	}
	return Failure{}, 6
}

// failure returns that v failed on values. Values of headers that carry credentials are not shown.
func (v *ValueRule) failure(kind string, values []string) Failure {
	got := strings.Join(values, ", ")
	if kind == KindHeader && got != "" {
		switch v.Name {
		case "Authorization", "Proxy-Authorization", "Cookie":
			got = "(not shown)"
		}
	}
	return Failure{Kind: kind, Name: v.Name, Wanted: v.wanted(), Got: got}
}

// queryValues returns the values that query has for v, decoded.
func (v *ValueRule) queryValues(query string) (values []string) {
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if equalQuery(name, v.Name) {
			decoded, _ := unescapeQuery(value)
			values = append(values, decoded)
		}
	}
	return values
}

// hidden returns a stand-in for the value of the cookie that v asks for, if r has one.
func (v *ValueRule) hidden(r *Request) string {
	if (&ValueRule{Name: v.Name, Present: 1}).inCookies(r.Header) {
		return "(not shown)"
	}
	return ""
}
