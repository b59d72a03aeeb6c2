package router

import (
	"net/http"
	"slices"
)

// leaf holds the rules of one host and one path. Its order for each method is fixed when it is sealed.
type leaf struct {
	only    *rule   // where there is but one
	rules   []*rule // as they were added
	methods []methodBucket
	other   bucket // for the methods that no rule names
}

// methodBucket holds the rules for one method.
type methodBucket struct {
	method string
	bucket
}

// seal orders the rules for each method that is named.
func (l *leaf) seal() {
	if len(l.rules) == 1 {
		l.only = l.rules[0]
		return
	}
	var named []string
	for _, c := range l.rules {
		for _, method := range c.Methods {
			if !slices.Contains(named, method) {
				named = append(named, method)
			}
		}
	}
	if slices.Contains(named, http.MethodGet) && !slices.Contains(named, http.MethodHead) {
		named = append(named, http.MethodHead)
	}
	if len(named) > 0 {
		l.methods = make([]methodBucket, 0, len(named))
	}
	for _, method := range named {
		l.methods = append(l.methods, methodBucket{method, newBucket(l.rules, method)})
	}
	l.other = newBucket(l.rules, "")
}

// match returns the first rule that holds for the request of q, or nil.
func (l *leaf) match(q *search) *rule {
	if c := l.only; c != nil {
		if (c.methods&q.method != 0 || c.answers(q.Method)) && c.holds(q.Request) {
			return c
		}
		return nil
	}
	for i := range l.methods {
		if l.methods[i].method == q.Method {
			return l.methods[i].match(q.Request)
		}
	}
	return l.other.match(q.Request)
}

// bucket holds the rules of a leaf for one method, in order.
type bucket struct {
	rules []*rule
	index *headerIndex // nil where rules are few
}

// indexFrom is the number of rules from which an index pays.
const indexFrom = 8

// headerIndex finds rules by the value of the header that most of them ask for, so that a thousand tenants on one
// path cost as much as one. Its lists are positions in the bucket, in order.
type headerIndex struct {
	name    string
	byValue map[string][]int32
	others  []int32 // rules that ask for no exact value of this header
}

// newBucket selects the rules for method, and orders and indexes them.
func newBucket(rules []*rule, method string) bucket {
	var b bucket
	for _, c := range rules {
		if c.answers(method) {
			b.rules = append(b.rules, c)
		}
	}
	slices.SortFunc(b.rules, func(x, y *rule) int { return compareConditions(x, y, method) })
	if len(b.rules) >= indexFrom {
		b.index = newHeaderIndex(b.rules)
	}
	return b
}

// newHeaderIndex indexes rules by the header most of them ask for. It returns nil where no header is asked for by several.
func newHeaderIndex(rules []*rule) *headerIndex {
	counts := map[string]int{}
	name := ""
	for _, c := range rules {
		for i := range c.Headers {
			if v := &c.Headers[i]; v.exact() {
				counts[v.Name]++
				if n, most := counts[v.Name], counts[name]; n > most || n == most && v.Name < name {
					name = v.Name
				}
			}
		}
	}
	if counts[name] < indexFrom/2 {
		return nil
	}
	index := &headerIndex{name: name, byValue: map[string][]int32{}}
	for i, c := range rules {
		at := slices.IndexFunc(c.Headers, func(v ValueRule) bool { return v.exact() && v.Name == name })
		if at < 0 {
			index.others = append(index.others, int32(i))
			continue
		}
		value := c.Headers[at].Is
		index.byValue[value] = append(index.byValue[value], int32(i))
	}
	return index
}

// match returns the first rule that holds for r, or nil.
func (b *bucket) match(r *Request) *rule {
	if b.index == nil {
		for _, c := range b.rules {
			if c.holds(r) {
				return c
			}
		}
		return nil
	}
	first := b.first(b.index.others, r, len(b.rules))
	for _, value := range r.Header[b.index.name] {
		first = b.first(b.index.byValue[value], r, first)
	}
	if first == len(b.rules) {
		return nil
	}
	return b.rules[first]
}

// first returns the first of positions before bound whose rule holds, or bound.
func (b *bucket) first(positions []int32, r *Request, bound int) int {
	for _, at := range positions {
		if int(at) >= bound {
			break
		}
		if b.rules[at].holds(r) {
			return int(at)
		}
	}
	return bound
}
