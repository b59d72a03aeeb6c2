package securityheaders

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says which fields answers get. An empty object takes all defaults; `off` for a field leaves it as the upstream sends it.
type Config struct {
	// HSTS is Strict-Transport-Security: for how long browsers use nothing but https. It is sent over https alone. By default 365d.
	HSTS HSTS `yaml:"hsts"`

	// CSP is Content-Security-Policy: what pages may load, run and embed. By default "base-uri 'self'; object-src 'none'", and what
	// Frames says, which breaks no API and hardly any page.
	CSP CSP `yaml:"content_security_policy"`

	// Frames says which pages may show answers in a frame: "none", "self" (those of the same origin), or a list of origins, such as
	// ["self", "https://partner.example"]. It sets `frame-ancestors` of the Content-Security-Policy, unless that names it itself, and
	// X-Frame-Options where that can say the same. By default "self"; "off" says nothing.
	Frames []string `yaml:"frames"`

	// ContentTypeOptions sends X-Content-Type-Options: nosniff, so that browsers believe Content-Type. By default true.
	ContentTypeOptions bool `yaml:"content_type_options"`

	// ReferrerPolicy is Referrer-Policy: what other sites learn of the page that a link was on. By default
	// "strict-origin-when-cross-origin".
	ReferrerPolicy string `yaml:"referrer_policy" enum:"off,no-referrer,same-origin,strict-origin,strict-origin-when-cross-origin,origin,origin-when-cross-origin,no-referrer-when-downgrade,unsafe-url"`

	// PermissionsPolicy is Permissions-Policy: which features of the browser pages may use. By default
	// "camera=(), geolocation=(), microphone=(), payment=(), usb=()"; pages that use one of these need a value of their own.
	PermissionsPolicy string `yaml:"permissions_policy"`

	// CrossOriginOpenerPolicy is Cross-Origin-Opener-Policy: whether pages share a window group with those that opened them. By
	// default "same-origin-allow-popups", with which logins in popups go on working.
	CrossOriginOpenerPolicy string `yaml:"cross_origin_opener_policy" enum:"off,same-origin,same-origin-allow-popups,noopener-allow-popups,unsafe-none"`

	// CrossOriginResourcePolicy is Cross-Origin-Resource-Policy: whose pages may load answers without CORS, as images or scripts. By
	// default "same-site". Files that any site may embed need "cross-origin".
	CrossOriginResourcePolicy string `yaml:"cross_origin_resource_policy" enum:"off,same-origin,same-site,cross-origin"`

	// CrossOriginEmbedderPolicy is Cross-Origin-Embedder-Policy: whether pages may load what does not allow it. By default "off":
	// most pages load something that does not.
	CrossOriginEmbedderPolicy string `yaml:"cross_origin_embedder_policy" enum:"off,require-corp,credentialless,unsafe-none"`

	// Remove are fields that answers do not get, for they tell what runs behind the gateway. By default Server, X-Powered-By,
	// X-AspNet-Version and X-AspNetMvc-Version; "off" or an empty list removes none.
	Remove []string `yaml:"remove"`

	// Upstream says what becomes of a field that the upstream has set itself: "stricter" (the stricter of the two is sent; of policies
	// that cannot be compared both are), "keep" (the upstream's stays) or "replace" (the gateway's is sent). By default "stricter".
	Upstream string `yaml:"upstream" enum:"stricter,keep,replace"`
}

// HSTS is for how long, and for which hosts, browsers use nothing but https. The short form is MaxAge.
type HSTS struct {
	// Off says that nothing is sent.
	Off bool `yaml:",off"`

	// MaxAge is how long browsers remember it, from each answer on. By default 365d. 0 makes them forget it.
	MaxAge config.Duration `yaml:"max_age,short"`

	// Subdomains says that it holds for all hosts below this one, too. By default false.
	Subdomains bool `yaml:"subdomains"`

	// Preload says that the host may be put on the lists that browsers come with. It needs Subdomains and a MaxAge of 365d. By default
	// false, for it is hard to undo.
	Preload bool `yaml:"preload"`
}

// CSP is a Content-Security-Policy. The short form is Policy.
type CSP struct {
	// Off says that nothing is sent.
	Off bool `yaml:",off"`

	// Policy is the whole policy: "default-src 'self'; img-src *". By default "base-uri 'self'; object-src 'none'".
	Policy string `yaml:"policy,short"`

	// Directives are changes to Policy by directive: {default-src: "'self'", img-src: ["'self'", "https://cdn.example.com"]}. An empty
	// list is a directive without values, and "off" takes one away. By default none.
	Directives map[string][]string `yaml:"directives"`

	// ReportOnly sends it as Content-Security-Policy-Report-Only: browsers tell what would be blocked and block nothing. By default
	// false.
	ReportOnly bool `yaml:"report_only"`
}

// Default sets what suits APIs and pages alike.
func (c *Config) Default() {
	c.Frames = []string{"self"}
	c.ContentTypeOptions = true
	c.ReferrerPolicy = "strict-origin-when-cross-origin"
	c.PermissionsPolicy = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
	c.CrossOriginOpenerPolicy = "same-origin-allow-popups"
	c.CrossOriginResourcePolicy = "same-site"
	c.CrossOriginEmbedderPolicy = "off"
	c.Remove = []string{"Server", "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version"}
	c.Upstream = "stricter"
}

