package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Claims are what a token says, or what an authorization server says of one. They are never changed.
type Claims struct {
	Map                          map[string]any
	Issuer, Subject              string
	Audience                     []string
	Expires, NotBefore, IssuedAt int64 // in seconds; 0: there is none
	Scopes                       []string
	KeyThumbprint                string // cnf.jkt: the key that the token is bound to (RFC 9449); "": none
	CertThumbprint               string // cnf["x5t#S256"]: the certificate (RFC 8705); "": none
}

// ReadPayload reads the claims in the payload of a token.
func ReadPayload(part string) (*Claims, error) {
	text, err := decode(part)
	if err != nil {
		return nil, err
	}
	return ParseClaims(text)
}

// ParseClaims reads claims. Those of a wrong type are refused.
func ParseClaims(text []byte) (*Claims, error) {
	object, err := ParseObject(text)
	if err != nil {
		return nil, err
	}
	c := &Claims{Map: object}
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	c.Issuer, err = textOf(object, "iss")
	note(err)
	c.Subject, err = textOf(object, "sub")
	note(err)
	c.Audience, err = textsOf(object, "aud")
	note(err)
	c.Expires, err = secondsOf(object, "exp")
	note(err)
	c.NotBefore, err = secondsOf(object, "nbf")
	note(err)
	c.IssuedAt, err = secondsOf(object, "iat")
	note(err)
	c.Scopes, err = scopesOf(object)
	note(err)
	note(c.readConfirmation())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// scopesOf are the scopes of a token: a text with spaces in `scope` (RFC 9068, RFC 7662), or what some issuers say in `scp`.
func scopesOf(object map[string]any) ([]string, error) {
	var scopes []string
	for _, name := range []string{"scope", "scp"} {
		texts, err := textsOf(object, name)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			scopes = append(scopes, strings.Fields(text)...)
		}
	}
	return scopes, nil
}

// readConfirmation reads what the token is bound to (RFC 7800). A way that is not known cannot be checked, and is refused.
func (c *Claims) readConfirmation() error {
	v, there := c.Map["cnf"]
	if !there {
		return nil
	}
	cnf, ok := v.(map[string]any)
	if !ok {
		return errors.New("`cnf` is no object")
	}
	for name := range cnf {
		text, err := textOf(cnf, name)
		if hash, bad := base64.RawURLEncoding.Strict().DecodeString(text); bad != nil || len(hash) != 32 {
			err = errors.Join(err, errors.New("it is no SHA-256"))
		}
		switch {
		case name != "jkt" && name != "x5t#S256":
			return fmt.Errorf("the token is bound by `cnf.%s`, which cannot be checked", name)
		case err != nil:
			return fmt.Errorf("`cnf.%s`: %w", name, err)
		case name == "jkt":
			c.KeyThumbprint = text
		default:
			c.CertThumbprint = text
		}
	}
	return nil
}

// At returns a claim by its name, or, where there is none of that name, by its path with dots.
func (c *Claims) At(path string) (any, bool) {
	if v, ok := c.Map[path]; ok {
		return v, true
	}
	object := c.Map
	for {
		name, rest, more := strings.Cut(path, ".")
		v, ok := object[name]
		if !ok || !more {
			return v, ok
		}
		if object, ok = v.(map[string]any); !ok {
			return nil, false
		}
		path = rest
	}
}

// values are the texts of a claim: of a list, those of its items.
func values(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			switch item.(type) {
			case string, bool, int64, float64:
				all = append(all, values(item)...)
			}
		}
		return all
	case bool, int64, float64:
		return []string{fmt.Sprint(v)}
	}
	return nil
}
