// Package place knows where in a request a credential may be: in a field, a query parameter or a cookie. It finds what is there, and takes
// it out, so that the upstream does not see it. What a credential looks like, and whether it is good, is for the policies that use it.
package place

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Place is where a credential may be.
type Place struct {
	Field string // the field, in canonical form; "" for the other places

	name  string // of the parameter or cookie
	query bool
	text  string
}

// Parse reads a place: "header.NAME", "query.NAME" or "cookie.NAME".
func Parse(text string) (Place, error) {
	family, name, _ := strings.Cut(text, ".")
	if httpguts.ValidHeaderFieldName(name) {
		switch family {
		case "header":
			return Place{Field: http.CanonicalHeaderKey(name), text: text}, nil
		case "query", "cookie":
			return Place{name: name, query: family == "query", text: text}, nil
		}
	}
	return Place{}, fmt.Errorf("%q is no place of a credential: expected header.NAME, query.NAME or cookie.NAME", text)
}

// Parameter returns the query parameter that the place is, or "".
func (p *Place) Parameter() string {
	if p.query {
		return p.name
	}
	return ""
}

// String returns the place as it was written.
func (p *Place) String() string { return p.text }

// Find returns what is there, "" where there is nothing, and whether there are several.
func (p *Place) Find(r *http.Request) (value string, many bool) {
	switch {
	case p.Field != "":
		for _, v := range r.Header[p.Field] {
			value, many = strings.TrimSpace(v), many || value != ""
		}
	case p.query:
		return p.parameters(r.URL.RawQuery)
	case r.Header["Cookie"] != nil:
		for _, c := range r.CookiesNamed(p.name) {
			value, many = c.Value, many || value != ""
		}
	}
	return value, many
}

// parameters looks through a query, which is mostly not escaped.
func (p *Place) parameters(raw string) (value string, many bool) {
	if !strings.Contains(raw, p.name) && !strings.Contains(raw, "%") {
		return "", false
	}
	for pair := range strings.SplitSeq(raw, "&") {
		if v, ours := p.parameter(pair); ours && v != "" {
			value, many = v, many || value != ""
		}
	}
	return value, many
}

// parameter returns the value of a pair of a query, if it is the one with the credential.
func (p *Place) parameter(pair string) (value string, ours bool) {
	name, value, _ := strings.Cut(pair, "=")
	if plain, err := url.QueryUnescape(name); err != nil || plain != p.name {
		return "", false
	}
	plain, err := url.QueryUnescape(value)
	if err != nil {
		return value, true // which no credential is
	}
	return plain, true
}

// Remove takes what is there out of a request.
func (p *Place) Remove(r *http.Request) {
	switch {
	case p.Field != "":
		delete(r.Header, p.Field)
	case p.query:
		p.removeParameters(r.URL)
	default:
		p.removeCookies(r.Header)
	}
}

func (p *Place) removeParameters(u *url.URL) {
	var left []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if _, ours := p.parameter(pair); !ours {
			left = append(left, pair)
		}
	}
	u.RawQuery = strings.Join(left, "&")
}

func (p *Place) removeCookies(h http.Header) {
	var left []string
	for _, line := range h["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if part = strings.TrimSpace(part); part != "" && strings.TrimSpace(name) != p.name {
				left = append(left, part)
			}
		}
	}
	if len(left) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = []string{strings.Join(left, "; ")}
}
