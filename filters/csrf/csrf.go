package csrf

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("csrf", filter.Guard, build) }

// csrf is the policy.
type csrf struct {
	trusted []pattern
	cookie  string // "": no token is asked for
	header  string // canonical
	fresh   filter.Slot[bool]
}

func build(env *filter.Env, conf *Config) (*filter.Filter, error) {
	c := &csrf{}
	for _, text := range conf.TrustedOrigins {
		p, err := parseOrigin(text)
		if err != nil {
			return nil, err
		}
		c.trusted = append(c.trusted, p)
	}
	f := &filter.Filter{Request: c.request, Explain: c.explain}
	if conf.Token != nil {
		c.cookie, c.header = conf.Token.Cookie, http.CanonicalHeaderKey(conf.Token.Header)
		c.fresh = filter.NewSlot[bool](env)
		f.Response = c.response
	}
	return f, nil
}

func (c *csrf) request(ex *filter.Exchange) error {
	if ok, reason := c.check(ex); !ok {
		return filter.Reject(filter.CSRFRejected, "").Because(errors.New(reason))
	}
	if c.cookie != "" && safe(ex.Request) && loadsPage(ex.Request) && !wellFormed(c.value(ex.Request)) {
		c.fresh.Set(ex, &wanted)
	}
	return nil
}

// wanted marks exchanges whose answer sets a cookie. It is never written.
var wanted = true

// check says whether a request may come, and why for operators.
func (c *csrf) check(ex *filter.Exchange) (ok bool, reason string) {
	r := ex.Request
	if safe(r) {
		return true, "a safe method"
	}
	origin := r.Header["Origin"]
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 {
		switch {
		case len(site) == 1 && (site[0] == "same-origin" || site[0] == "none"):
			return true, "Sec-Fetch-Site says same-origin or none"
		case len(origin) == 1 && c.trusts(origin[0]):
			return true, "the Origin is trusted"
		}
		return false, "Sec-Fetch-Site is neither same-origin nor none, and the Origin is not trusted"
	}
	if len(origin) > 0 {
		if len(origin) == 1 && (same(ex, origin[0]) || c.trusts(origin[0])) {
			return true, "the Origin is the host itself, or trusted"
		}
		return false, "there is no Sec-Fetch-Site, and the Origin is neither the host itself nor trusted"
	}
	if referer := r.Header["Referer"]; len(referer) > 0 {
		if from := originOf(referer[0]); len(referer) == 1 && (same(ex, from) || c.trusts(from)) {
			return true, "the Referer is of the host itself, or trusted"
		}
		return false, "there is neither Sec-Fetch-Site nor Origin, and the Referer is neither of the host itself nor trusted"
	}
	return c.checkToken(r)
}

// checkToken looks at a request that does not say where it comes from.
func (c *csrf) checkToken(r *http.Request) (ok bool, reason string) {
	if c.cookie == "" {
		return true, "nothing says that a browser has sent it"
	}
	cookie, header := c.value(r), r.Header[c.header]
	if len(header) == 1 && wellFormed(cookie) && subtle.ConstantTimeCompare([]byte(cookie), []byte(header[0])) == 1 {
		return true, "it has the cookie's token in " + c.header
	}
	return false, "nothing says where it comes from, and it does not have the token of the cookie " + c.cookie + " in " + c.header
}

// safe says whether a request changes nothing (RFC 9110, section 9.2.1), and opens nothing through which something could.
func safe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return len(r.Header["Upgrade"]) == 0
	}
	return false
}

// same says whether an origin is the host that a request is for.
func same(ex *filter.Exchange, origin string) bool {
	scheme, host, ok := splitOrigin(origin)
	if !ok || scheme != "https://" && (scheme != "http://" || ex.Original.Scheme == "https") {
		return false // who is on the line can make up pages of http
	}
	asked := trimPort(scheme, strings.ToLower(ex.Request.Host))
	if host == asked {
		return true
	}
	// A trusted proxy may have told of another host, which is known without its port.
	forwarded := ex.Original.Host
	return forwarded != "" && forwarded != withoutPort(asked) && withoutPort(host) == forwarded
}

// withoutPort is a host without its port.
func withoutPort(host string) string {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

func (c *csrf) trusts(origin string) bool {
	if len(c.trusted) == 0 {
		return false
	}
	scheme, host, ok := splitOrigin(origin)
	if !ok {
		return false
	}
	for i := range c.trusted {
		if c.trusted[i].matches(scheme, host) {
			return true
		}
	}
	return false
}

// originOf is the origin of a URL.
func originOf(url string) string {
	i := strings.Index(url, "://")
	if i < 0 {
		return ""
	}
	if end := strings.IndexAny(url[i+3:], "/?#\\"); end >= 0 {
		return url[:i+3+end]
	}
	return url
}

// value is the value of the cookie, or "" where there is none, or more than one.
func (c *csrf) value(r *http.Request) string {
	value := ""
	for _, line := range r.Header["Cookie"] {
		for more := true; more; {
			var pair string
			pair, line, more = strings.Cut(line, ";")
			name, v, found := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !found || name != c.cookie {
				continue
			}
			if value != "" {
				return "" // another host of the domain may have set one of them
			}
			value = v
		}
	}
	return value
}

// random is how many bytes a token has.
const random = 18

// wellFormed says whether a token can be one of ours.
func wellFormed(token string) bool {
	var raw [random]byte
	n, err := base64.RawURLEncoding.Decode(raw[:], []byte(token[:min(len(token), random*4/3)]))
	return err == nil && n == random && len(token) == random*4/3
}

// loadsPage says whether a browser loads a page.
func loadsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// response sets the cookie.
func (c *csrf) response(ex *filter.Exchange) error {
	if c.fresh.Get(ex) == nil {
		return nil
	}
	var raw [random]byte
	_, _ = rand.Read(raw[:]) // it never fails
	cookie := c.cookie + "=" + base64.RawURLEncoding.EncodeToString(raw[:]) + "; Path=/; SameSite=Strict"
	if ex.Original.Scheme == "https" || strings.HasPrefix(c.cookie, "__") {
		cookie += "; Secure"
	}
	if ex.Response.Header == nil {
		ex.Response.Header = http.Header{}
	}
	ex.Response.Header.Add("Set-Cookie", cookie)
	cacheable.Private(ex.Response.Header) // a token that others have, too, protects nobody
	return nil
}

func (c *csrf) explain(ex *filter.Exchange) filter.Verdict {
	ok, reason := c.check(ex)
	if !ok {
		return filter.Verdict{Action: filter.Rejects, Note: reason}
	}
	return filter.Verdict{Action: filter.Passes, Note: reason}
}
