package securityheaders

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// fields are the fields of a configuration, other than HSTS.
func (c *Config) fields() []field {
	var all []field
	add := func(name, value string, atLeast func(string) bool) {
		if value != "" && value != "off" {
			all = append(all, field{name: http.CanonicalHeaderKey(name), value: []string{value}, atLeast: atLeast})
		}
	}
	policy, framing := c.csp()
	if policy != "" {
		name := "Content-Security-Policy"
		if c.CSP.ReportOnly {
			name += "-Report-Only"
		}
		all = append(all, field{name: name, value: []string{policy}, beside: true})
	}
	add("X-Frame-Options", framing, among(framing, "DENY", "SAMEORIGIN"))
	if c.ContentTypeOptions {
		add("X-Content-Type-Options", "nosniff", nil)
	}
	add("Referrer-Policy", c.ReferrerPolicy, among(
		c.ReferrerPolicy, "no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "origin",
		"origin-when-cross-origin", "no-referrer-when-downgrade", "unsafe-url"))
	if c.PermissionsPolicy != "" && c.PermissionsPolicy != "off" {
		// Of a feature that is named twice the last counts (RFC 9651, section 3.2).
		all = append(all, field{name: "Permissions-Policy", value: []string{c.PermissionsPolicy}, beside: true})
	}
	add("Cross-Origin-Opener-Policy", c.CrossOriginOpenerPolicy, among(
		c.CrossOriginOpenerPolicy, "same-origin", "noopener-allow-popups", "same-origin-allow-popups", "unsafe-none"))
	add("Cross-Origin-Resource-Policy", c.CrossOriginResourcePolicy, among(c.CrossOriginResourcePolicy, "same-origin", "same-site", "cross-origin"))
	add("Cross-Origin-Embedder-Policy", c.CrossOriginEmbedderPolicy, among(
		c.CrossOriginEmbedderPolicy, "require-corp", "credentialless", "unsafe-none"))
	return all
}

// among returns what says whether a value comes no later than ours among values in the order of their strictness.
func among(ours string, strictest ...string) func(string) bool {
	limit := slices.Index(strictest, ours)
	return func(theirs string) bool {
		for _, v := range strictest[:limit+1] {
			if strings.EqualFold(v, theirs) {
				return true
			}
		}
		return false
	}
}

// hsts is the field of HSTS, or nil.
func (c *Config) hsts() *field {
	if c.HSTS.Off {
		return nil
	}
	seconds := int64(c.HSTS.MaxAge.Std().Seconds())
	value := "max-age=" + strconv.FormatInt(seconds, 10)
	if c.HSTS.Subdomains {
		value += "; includeSubDomains"
	}
	if c.HSTS.Preload {
		value += "; preload"
	}
	subdomains, preload := c.HSTS.Subdomains, c.HSTS.Preload
	return &field{name: "Strict-Transport-Security", value: []string{value}, atLeast: func(theirs string) bool {
		age, sub, pre := parseHSTS(theirs)
		return age >= seconds && (sub || !subdomains) && (pre || !preload)
	}}
}

// parseHSTS reads a field of HSTS (RFC 6797, section 6.1). What is malformed has an age of -1.
func parseHSTS(value string) (age int64, subdomains, preload bool) {
	age = -1
	for more := true; more; {
		var d string
		d, value, more = strings.Cut(value, ";")
		name, v, _ := strings.Cut(strings.TrimSpace(d), "=")
		switch name = strings.TrimSpace(name); {
		case strings.EqualFold(name, "max-age"):
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(v), `"`), 10, 62)
			if err != nil || age >= 0 {
				return -1, false, false
			}
			age = int64(n)
		case strings.EqualFold(name, "includeSubDomains"):
			subdomains = true
		case strings.EqualFold(name, "preload"):
			preload = true
		}
	}
	return age, subdomains, preload
}

// directive is a part of a Content-Security-Policy.
type directive struct{ name, values string }

// parsePolicy takes a policy apart. Of a directive that stands there twice the first counts, as it does in browsers.
func parsePolicy(policy string) []directive {
	var all []directive
	for text := range strings.SplitSeq(policy, ";") {
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		d := directive{strings.ToLower(words[0]), strings.Join(words[1:], " ")}
		if !slices.ContainsFunc(all, func(o directive) bool { return o.name == d.name }) {
			all = append(all, d)
		}
	}
	return all
}

// csp returns the Content-Security-Policy, or "", and what X-Frame-Options says, or "".
func (c *Config) csp() (policy, framing string) {
	ancestors := c.ancestors()
	if c.CSP.Off {
		return "", frameOptions(ancestors)
	}
	all := parsePolicy(c.CSP.Policy)
	set := func(name, values string) {
		if i := slices.IndexFunc(all, func(d directive) bool { return d.name == name }); i >= 0 {
			all[i].values = values
			return
		}
		all = append(all, directive{name, values})
	}
	for _, name := range slices.Sorted(maps.Keys(c.CSP.Directives)) {
		values, name := c.CSP.Directives[name], strings.ToLower(name)
		if len(values) == 1 && values[0] == "off" {
			all = slices.DeleteFunc(all, func(d directive) bool { return d.name == name })
			continue
		}
		set(name, strings.Join(values, " "))
	}
	if i := slices.IndexFunc(all, func(d directive) bool { return d.name == "frame-ancestors" }); i >= 0 {
		ancestors = all[i].values
	} else if ancestors != "" && !c.CSP.ReportOnly {
		set("frame-ancestors", ancestors)
	}
	parts := make([]string, len(all))
	for i, d := range all {
		parts[i] = strings.TrimSpace(d.name + " " + d.values)
	}
	return strings.Join(parts, "; "), frameOptions(ancestors)
}

// ancestors is the value of frame-ancestors that Frames says, or "".
func (c *Config) ancestors() string {
	if c.Frames[0] == "off" {
		return ""
	}
	values := make([]string, len(c.Frames))
	for i, f := range c.Frames {
		if values[i] = f; f == "self" || f == "none" {
			values[i] = "'" + f + "'"
		}
	}
	return strings.Join(values, " ")
}

// frameOptions is what X-Frame-Options says for a value of frame-ancestors. It cannot name origins.
func frameOptions(ancestors string) string {
	switch ancestors {
	case "'none'":
		return "DENY"
	case "'self'":
		return "SAMEORIGIN"
	}
	return ""
}

// removed are the names of the fields that are removed.
func (c *Config) removed() []string {
	if len(c.Remove) == 1 && c.Remove[0] == "off" {
		return nil
	}
	names := make([]string, len(c.Remove))
	for i, name := range c.Remove {
		names[i] = http.CanonicalHeaderKey(name)
	}
	return names
}
