package securityheaders

import (
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("security_headers", filter.Guard, build) }

// policy is one configured policy, with its fields ready to be set.
type policy struct {
	hsts    *field // nil: none
	fields  []field
	remove  []string // canonical
	merging merging
	note    string
}

// merging is what becomes of a field that the upstream has set.
type merging int

const (
	stricter merging = iota
	keep
	replace
)

// field is a field that answers get.
type field struct {
	name   string   // canonical
	value  []string // shared by all answers, and full, so that appending copies it
	beside bool     // several of them are all heeded: the stricter are both
	// atLeast says whether a value of the upstream's is as strict as ours. Nil: ours is the strictest there is.
	atLeast func(theirs string) bool
}

func build(_ *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{hsts: c.hsts(), fields: c.fields(), remove: c.removed()}
	switch c.Upstream {
	case "keep":
		p.merging = keep
	case "replace":
		p.merging = replace
	}
	p.note = p.describe()
	return &filter.Filter{Response: p.response, Explain: p.explain}, nil
}

// response sets and removes the fields.
func (p *policy) response(ex *filter.Exchange) error {
	resp := ex.Response
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return nil // no browser shows it
	}
	if resp.Header == nil {
		resp.Header = make(http.Header, len(p.fields)+1)
	}
	h := resp.Header
	for _, name := range p.remove {
		delete(h, name)
	}
	for i := range p.fields {
		p.set(h, &p.fields[i])
	}
	switch {
	case p.hsts == nil:
	case ex.Original.Scheme == "https":
		p.set(h, p.hsts)
	default:
		delete(h, p.hsts.name) // browsers ignore it over http (RFC 6797, section 8.1)
	}
	return nil
}

// set sets a field, with a view to what the upstream has set.
func (p *policy) set(h http.Header, f *field) {
	theirs := h[f.name]
	switch {
	case len(theirs) == 0 || p.merging == replace:
		h[f.name] = f.value
	case p.merging == keep:
	case f.beside:
		if len(theirs) != 1 || theirs[0] != f.value[0] {
			h[f.name] = append(theirs[:len(theirs):len(theirs)], f.value...)
		}
	case len(theirs) == 1 && f.atLeast != nil && f.atLeast(theirs[0]):
	default:
		h[f.name] = f.value
	}
}

func (p *policy) explain(*filter.Exchange) filter.Verdict {
	return filter.Verdict{Action: filter.Passes, Note: p.note}
}

// describe says for operators what answers get.
func (p *policy) describe() string {
	var names, parts []string
	for i := range p.fields {
		names = append(names, p.fields[i].name)
	}
	if len(names) > 0 {
		parts = append(parts, "answers get "+strings.Join(names, ", "))
	}
	if p.hsts != nil {
		parts = append(parts, p.hsts.name+" over https")
	}
	if len(p.remove) > 0 {
		parts = append(parts, "and lose "+strings.Join(p.remove, ", "))
	}
	return strings.Join(parts, ", ")
}
