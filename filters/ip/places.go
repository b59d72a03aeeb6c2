package ip

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/geoip"
)

// places are the lists of countries and autonomous systems, with the databases that they are looked up in.
type places struct {
	countries, systems            *geoip.Database // nil: not asked for
	allowCountries, denyCountries []string        // sorted, as the other lists
	allowSystems, denySystems     []ASN
	unknown                       string // "": such addresses are in no list
}

func newPlaces(env *filter.Env, c *Config) (*places, error) {
	p := &places{
		allowCountries: sorted(upper(c.Countries.Allow)), denyCountries: sorted(upper(c.Countries.Deny)),
		allowSystems: sorted(c.ASNs.Allow), denySystems: sorted(c.ASNs.Deny), unknown: c.Unknown,
	}
	var errs []error
	var types []string
	for i, name := range c.Database {
		d, err := open(env, name)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("database[%d]", i), "%w", err))
			continue
		}
		types = append(types, fmt.Sprintf("%s is a %s", name, d.Type()))
		if p.countries == nil && d.HasCountries() && c.Countries.used() {
			p.countries = d
		}
		if p.systems == nil && d.HasSystems() && c.ASNs.used() {
			p.systems = d
		}
	}
	if len(errs) == 0 && p.countries == nil && c.Countries.used() {
		errs = append(errs, config.FieldErrorf("database", "no database holds countries: %s", strings.Join(types, ", ")))
	}
	if len(errs) == 0 && p.systems == nil && c.ASNs.used() {
		errs = append(errs, config.FieldErrorf("database", "no database holds autonomous systems: %s", strings.Join(types, ", ")))
	}
	return p, errors.Join(errs...)
}

func sorted[T string | ASN](list []T) []T {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

// open returns the database of a file, which all routes share. What has changed since it was read last is read now.
func open(env *filter.Env, name string) (*geoip.Database, error) {
	path := filepath.Clean(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(env.Dir, path)
	}
	d, err := filter.Keep(env, "ip:database:"+path, func() (*geoip.Database, error) { return geoip.Open(path, env.Log) })
	if err != nil {
		return nil, err
	}
	return d, d.Refresh()
}

// place is where an address is, and what the lists say of that.
type place struct {
	country string
	system  uint32
	decided bool // a list, or what is said of unknown addresses, decides
	allowed bool
	by      string // which
}

// find looks an address up. Among lists, those of the refused come first.
func (p *places) find(addr netip.Addr) (place, error) {
	var w place
	var err error
	if p.countries != nil {
		if w.country, err = p.countries.Country(addr); err != nil {
			return place{}, err
		}
	}
	if p.systems != nil {
		if w.system, err = p.systems.System(addr); err != nil {
			return place{}, err
		}
	}
	switch {
	case w.country == "" && w.system == 0:
		w.decided, w.allowed, w.by = p.unknown != "", p.unknown == "allow", "unknown"
	case has(p.denyCountries, w.country):
		w.decided, w.by = true, "countries.deny"
	case has(p.denySystems, ASN(w.system)):
		w.decided, w.by = true, "asns.deny"
	case has(p.allowCountries, w.country):
		w.decided, w.allowed, w.by = true, true, "countries.allow"
	case has(p.allowSystems, ASN(w.system)):
		w.decided, w.allowed, w.by = true, true, "asns.allow"
	}
	return w, nil
}

// text tells operators where an address is.
func (w place) text() string {
	var at []string
	if w.country != "" {
		at = append(at, "in "+w.country)
	}
	if w.system != 0 {
		at = append(at, fmt.Sprintf("of AS%d", w.system))
	}
	s := "is not in the databases"
	if len(at) > 0 {
		s = "is " + strings.Join(at, " ")
	}
	switch {
	case !w.decided:
		return s
	case w.by == "unknown" && w.allowed:
		return s + ", which `unknown` lets in"
	case w.by == "unknown":
		return s + ", which `unknown` refuses"
	}
	return s + ", which is in " + w.by
}
