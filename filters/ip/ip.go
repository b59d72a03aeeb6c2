package ip

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says which client addresses may come. The short form is Allow.
type Config struct {
	// Allow are the addresses and ranges that may come: "10.0.0.0/8", "192.0.2.7". When there are any, an address that is in
	// neither list is refused. By default none, and then what Deny does not name may come.
	Allow []config.Prefix `yaml:"allow,short"`

	// Deny are the addresses and ranges that may not come. A longer range of Allow makes an exception. By default none.
	Deny []config.Prefix `yaml:"deny"`
}

// Validate checks that there is a list at all.
func (c *Config) Validate() error {
	if len(c.Allow) == 0 && len(c.Deny) == 0 {
		return errors.New("no addresses are named: write who may come, as in `ip: [10.0.0.0/8]`, or `ip: {deny: […]}`")
	}
	return nil
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("ip", filter.Guard, build) }

// lists are both lists in one table.
type lists struct {
	table     *bart.Table[bool] // range → may come
	allowRest bool              // what is in no range may come
}

func build(_ *filter.Env, c *Config) (*filter.Filter, error) {
	l := lists{table: new(bart.Table[bool]), allowRest: len(c.Allow) == 0}
	for _, p := range c.Allow {
		l.table.Insert(p.Masked(), true)
	}
	for _, p := range c.Deny { // after allow, so that deny wins for the same range
		l.table.Insert(p.Masked(), false)
	}
	return &filter.Filter{Request: l.request, Explain: l.explain}, nil
}

func (l *lists) request(ex *filter.Exchange) error {
	if l.allows(ex.Client) {
		return nil
	}
	return filter.Reject(filter.AddressDenied, "").Because(errors.New(l.reason(ex.Client)))
}

// allows says whether an address may come.
func (l *lists) allows(addr netip.Addr) bool {
	allowed, found := l.table.Lookup(plain(addr))
	if !found {
		return l.allowRest
	}
	return allowed
}

func (l *lists) explain(ex *filter.Exchange) filter.Verdict {
	v := filter.Verdict{Action: filter.Rejects, Note: l.reason(ex.Client)}
	if l.allows(ex.Client) {
		v.Action = filter.Passes
	}
	return v
}

// reason tells operators why an address may or may not come.
func (l *lists) reason(addr netip.Addr) string {
	rest := "there is no allow list"
	if !l.allowRest {
		rest = "there is an allow list"
	}
	if !addr.IsValid() {
		return "the client has no address, and " + rest
	}
	addr = plain(addr)
	prefix, allowed, found := l.table.LookupPrefixLPM(netip.PrefixFrom(addr, addr.BitLen()))
	switch {
	case !found:
		return fmt.Sprintf("%s is in no range, and %s", addr, rest)
	case allowed:
		return fmt.Sprintf("%s is in allow %s", addr, prefix)
	}
	return fmt.Sprintf("%s is in deny %s", addr, prefix)
}

// plain is an address as the table has them.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
