package limit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// KeyConfig says what is counted by. Policies have it inline.
type KeyConfig struct {
	// Per is what is counted by: variables or CEL expressions, such as "address", "identity", "jwt.sub", "identity.tags.plan", "header.x-user",
	// "route" or "path.id". Several count each combination by itself. "address" counts IPv6 by /64; "all" counts everything together. Cookies, and
	// fields and parameters that are called like credentials ("header.x-api-key"), are remembered and shown as their digests. By default it is who
	// calls: the identity where the route authenticates callers, and else the address.
	Per []string `yaml:"per"`

	// Absent is what becomes of a request that has not all of it: "address" (it counts by its address instead), "together" (all such requests
	// count as one), "pass" (it is not counted) or "refuse" (it is refused as if it were over the limit). By default "address".
	Absent string `yaml:"absent" enum:"address,together,pass,refuse"`
}

// Default is what the fields say.
func (c *KeyConfig) Default() { c.Absent = "address" }

// CutPer splits "WHAT per KEY, KEY" into what is limited and what it is counted by. Commas within CEL's own brackets and texts do not split.
func CutPer(text string) (what string, per []string) {
	what, keys, found := strings.Cut(text, " per ")
	what = strings.TrimSpace(what)
	if !found {
		return what, nil
	}
	depth, quote, start := 0, byte(0), 0
	for i := 0; i < len(keys); i++ {
		switch c := keys[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ',' && depth == 0:
			per, start = append(per, strings.TrimSpace(keys[start:i])), i+1
		}
	}
	return what, append(per, strings.TrimSpace(keys[start:]))
}

// ID is whom a request is counted for. It is comparable. Its zero value is what counts everything together.
type ID struct {
	addr netip.Addr // of IPv6, the first of the /64
	text string     // where it is no address
}

// maxText is how long a key may be; of longer ones the digest is taken.
const maxText = 128

// NewID returns the ID of a text.
func NewID(text string) ID {
	if len(text) > maxText {
		return digestID(text)
	}
	return ID{text: text}
}

// digestID returns the ID of a text that must not be shown, or is too long for it.
func digestID(text string) ID {
	sum := sha256.Sum256([]byte(text))
	return ID{text: "sha256:" + hex.EncodeToString(sum[:])}
}

