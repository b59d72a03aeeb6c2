package apikey

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// where says in what part of a request a key may be.
type where int

const (
	inHeader where = iota
	inQuery
	inCookie
)

// place is where a key may be.
type place struct {
	kind   where
	name   string // of the field, parameter or cookie
	scheme string // before the key in Authorization; "" for none
	text   string // as it was written
}

// parsePlace reads a place.
func parsePlace(text, scheme string) (place, error) {
	family, name, _ := strings.Cut(text, ".")
	if name == "" || strings.ContainsAny(name, " \t\"=;,&?#") {
		return place{}, fmt.Errorf("%q is no place of a key: expected header.NAME, query.NAME or cookie.NAME", text)
	}
	switch family {
	case "header":
		p := place{kind: inHeader, name: canonical(name), text: text}
		if p.name == "Authorization" {
			p.scheme = scheme
		}
		return p, nil
	case "query":
		return place{kind: inQuery, name: name, text: text}, nil
	case "cookie":
		return place{kind: inCookie, name: name, text: text}, nil
	}
	return place{}, fmt.Errorf("%q is no place of a key: expected header.NAME, query.NAME or cookie.NAME", text)
}

// fieldError is an error at one of the places.
func fieldError(i int, err error) error {
	return config.FieldErrorf(fmt.Sprintf("in[%d]", i), "%w", err)
}

// find returns the key that is there, "" where there is none, and whether there are several.
func (p *place) find(ex *filter.Exchange) (key string, many bool) {
	switch p.kind {
	case inHeader:
		return p.findHeader(ex.Request.Header[p.name])
	case inQuery:
		return p.findQuery(ex.Request.URL.RawQuery)
	}
	return p.findCookie(ex.Request)
}

func (p *place) findHeader(values []string) (key string, many bool) {
	for _, v := range values {
		if p.scheme != "" {
			scheme, rest, _ := strings.Cut(v, " ")
			if !strings.EqualFold(scheme, p.scheme) {
				continue
			}
			v = rest
		}
		if v = strings.TrimSpace(v); v != "" {
			key, many = v, many || key != ""
		}
	}
	return key, many
}

func (p *place) findQuery(raw string) (key string, many bool) {
	if !strings.Contains(raw, p.name) && !strings.Contains(raw, "%") {
		return "", false
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if value, ok := p.parameter(pair); ok && value != "" {
			key, many = value, many || key != ""
		}
	}
	return key, many
}

// parameter returns the value of a pair of a query, if it is the one with the key.
func (p *place) parameter(pair string) (string, bool) {
	name, value, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err != nil || plain != p.name {
		return "", false
	}
	plain, err := url.QueryUnescape(value)
	return plain, err == nil
}

func (p *place) findCookie(r *http.Request) (key string, many bool) {
	if r.Header["Cookie"] == nil {
		return "", false
	}
	for _, c := range r.CookiesNamed(p.name) {
		key, many = c.Value, many || key != ""
	}
	return key, many
}

// remove takes the key out of a request.
func (p *place) remove(r *http.Request) {
	switch p.kind {
	case inHeader:
		delete(r.Header, p.name)
	case inQuery:
		kept := strings.Split(r.URL.RawQuery, "&")
		left := kept[:0]
		for _, pair := range kept {
			if _, ours := p.parameter(pair); !ours {
				left = append(left, pair)
			}
		}
		r.URL.RawQuery = strings.Join(left, "&")
	case inCookie:
		p.removeCookie(r)
	}
}

func (p *place) removeCookie(r *http.Request) {
	var left []string
	for _, line := range r.Header["Cookie"] {
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
