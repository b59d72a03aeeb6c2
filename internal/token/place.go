package token

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/place"
)

// The schemes that tokens come with. Other fields than Authorization have none.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

const authorization = "Authorization"

// shown is a token as it was shown. Its raw form is "" where there is none.
type shown struct {
	raw    string
	scheme string // bearer or dpop
}

// take finds the token of a request, which must be the only one (RFC 6750, section 2).
func take(r *http.Request, places []place.Place, proofs bool) (shown, error) {
	var found shown
	for i := range places {
		s, err := find(r, &places[i], proofs)
		switch {
		case err != nil:
			return shown{}, err
		case s.raw == "":
		case found.raw != "":
			return shown{}, errors.New("the request has more than one token")
		default:
			found = s
		}
	}
	return found, nil
}

// find returns the token that is in a place.
func find(r *http.Request, at *place.Place, proofs bool) (shown, error) {
	if at.Field != "" {
		return findField(r.Header[at.Field], at.Field, proofs)
	}
	raw, many := at.Find(r)
	switch {
	case many:
		return shown{}, fmt.Errorf("there are several tokens in %s", at)
	case raw == "":
		return shown{}, nil
	}
	return checked(shown{raw: raw, scheme: bearer}, at.String())
}

func findField(values []string, name string, proofs bool) (shown, error) {
	if len(values) == 0 {
		return shown{}, nil
	}
	if len(values) > 1 {
		return shown{}, fmt.Errorf("there are %d fields %s", len(values), name)
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, bearer):
		scheme = bearer
	case proofs && strings.EqualFold(scheme, dpop):
		scheme = dpop
	case name == authorization:
		return shown{}, nil // credentials of another kind
	default:
		scheme, raw = bearer, values[0]
	}
	return checked(shown{raw: strings.Trim(raw, " "), scheme: scheme}, name)
}

// checked checks that it may be a token at all.
func checked(s shown, where string) (shown, error) {
	if s.raw == "" {
		return s, fmt.Errorf("the token in %s is empty", where)
	}
	if len(s.raw) > MaxLength {
		return s, fmt.Errorf("the token has %d characters, and %d are allowed", len(s.raw), MaxLength)
	}
	return s, nil
}

// CheckCharacters checks that a text has the characters of a token only (RFC 6750, section 2.1). Those who find tokens do it, for the
// ones they have not found before.
func CheckCharacters(raw string) error {
	for i := range len(raw) {
		if !tokenCharacter(raw[i]) {
			return errors.New("the token has characters that none has")
		}
	}
	return nil
}

// tokenCharacter looks a character up in the bits of those that tokens have.
func tokenCharacter(c byte) bool {
	const (
		letters = 1<<26 - 1
		low     = uint64(1<<'+' | 1<<'-' | 1<<'.' | 1<<'/' | 0x3ff<<'0' | 1<<'=')
		high    = uint64(letters<<('A'-64) | letters<<('a'-64) | 1<<('_'-64) | 1<<('~'-64))
	)
	if c < 64 {
		return low>>c&1 != 0
	}
	return c < 128 && high>>(c-64)&1 != 0
}

// remove takes what is in a place out of a request. Credentials of another kind in Authorization stay.
func remove(r *http.Request, at *place.Place) {
	if at.Field != authorization {
		at.Remove(r)
		return
	}
	r.Header[authorization] = slices.DeleteFunc(slices.Clone(r.Header[authorization]), func(v string) bool {
		scheme, _, _ := strings.Cut(v, " ")
		return strings.EqualFold(scheme, bearer) || strings.EqualFold(scheme, dpop)
	})
	if len(r.Header[authorization]) == 0 {
		delete(r.Header, authorization)
	}
}