// AddressID returns the ID of an address: IPv6 by its /64. An invalid one, as of a Unix socket's peer, is the text "-".
func AddressID(addr netip.Addr) ID {
	if !addr.IsValid() {
		return ID{text: "-"}
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	return ID{addr: addr}
}

// String returns the ID as operators see it: "192.0.2.1", "2001:db8::/64", the text, or "all".
func (id ID) String() string {
	switch {
	case id.addr.Is6():
		return id.addr.String() + "/64"
	case id.addr.IsValid():
		return id.addr.String()
	case id.text == "":
		return "all"
	}
	return id.text
}

// Key finds out whom a request is counted for. It is immutable.
type Key struct {
	text   string
	absent string
	parts  []part // none: all count together
	early  bool
}

// part is one of what is counted by.
type part struct {
	address bool // the address itself
	caller  bool // the identity, or else the address
	value   filter.Value
	secret  bool // the value must not be shown
}

// known are the variables that say the same before authentication as after it, beside those of the path's parameters.
var known = []string{"address", "route", "host", "scheme", "method", "path"}

// NewKey compiles what is counted by. Its errors are config.FieldErrorf's, at "per". It must be called when the route's authentication policies
// are built, as it is in stages after authenticate.
func NewKey(env *filter.Env, c KeyConfig) (*Key, error) {
	k := &Key{absent: c.Absent, text: strings.Join(c.Per, ", ")}
	switch {
	case len(c.Per) == 0 && len(env.Authentication().Methods()) > 0:
		k.text, k.parts = "identity", []part{{caller: true}}
		return k, nil
	case len(c.Per) == 0:
		k.text, k.parts, k.early = "address", []part{{address: true}}, true
		return k, nil
	case slices.Contains(c.Per, "all"):
		if len(c.Per) > 1 {
			return nil, config.FieldErrorf("per", "%q counts everything together; it stands alone", "all")
		}
		return k, nil
	}
	k.early = slices.Contains(c.Per, "address")
	var errs []error
	for _, source := range c.Per {
		p := part{address: source == "address"}
		if !p.address {
			value, err := env.Expr.Value(source)
			if err == nil {
				err = notYet(env, source)
			}
			if err != nil {
				errs = append(errs, config.FieldErrorf("per", "%w", err))
			}
			p.value, p.secret = value, secret(source)
		}
		k.early = k.early && (slices.Contains(known, source) || strings.HasPrefix(source, "path."))
		k.parts = append(k.parts, p)
	}
	return k, errors.Join(errs...)
}

// String returns what is counted by, as it is written.
func (k *Key) String() string { return k.text }

// Early says that the key can be told before it is known who calls, and goes by the address: such limits stand before authentication.
func (k *Key) Early() bool { return k.early }

// Of returns whom a request is counted for. False: the key is absent, and the request is not to be counted, or, with Refuses, to be refused.
func (k *Key) Of(ex *filter.Exchange) (ID, bool) {
	switch len(k.parts) {
	case 0:
		return ID{}, true
	case 1:
		id, ok := k.parts[0].of(ex)
		if !ok {
			return k.instead(ex)
		}
		return id, true
	}
	var text strings.Builder
	for i := range k.parts {
		id, ok := k.parts[i].of(ex)
		if !ok {
			return k.instead(ex)
		}
		if i > 0 {
			text.WriteByte('|')
		}
		_, _ = escapeParts.WriteString(&text, id.String())
	}
	return NewID(text.String()), true
}

// escapeParts keeps the parts of a key apart, whatever stands in them.
var escapeParts = strings.NewReplacer(`\`, `\\`, `|`, `\|`)

// Refuses says what becomes of requests for which Of says false: they are refused, or else not counted.
func (k *Key) Refuses() bool { return k.absent == "refuse" }

// instead is whom a request counts for whose key is absent.
func (k *Key) instead(ex *filter.Exchange) (ID, bool) {
	switch k.absent {
	case "address":
		return AddressID(ex.Client), true
	case "together":
		return ID{text: "(absent)"}, true
	}
	return ID{}, false
}

func (p *part) of(ex *filter.Exchange) (ID, bool) {
	switch {
	case p.address:
		return AddressID(ex.Client), true
	case p.caller:
		return callerID(ex), true
	}
	text, ok := p.value(ex)
	if !ok || text == "" {
		return ID{}, false
	}
	if p.secret {
		return digestID(text), true
	}
	return NewID(text), true
}

// notYet refuses an expression that looks at what there is only once a request has been let pass, such as its answer.
func notYet(env *filter.Env, source string) error {
	for _, name := range append(env.Expr.Names(source), source) {
		switch first, _, _ := strings.Cut(name, "."); first {
		case "response", "status", "error", "upstream", "endpoint":
			return fmt.Errorf("%q is not known before the request has been answered", name)
		}
	}
	return nil
}

// secret says whether a value may be a credential, by where it is from: a cookie, or a field or parameter that is called like one.
func secret(source string) bool {
	source = strings.ToLower(source)
	if !strings.Contains(source, "header") && !strings.Contains(source, "query") {
		return strings.Contains(source, "cookie")
	}
	return slices.ContainsFunc([]string{"cookie", "auth", "key", "token", "secret", "passw", "session", "signature", "credential"}, func(word string) bool {
		return strings.Contains(source, word)
	})
}

// callerID is who calls, or else the address.
func callerID(ex *filter.Exchange) ID {
	switch i := ex.Identity; {
	case i == nil:
	case i.Subject != "":
		return NewID(i.Subject)
	case i.Consumer != "":
		return NewID(i.Consumer)
	}
	return AddressID(ex.Client)
}
