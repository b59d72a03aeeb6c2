package rewrite

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pathtemplate"
)

// parameters are changes to a query, ready to be made.
type parameters struct {
	remove   []string
	prefixes []string // of names to remove
	add      []parameter
}

// parameter is one that is appended.
type parameter struct {
	name     string // escaped, with "="
	template filter.Template
}

func newParameters(env *filter.Env, q *Query) (*parameters, error) {
	if q.empty() {
		return nil, nil
	}
	p := &parameters{}
	for _, name := range q.Remove {
		if prefix, found := strings.CutSuffix(name, "*"); found {
			p.prefixes = append(p.prefixes, prefix)
		} else {
			p.remove = append(p.remove, name)
		}
	}
	p.remove = append(p.remove, slices.Sorted(maps.Keys(q.Set))...)
	for _, part := range []struct {
		key    string
		values map[string][]string
	}{{"set", q.Set}, {"add", q.Add}} {
		for _, name := range slices.Sorted(maps.Keys(part.values)) {
			for i, source := range part.values[name] {
				t, err := env.Expr.Template(source)
				if err != nil {
					return nil, config.FieldErrorf("query."+part.key+"["+strconv.Quote(name)+"]["+strconv.Itoa(i)+"]", "%w", err)
				}
				p.add = append(p.add, parameter{string(pathtemplate.AppendQuery(nil, name)) + "=", t})
			}
		}
	}
	return p, nil
}

// apply returns the changed query. Values are of the exchange as it came.
func (p *parameters) apply(ex *filter.Exchange, raw string) string {
	b := make([]byte, 0, len(raw)+64)
	for more := raw != ""; more; {
		var pair string
		pair, raw, more = strings.Cut(raw, "&")
		if pair = p.keep(pair); pair != "" {
			b = appendPair(b, pair)
		}
	}
	for i := range p.add {
		if text := p.add[i].template(ex); text != "" {
			b = pathtemplate.AppendQuery(appendPair(b, p.add[i].name), text)
		}
	}
	return string(b)
}

func appendPair(b []byte, pair string) []byte {
	if len(b) > 0 {
		b = append(b, '&')
	}
	return append(b, pair...)
}

// keep returns what is left of a pair. Some servers take a semicolon for an ampersand, so a parameter that is removed must not
// hide behind one either.
func (p *parameters) keep(pair string) string {
	if strings.IndexByte(pair, ';') < 0 {
		if p.removes(pair) {
			return ""
		}
		return pair
	}
	kept := slices.DeleteFunc(strings.Split(pair, ";"), p.removes)
	return strings.Join(kept, ";")
}

// removes says whether a pair has a name that is removed. A name whose escapes are broken is compared as it is.
func (p *parameters) removes(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	if strings.ContainsAny(name, "%+") {
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains(p.remove, name)
}
