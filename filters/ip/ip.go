package ip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"

	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("ip", filter.Guard, build) }

// lists are all lists, ready to be asked.
type lists struct {
	table *bart.Table[bool] // both lists of ranges: range → may come
	rest  bool              // what is in no list may come
	named bool              // there is a list of those who may come

	places *places // countries and autonomous systems; nil: none
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	l := lists{table: new(bart.Table[bool])}
	for _, p := range c.Allow {
		l.table.Insert(p.Masked(), true)
	}
	for _, p := range c.Deny { // after allow, so that deny wins for the same range
		l.table.Insert(p.Masked(), false)
	}
	l.named = len(c.Allow)+len(c.Countries.Allow)+len(c.ASNs.Allow) > 0
	l.rest = c.Default == "allow" || c.Default == "" && !l.named
	if c.Countries.used() || c.ASNs.used() {
		var err error
		if l.places, err = newPlaces(env, c); err != nil {
			return nil, err
		}
	}
	return &filter.Filter{Request: l.request, Explain: l.explain}, nil
}

func (l *lists) request(ex *filter.Exchange) error {
	allowed, err := l.allows(ex.Client)
	if err != nil {
		return err
	}
	if allowed {
		return nil
	}
	return filter.Reject(filter.AddressDenied, "").Because(errors.New(l.reason(ex.Client)))
}

// allows says whether an address may come. An error means that it cannot be said, and that it may not.
func (l *lists) allows(addr netip.Addr) (bool, error) {
	addr = plain(addr)
	if allowed, found := l.table.Lookup(addr); found {
		return allowed, nil
	}
	if l.places != nil {
		if where, err := l.places.find(addr); err != nil || where.decided {
			return where.allowed, err
		}
	}
	return l.rest, nil
}

func (l *lists) explain(ex *filter.Exchange) filter.Verdict {
	allowed, err := l.allows(ex.Client)
	if err != nil {
		return filter.Verdict{Action: filter.Rejects, Note: err.Error()}
	}
	v := filter.Verdict{Action: filter.Rejects, Note: l.reason(ex.Client)}
	if allowed {
		v.Action = filter.Passes
	}
	return v
}

// reason tells operators why an address may or may not come.
func (l *lists) reason(addr netip.Addr) string {
	addr = plain(addr)
	name := addr.String()
	if !addr.IsValid() {
		name = "the client"
	} else if prefix, allowed, found := l.table.LookupPrefixLPM(netip.PrefixFrom(addr, addr.BitLen())); found {
		return fmt.Sprintf("%s is in %s %s", addr, listName(allowed), prefix)
	}
	in := "is in no range"
	if l.places != nil {
		where, _ := l.places.find(addr)
		if where.decided {
			return name + " " + where.text()
		}
		in = where.text() + ", which no list names"
	}
	if !addr.IsValid() {
		in = "has no address"
	}
	return name + " " + in + ", and " + l.restReason()
}

// restReason says why what is in no list may or may not come.
func (l *lists) restReason() string {
	switch {
	case l.rest != !l.named && l.rest:
		return "`default` lets in the rest"
	case l.rest != !l.named:
		return "`default` refuses the rest"
	case l.named:
		return "there is an allow list"
	}
	return "there is no allow list"
}

func listName(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

// plain is an address as the table has them.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// has says whether a list holds a value. Lists are short, or sorted.
func has[T string | ASN](sorted []T, v T) bool {
	_, found := slices.BinarySearch(sorted, v)
	return found
}
