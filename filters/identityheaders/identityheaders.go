package identityheaders

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("identity_headers", filter.Transform, build) }

// policy is the policy as it runs.
type policy struct {
	names  filter.OwnFields
	fields []field
	token  *issuer // nil: none
	at     string  // the token's field
	known  *cache
	now    func() time.Time
	note   string
}

// field is a field to set.
type field struct {
	name string // canonical
	value
}

// cache remembers what was made for identities that were seen lately, since identities are shared and never change. A place holds the last
// that fell on it.
type cache struct {
	seed   maphash.Seed
	places [1024]atomic.Pointer[made]
}

// made is what was made for an identity. It is immutable.
type made struct {
	of     *filter.Identity
	inputs string     // what else it was made of: the claims that depend on the request
	fields [][]string // by the policy's fields; nil where there is no value. They are full, so that appending copies them.
	token  []string
	renew  time.Time // of the token
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c)
	if err != nil {
		return nil, err
	}
	return &filter.Filter{Request: p.request, Explain: p.explain}, nil
}

func newPolicy(env *filter.Env, c *Config) (*policy, error) {
	p := &policy{now: time.Now}
	sources := c.sources()
	var errs []error
	var all []string
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		v, err := newValue(env, sources[name])
		if err != nil {
			errs = append(errs, config.FieldErrorf("["+strconv.Quote(name)+"]", "%w", err))
			continue
		}
		p.fields = append(p.fields, field{http.CanonicalHeaderKey(name), v})
		all = append(all, http.CanonicalHeaderKey(name))
	}
	p.note = "sets " + strings.Join(all, ", ")
	if c.Token != nil {
		issuer, err := newIssuer(env, c.Token)
		errs, p.token = append(errs, err), issuer
		p.at = http.CanonicalHeaderKey(c.Token.Header)
		all = append(all, p.at)
		p.note = "sets " + strings.Join(all, ", ") + " (a token)"
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.names = filter.NewOwnFields(all...)
	var err error
	p.known, err = filter.Keep(env, "identity_headers:"+p.fingerprint(c, sources), func() (*cache, error) { return &cache{seed: maphash.MakeSeed()}, nil })
	return p, err
}

// sources are the values of the fields as they are written.
func (c *Config) sources() map[string]string {
	if len(c.Fields) == 0 && c.Token == nil {
		return map[string]string{"X-User": "identity.subject", "X-Consumer": "identity.consumer", "X-Groups": "identity.groups"}
	}
	return c.Fields
}

// fingerprint says all that makes what is made for an identity different from what another policy makes.
func (p *policy) fingerprint(c *Config, sources map[string]string) string {
	hash := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		fmt.Fprintf(hash, "%q=%q\n", name, sources[name])
	}
	if t := c.Token; t != nil {
		fmt.Fprintf(hash, "%q %q %q %q %q %q", p.token.key, t.Header, t.Algorithm, t.Issuer, t.Audience, t.TTL)
		for _, name := range slices.Sorted(maps.Keys(t.Claims)) {
			fmt.Fprintf(hash, " %q=%q", name, t.Claims[name])
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// request removes what the client has sent, and then says who calls.
func (p *policy) request(ex *filter.Exchange) error {
	p.names.Clean(ex.Request)
	m, err := p.find(ex)
	if err != nil {
		return err
	}
	h := ex.Request.Header
	for i := range p.fields {
		f := &p.fields[i]
		if !f.own {
			if text, ok := f.of(ex); ok {
				h[f.name] = []string{text}
			}
			continue
		}
		if m != nil && m.fields[i] != nil {
			h[f.name] = m.fields[i]
		}
	}
	if m != nil && m.token != nil {
		h[p.at] = m.token
	}
	return nil
}

// find returns what was made for the caller, or makes it. It is nil for one who is not known.
func (p *policy) find(ex *filter.Exchange) (*made, error) {
	id := ex.Identity
	if id == nil {
		return nil, nil
	}
	name := id.Subject
	if name == "" {
		name = id.Consumer
	}
	place := &p.known.places[maphash.String(p.known.seed, name)%uint64(len(p.known.places))]
	inputs, more := p.inputs(ex)
	now := p.now()
	if m := place.Load(); m != nil && m.inputs == inputs && (m.token == nil || now.Before(m.renew)) && same(m.of, id) {
		return m, nil
	}
	m := &made{of: id, inputs: inputs, fields: make([][]string, len(p.fields))}
	for i := range p.fields {
		if text, ok := "", false; p.fields[i].own {
			if text, ok = p.fields[i].of(ex); ok {
				m.fields[i] = []string{text}
			}
		}
	}
	switch {
	case ex.Dry:
		return m, nil
	case p.token == nil:
		place.Store(m)
		return m, nil
	}
	for i := range p.token.claims {
		if c := &p.token.claims[i]; c.own {
			if text, ok := c.value(ex); ok {
				more = with(more, c.name, text)
			}
		}
	}
	token, renew, err := p.token.sign(id, more, now)
	if err != nil {
		return nil, err
	}
	m.token, m.renew = []string{p.token.prefix + token}, renew
	place.Store(m)
	return m, nil
}

// same says whether two identities are the same, by what they say where they are not one: several authentication policies make a new one for each
// request.
func same(a, b *filter.Identity) bool {
	return a == b || reflect.DeepEqual(a, b)
}

// inputs are the claims that depend on the request, as one text and each by itself.
func (p *policy) inputs(ex *filter.Exchange) (key string, more map[string]string) {
	if p.token == nil {
		return "", nil
	}
	for i := range p.token.claims {
		c := &p.token.claims[i]
		if c.own {
			continue
		}
		if text, ok := c.value(ex); ok {
			key += strconv.Quote(text)
			more = with(more, c.name, text)
		}
		key += ","
	}
	return key, more
}

func with(m map[string]string, name, text string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	m[name] = text
	return m
}

func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	if err := p.request(ex); err != nil {
		return filter.Verdict{Action: filter.Rejects, Note: err.Error()}
	}
	if ex.Identity == nil {
		return filter.Verdict{Action: filter.Changes, Note: strings.Replace(p.note, "sets", "nobody is known: removes", 1)}
	}
	return filter.Verdict{Action: filter.Changes, Note: p.note}
}
