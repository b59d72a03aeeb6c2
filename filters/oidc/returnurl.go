package oidc

import (
	"net/http"
	"net/url"
	"strings"

	"cardea.dev/cardea/filter"
)

// maxReturn is how long the path and query may be that a browser comes back to after a login.
const maxReturn = 2048

// localReference says whether a text is a path, with or without a query, that cannot lead a browser to another origin. Browsers take
// backslashes for slashes and drop control characters (WHATWG URL, section 4.4), so there must be none.
func localReference(s string) bool {
	if len(s) > maxReturn || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Host == "" && u.Scheme == "" && u.User == nil
}

// returnTo is where a browser comes back to after a login: what it asked for, if that is safe, or else the beginning of the route.
func (p *policy) returnTo(ex *filter.Exchange) string {
	to := ex.Original.Path
	if ex.Original.Query != "" {
		to += "?" + ex.Original.Query
	}
	if !localReference(to) || p.answers(ex.Original.Path) != nil {
		return p.home
	}
	return to
}

// navigates says whether a browser shows the answer to a person, who can log in. A program that asks is better told so.
func navigates(r *http.Request) bool {
	if r.Method != http.MethodGet || r.Header["Upgrade"] != nil {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		return false
	}
	if strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") {
		return false
	}
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}
