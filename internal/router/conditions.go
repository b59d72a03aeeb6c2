package router

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// rule is a Rule made ready for matching. It never changes after New. What a look-up needs comes first.
type rule struct {
	plain    bool       // has no condition but host, path and method
	methods  methodBits // that it answers; a method without a bit is looked for in Methods
	value    int
	captures *captures // nil where the path has no named part
	Rule
	index    int // in the rules given to New
	networks int // bits of the widest of Addresses, counted as IPv6
	exacts   int // conditions that want one exact value
	key      string
}

// newRule copies what must be brought into normal form; the caller's Rule stays as it is.
func newRule(from *Rule, index int) *rule {
	c := &rule{Rule: *from, index: index, networks: 129, value: from.Value, captures: from.Path.captures}
	c.Hosts = normalHosts(from.Hosts)
	c.Methods = distinct(from.Methods)
	c.methods = answeredBits(c.Methods)
	c.Headers = distinctValues(from.Headers, http.CanonicalHeaderKey)
	c.Queries = distinctValues(from.Queries, nil)
	c.Cookies = distinctValues(from.Cookies, nil)
	c.Addresses = nil
	for _, prefix := range from.Addresses {
		prefix = unmap(prefix)
		bits := prefix.Bits()
		if prefix.Addr().Is4() {
			bits += 96
		}
		c.Addresses, c.networks = append(c.Addresses, prefix), min(c.networks, bits)
	}
	for _, list := range [][]ValueRule{c.Headers, c.Queries, c.Cookies} {
		for i := range list {
			if list[i].exact() {
				c.exacts++
			}
		}
	}
	c.plain = len(c.Headers)+len(c.Queries)+len(c.Cookies)+len(c.Addresses) == 0 && c.When == nil
	c.key = c.conditionKey()
	return c
}

// unmap returns prefix masked, and as IPv4 where it is IPv4 written as IPv6.
func unmap(prefix netip.Prefix) netip.Prefix {
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked()
}

// normalHosts returns the patterns in lower case, each once, and any host where there are none.
func normalHosts(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{anyHost}
	}
	list := make([]string, len(patterns))
	for i, pattern := range patterns {
		list[i] = strings.ToLower(pattern)
	}
	return distinct(list)
}

// distinct returns list without repetitions, in its order.
func distinct(list []string) []string {
	if len(list) < 2 {
		return list
	}
	out := make([]string, 0, len(list))
	for _, text := range list {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// distinctValues returns a copy of list with normal names, and each condition once: a repetition must not add to
// precedence.
func distinctValues(list []ValueRule, normal func(string) string) []ValueRule {
	var out []ValueRule
	for _, v := range list {
		if normal != nil {
			v.Name = normal(v.Name)
		}
		same := func(o ValueRule) bool { return o.Name == v.Name && o.exactly() == v.exactly() }
		if !slices.ContainsFunc(out, same) {
			out = append(out, v)
		}
	}
	return out
}

// holds reports whether all conditions but host, path and method hold, cheapest first.
func (c *rule) holds(r *Request) bool {
	return c.plain || c.valuesHold(r) && c.addressHolds(r) && c.whenHolds(r)
}

func (c *rule) valuesHold(r *Request) bool {
	for i := range c.Headers {
		if !c.Headers[i].inHeader(r.Header) {
			return false
		}
	}
	for i := range c.Queries {
		if !c.Queries[i].inQuery(r.RawQuery) {
			return false
		}
	}
	for i := range c.Cookies {
		if !c.Cookies[i].inCookies(r.Header) {
			return false
		}
	}
	return true
}

func (c *rule) addressHolds(r *Request) bool {
	if len(c.Addresses) == 0 {
		return true
	}
	client := r.Client.Unmap().WithZone("")
	for i := range c.Addresses {
		if c.Addresses[i].Contains(client) {
			return true
		}
	}
	return false
}

func (c *rule) whenHolds(r *Request) bool {
	if c.When == nil {
		return true
	}
	if r.Params != nil {
		r.Params.fill(c.captures, r.Path)
	}
	return c.When(r)
}

// exact reports whether v wants one exact value.
func (v *ValueRule) exact() bool { return v.Present == 0 && v.Matches == nil }

// accepts reports whether a value that is there is what v wants.
func (v *ValueRule) accepts(value string) bool {
	if v.Matches != nil {
		return v.Matches.MatchString(value)
	}
	return value == v.Is
}

// inHeader reports whether v holds for the header field it names.
func (v *ValueRule) inHeader(header http.Header) bool {
	values := header[v.Name]
	if v.Present != 0 {
		return len(values) > 0 == (v.Present > 0)
	}
	return slices.ContainsFunc(values, v.accepts)
}

// inQuery reports whether v holds for the query parameter it names. It decodes only what a regular expression must see.
func (v *ValueRule) inQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if pair == "" || !equalQuery(name, v.Name) {
			continue
		}
		switch {
		case v.Present != 0:
			return v.Present > 0
		case v.Matches == nil:
			if equalQuery(value, v.Is) {
				return true
			}
		default:
			if decoded, ok := unescapeQuery(value); ok && v.Matches.MatchString(decoded) {
				return true
			}
		}
	}
	return v.Present < 0
}

// inCookies reports whether v holds for the cookie it names.
func (v *ValueRule) inCookies(header http.Header) bool {
	for _, line := range header["Cookie"] {
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || name != v.Name {
				continue
			}
			if v.Present != 0 {
				return v.Present > 0
			}
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			if v.accepts(value) {
				return true
			}
		}
	}
	return v.Present < 0
}
