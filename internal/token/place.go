package token

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// where says in what part of a request a token may be.
type where int

const (
	inHeader where = iota
	inQuery
	inCookie
)

// place is where a token may be.
type place struct {
	kind where
	name string // of the field, parameter or cookie
}

// The schemes that tokens come with. Other fields than Authorization have none.
const (
	bearer = "Bearer"
	dpop   = "DPoP"
)

const authorization = "Authorization"

// parsePlace reads a place.
func parsePlace(text string) (place, error) {
	family, name, _ := strings.Cut(text, ".")
	if isFieldName(name) {
		switch family {
		case "header":
			return place{kind: inHeader, name: http.CanonicalHeaderKey(name)}, nil
		case "query":
			return place{kind: inQuery, name: name}, nil
		case "cookie":
			return place{kind: inCookie, name: name}, nil
		}
	}
	return place{}, fmt.Errorf("%q is no place of a token: expected header.NAME, query.NAME or cookie.NAME", text)
}

// shown is a token as it was shown. Its raw form is "" where there is none.
type shown struct {
	raw    string
	scheme string // bearer or dpop
}

// take finds the token of a request, which must be the only one (RFC 6750, section 2).
func take(r *http.Request, places []place, proofs bool) (shown, error) {
	var found shown
	for i := range places {
		s, err := places[i].find(r, proofs)
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

// find returns the token that is there.
func (p *place) find(r *http.Request, proofs bool) (shown, error) {
	switch p.kind {
	case inHeader:
		return p.findHeader(r.Header[p.name], proofs)
	case inQuery:
		return p.findQuery(r.URL.RawQuery)
	}
	return p.findCookie(r)
}

func (p *place) findHeader(values []string, proofs bool) (shown, error) {
	if len(values) == 0 {
		return shown{}, nil
	}
	if len(values) > 1 {
		return shown{}, fmt.Errorf("there are %d fields %s", len(values), p.name)
	}
	scheme, raw, _ := strings.Cut(values[0], " ")
	switch {
	case strings.EqualFold(scheme, bearer):
		scheme = bearer
	case proofs && strings.EqualFold(scheme, dpop):
		scheme = dpop
	case p.name == authorization:
		return shown{}, nil // credentials of another kind
	default:
		scheme, raw = bearer, values[0]
	}
	return checked(shown{raw: strings.Trim(raw, " "), scheme: scheme}, p.name)
}

func (p *place) findQuery(raw string) (shown, error) {
	if !strings.Contains(raw, p.name) && !strings.Contains(raw, "%") {
		return shown{}, nil
	}
	var found shown
	for pair := range strings.SplitSeq(raw, "&") {
		value, ours := p.parameter(pair)
		if !ours || value == "" {
			continue
		}
		if found.raw != "" {
			return shown{}, fmt.Errorf("there are several parameters %q", p.name)
		}
		found = shown{raw: value, scheme: bearer}
	}
	if found.raw == "" {
		return found, nil
	}
	return checked(found, "the query")
}

// parameter returns the value of a pair of a query, if it is the one with the token.
func (p *place) parameter(pair string) (value string, ours bool) {
	name, value, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err != nil || plain != p.name {
		return "", false
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return value, true // which no token is
	}
	return plain, true
}

func (p *place) findCookie(r *http.Request) (shown, error) {
	if r.Header["Cookie"] == nil {
		return shown{}, nil
	}
	cookies := r.CookiesNamed(p.name)
	switch len(cookies) {
	case 0:
		return shown{}, nil
	case 1:
		if cookies[0].Value == "" {
			return shown{}, nil
		}
		return checked(shown{raw: cookies[0].Value, scheme: bearer}, "the cookie")
	}
	return shown{}, fmt.Errorf("there are %d cookies %q", len(cookies), p.name)
}

// checked checks that it may be a token at all (RFC 6750, section 2.1).
func checked(s shown, where string) (shown, error) {
	if s.raw == "" {
		return s, fmt.Errorf("the token in %s is empty", where)
	}
	if len(s.raw) > MaxLength {
		return s, fmt.Errorf("the token has %d characters, and %d are allowed", len(s.raw), MaxLength)
	}
	for i := range len(s.raw) {
		if !tokenCharacter(s.raw[i]) {
			return s, fmt.Errorf("the token in %s has characters that none has", where)
		}
	}
	return s, nil
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

// remove takes what is in the place out of a request. Credentials of another kind in Authorization stay.
func (p *place) remove(r *http.Request) {
	switch p.kind {
	case inHeader:
		p.removeField(r)
	case inQuery:
		r.URL.RawQuery = strings.Join(slices.DeleteFunc(strings.Split(r.URL.RawQuery, "&"), func(pair string) bool {
			_, ours := p.parameter(pair)
			return ours
		}), "&")
	case inCookie:
		p.removeCookie(r)
	}
}

func (p *place) removeField(r *http.Request) {
	if p.name != authorization {
		delete(r.Header, p.name)
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

func (p *place) removeCookie(r *http.Request) {
	lines := r.Header["Cookie"]
	if lines == nil {
		return
	}
	var left []string
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if part = strings.TrimSpace(part); part != "" && strings.TrimSpace(name) != p.name {
				left = append(left, part)
			}
		}
	}
	if len(left) == 0 {
		delete(r.Header, "Cookie")
		return
	}
	r.Header["Cookie"] = []string{strings.Join(left, "; ")}
}
