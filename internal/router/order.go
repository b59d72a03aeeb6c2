package router

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// The order of precedence, as Table states it. Each function returns less than 0 where a comes before b.

// compareHosts compares host patterns: exact, then wildcards by length, then any.
func compareHosts(a, b string) int {
	class := func(pattern string) int {
		switch suffix, wildcard := wildcardSuffix(pattern); {
		case pattern == anyHost:
			return 1 << 20
		case wildcard:
			return 1<<19 - len(suffix)
		}
		return 0
	}
	return cmp.Compare(class(a), class(b))
}

// Ranks of what a pattern has at one place, first to last.
const (
	rankEnd = iota
	rankLiteral
	rankAffix
	rankExpression
	rankParam
	rankRest
)

// comparePaths compares patterns segment by segment: the first difference decides.
func comparePaths(a, b *Path) int {
	for i := 0; ; i++ {
		rankA, rankB := a.rankAt(i), b.rankAt(i)
		if rankA != rankB {
			return cmp.Compare(rankA, rankB)
		}
		order := 0
		switch rankA {
		case rankLiteral:
			order = strings.Compare(a.segments[i].text, b.segments[i].text)
		case rankAffix:
			order = compareAffixes(&a.segments[i], &b.segments[i])
		case rankExpression:
			return compareExpressions(a.regex, b.regex)
		case rankEnd, rankRest:
			return 0
		}
		if order != 0 {
			return order
		}
	}
}

// rankAt returns the rank of what p has as segment i.
func (p *Path) rankAt(i int) int {
	if i < len(p.segments) {
		switch p.segments[i].kind {
		case segmentLiteral:
			return rankLiteral
		case segmentAffix:
			return rankAffix
		default:
			return rankParam
		}
	}
	switch {
	case p.regex != nil:
		return rankExpression
	case p.open():
		return rankRest
	}
	return rankEnd
}

// compareAffixes puts more text first, and where it is as much, more text before the parameter.
func compareAffixes(a, b *segment) int {
	return cmp.Or(
		-cmp.Compare(len(a.text)+len(a.suffix), len(b.text)+len(b.suffix)),
		-cmp.Compare(len(a.text), len(b.text)),
		strings.Compare(a.text, b.text),
		strings.Compare(a.suffix, b.suffix),
	)
}

// compareExpressions puts a longer literal start first, then a longer expression.
func compareExpressions(a, b *expression) int {
	return cmp.Or(
		-cmp.Compare(len(a.prefix), len(b.prefix)),
		-cmp.Compare(len(a.source), len(b.source)),
		strings.Compare(a.source, b.source),
	)
}

// compareConditions compares rules of the same host and path for a request with method.
func compareConditions(a, b *rule, method string) int {
	return cmp.Or(
		-cmp.Compare(a.methodRank(method), b.methodRank(method)),
		-cmp.Compare(len(a.Headers), len(b.Headers)),
		-cmp.Compare(len(a.Queries), len(b.Queries)),
		-cmp.Compare(len(a.Cookies), len(b.Cookies)),
		-cmp.Compare(a.addressRank(), b.addressRank()),
		-cmp.Compare(a.whenRank(), b.whenRank()),
		-cmp.Compare(a.exacts, b.exacts),
		compareDefinition(a, b),
	)
}

// compareDefinition is the last resort: the name of the route, then the order of definition.
func compareDefinition(a, b *rule) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.index, b.index))
}

// methodRank is 2 where c names methods, 1 where it answers HEAD only since it names GET, 0 where it names none.
func (c *rule) methodRank(method string) int {
	switch {
	case len(c.Methods) == 0:
		return 0
	case method == http.MethodHead && !slices.Contains(c.Methods, method):
		return 1
	}
	return 2
}

// answers reports whether c is for method.
func (c *rule) answers(method string) bool {
	return len(c.Methods) == 0 || slices.Contains(c.Methods, method) ||
		method == http.MethodHead && slices.Contains(c.Methods, http.MethodGet)
}

// addressRank is -1 without addresses, else the bits of the widest network.
func (c *rule) addressRank() int {
	if len(c.Addresses) == 0 {
		return -1
	}
	return c.networks
}

func (c *rule) whenRank() int {
	if c.When == nil {
		return 0
	}
	return 1
}