// year is the least that the preload lists ask for.
const year = 365 * 24 * time.Hour

// Default sets a year.
func (h *HSTS) Default() { h.MaxAge = config.Duration(year) }

// Validate checks what the preload lists ask for.
func (h *HSTS) Validate() error {
	if h.Preload && (!h.Subdomains || time.Duration(h.MaxAge) < year) {
		return config.FieldErrorf("preload", "the preload lists take no host without `subdomains: true` and a `max_age` of 365d at least")
	}
	return nil
}

// Default sets what hardly ever breaks a page.
func (c *CSP) Default() { c.Policy = "base-uri 'self'; object-src 'none'" }

// Validate checks the directives.
func (c *CSP) Validate() error {
	var errs []error
	if c.Policy == "" && len(c.Directives) == 0 {
		errs = append(errs, errors.New("the policy is empty; write `off` for none"))
	}
	if !httpguts.ValidHeaderFieldValue(c.Policy) {
		errs = append(errs, config.FieldErrorf("policy", "the policy has a control character"))
	}
	for _, d := range parsePolicy(c.Policy) {
		if !isDirective(d.name) {
			errs = append(errs, config.FieldErrorf("policy", "%q cannot be the name of a directive", d.name))
		}
	}
	for name, values := range c.Directives {
		path := "directives[" + strconv.Quote(name) + "]"
		if !isDirective(name) {
			errs = append(errs, config.FieldErrorf(path, "%q cannot be the name of a directive", name))
		}
		for _, v := range values {
			if strings.ContainsAny(v, ";,") || !httpguts.ValidHeaderFieldValue(v) {
				errs = append(errs, config.FieldErrorf(path, "%q cannot be a value of a directive: it has a `;`, a `,` or a control character", v))
			}
			if unquoted(v) {
				errs = append(errs, config.FieldErrorf(path, "%s must stand in single quotes within the value: \"'%s'\"", v, v))
			}
		}
	}
	return errors.Join(errs...)
}

// isDirective says whether a text can be the name of a directive (Content Security Policy Level 3, section 2.3).
func isDirective(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
	})
}

// unquoted finds a keyword without its quotes, which browsers take for the name of a host.
func unquoted(value string) bool {
	return slices.Contains([]string{"self", "none", "unsafe-inline", "unsafe-eval", "strict-dynamic", "unsafe-hashes", "report-sample"}, value)
}

// Validate checks the parts.
func (c *Config) Validate() error {
	var errs []error
	for i, f := range c.Frames {
		at := fmt.Sprintf("frames[%d]", i)
		switch {
		case (f == "none" || f == "off") && len(c.Frames) > 1:
			errs = append(errs, config.FieldErrorf(at, "`%s` must stand alone", f))
		case f == "none", f == "off", f == "self":
		case !isOrigin(f):
			errs = append(errs, config.FieldErrorf(at, "%q is neither none, self, off nor an origin such as https://partner.example", f))
		}
	}
	if len(c.Frames) == 0 {
		errs = append(errs, config.FieldErrorf("frames", "nothing is named; write `none` where no page may embed"))
	}
	if err := checkPermissions(c.PermissionsPolicy); err != nil {
		errs = append(errs, config.FieldErrorf("permissions_policy", "%w", err))
	}
	for i, name := range c.Remove {
		if !httpguts.ValidHeaderFieldName(name) {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("remove[%d]", i), "%q cannot be the name of a field", name))
		}
		if ofMessage(name) {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("remove[%d]", i), "%s belongs to the message itself and cannot be removed", name))
		}
	}
	return errors.Join(errs...)
}

// ofMessage says whether a field is about the connection, the framing or the form of the body.
func ofMessage(name string) bool {
	return slices.ContainsFunc([]string{
		"Connection", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade",
	}, func(f string) bool { return strings.EqualFold(f, name) })
}

// isOrigin says whether a text is an origin that may embed: a scheme and a host, of which the first label may be a star.
func isOrigin(s string) bool {
	scheme, host, ok := strings.Cut(s, "://")
	if !ok || scheme != "https" && scheme != "http" {
		return false
	}
	host = strings.TrimPrefix(host, "*.")
	host = strings.TrimSuffix(host, ":*")
	return host != "" && !strings.ContainsAny(host, "/\\?#@,;'\"* ") && httpguts.ValidHostHeader(host)
}

// checkPermissions checks that a policy is written as a dictionary (RFC 9651, section 3.2), as far as mistakes go that are often made.
func checkPermissions(policy string) error {
	if !httpguts.ValidHeaderFieldValue(policy) {
		return errors.New("the policy has a control character")
	}
	if policy == "off" {
		return nil
	}
	if strings.Contains(policy, ";") {
		return errors.New("features are separated by commas: \"camera=(), geolocation=(self)\"")
	}
	for feature := range strings.SplitSeq(policy, ",") {
		name, list, ok := strings.Cut(strings.TrimSpace(feature), "=")
		listed := strings.HasPrefix(list, "(") && strings.HasSuffix(list, ")")
		if !ok || !isDirective(name) || name != strings.ToLower(name) || !listed && list != "*" && list != "self" {
			return fmt.Errorf("%q is not a feature with those who may use it: write \"camera=()\", \"camera=(self)\" or \"camera=*\"", strings.TrimSpace(feature))
		}
	}
	return nil
}
