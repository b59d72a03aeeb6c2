package token

import (
	"errors"
	"fmt"
	"strings"
)

// Header is what a JOSE header says (RFC 7515, section 4; RFC 7516, section 4).
type Header struct {
	Alg, Typ, Cty, Kid, Enc string

	JWK map[string]any // nil: none
}

// Parts are the parts of a token in compact form: three of one that is signed, five of one that is encrypted.
func Parts(raw string) ([]string, error) {
	if len(raw) > MaxLength {
		return nil, fmt.Errorf("the token has %d characters, and %d are allowed", len(raw), MaxLength)
	}
	n := strings.Count(raw, ".") + 1
	if n != 3 && n != 5 {
		return nil, fmt.Errorf("the token has %d parts: it is no JWT", n)
	}
	return strings.Split(raw, "."), nil
}

// ParseHeader reads a header. Those that would have the verifier take keys from the token, or obey what it does not know, are refused.
func ParseHeader(part string) (*Header, error) {
	text, err := decode(part)
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	object, err := ParseObject(text)
	if err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	h := &Header{}
	var errs []error
	for name, into := range map[string]*string{"alg": &h.Alg, "typ": &h.Typ, "cty": &h.Cty, "kid": &h.Kid, "enc": &h.Enc} {
		v, err := textOf(object, name)
		*into = v
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("the header: %w", err)
	}
	for _, name := range []string{"crit", "b64", "jku", "x5u", "zip", "p2s", "p2c"} {
		if _, there := object[name]; there {
			return nil, fmt.Errorf("the header has `%s`, which is not accepted", name)
		}
	}
	if key, there := object["jwk"]; there {
		if h.JWK, there = key.(map[string]any); !there || h.JWK == nil {
			return nil, errors.New("the header: `jwk` is no key")
		}
	}
	if h.Alg == "" {
		return nil, errors.New("the header has no `alg`")
	}
	return h, nil
}

// MediaType is a `typ` or `cty` as it is compared: in lower case, without "application/" (RFC 7515, section 4.1.9).
func MediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}
