package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Expected says what the short form looks like.
func (Match) Expected() string {
	return "a match such as /orders/**, GET /users/{id} or GET,HEAD static.example.com/**, or an object with keys such as host, path, method, header"
}

// UnmarshalText reads the short form: "[METHOD[,METHOD…]] [HOST]/PATH".
func (m *Match) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	short := strings.TrimSpace(string(text))
	switch {
	case len(words) == 0:
		return fmt.Errorf("the match is empty; write /** for every path")
	case short[0] != '~' && len(words) > 1 && !strings.Contains(words[0], "/"):
		m.Method = strings.Split(words[0], ",")
		short = strings.TrimSpace(strings.TrimPrefix(short, words[0]))
	}
	host, path, err := splitTarget(short)
	if err != nil {
		return err
	}
	if host != "" {
		m.Host = []string{host}
	}
	m.Path = []string{path}
	return nil
}

// splitTarget splits "[HOST]/PATH". A path that begins with "~" is a regular expression, before which no host can stand.
func splitTarget(s string) (host, path string, err error) {
	if s[0] == '~' {
		return "", s, nil
	}
	if strings.ContainsAny(s, " \t") {
		return "", "", fmt.Errorf("%q has a space in its path; write METHOD, a space, and the path", s)
	}
	i := strings.IndexByte(s, '/')
	if scheme, rest, ok := strings.Cut(s, "://"); ok && i == len(scheme)+1 {
		return "", "", fmt.Errorf("%q is a URL; write \"%s\", without the scheme", s, rest)
	}
	if i < 0 {
		if checkMethod(s) == nil && strings.ToUpper(s) == s {
			return "", "", fmt.Errorf("%q names a method but no path; write \"%s /**\" for every path", s, s)
		}
		return "", "", fmt.Errorf("%q has no path; write \"/%s\" for a path, or \"%s/**\" for a host", s, s, s)
	}
	return s[:i], s[i:], nil
}

// Validate checks the forms of hosts, paths, methods and expressions.
func (m *Match) Validate() error {
	var errs []error
	check := func(field string, values []string, test func(string) error) {
		for i, v := range values {
			if err := test(v); err != nil {
				errs = append(errs, &FieldError{Path: fmt.Sprintf("%s[%d]", field, i), Err: err})
			}
		}
	}
	check("method", m.Method, checkMethod)
	check("host", m.Host, checkHost)
	check("path", m.Path, checkPath)
	check("accept", m.Accept, checkMediaType)
	names := func(field string, values map[string]ValueMatch, test func(string) error) {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err := test(name); err != nil {
				errs = append(errs, FieldErrorf(fmt.Sprintf("%s[%q]", field, name), "%w", err))
			}
		}
	}
	names("header", m.Header, checkFieldName)
	names("cookie", m.Cookie, checkCookieName)
	return errors.Join(errs...)
}

// knownMethods are those that a typo is measured against.
func knownMethods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}
}

// checkMethod checks a method, which is a token by RFC 9110 section 9.1 and case-sensitive.
func checkMethod(method string) error {
	switch method {
	case "":
		return fmt.Errorf("the method is empty")
	case "*":
		return fmt.Errorf("%q is any method: leave the method out instead", method)
	}
	if !isWholeToken(method) {
		return fmt.Errorf("%q is not a method", method)
	}
	upper := strings.ToUpper(method)
	for _, known := range knownMethods() {
		if upper == known && method != known {
			return fmt.Errorf("%q is not a method; methods are written in capitals: %s", method, known)
		}
	}
	return nil
}

// isWholeToken reports whether a text is a token.
func isWholeToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isToken(r) })
}

// checkFieldName checks the name of a header field. Host is none here: it has a key of its own, which knows what a host is.
func checkFieldName(name string) error {
	switch {
	case !isWholeToken(name):
		return fmt.Errorf("%q cannot be the name of a header field", name)
	case strings.EqualFold(name, "host"):
		return fmt.Errorf("%q is not matched as a header field; write `host` beside `header`", name)
	}
	return nil
}

// checkCookieName checks the name of a cookie.
func checkCookieName(name string) error {
	if !isWholeToken(name) {
		return fmt.Errorf("%q cannot be the name of a cookie", name)
	}
	return nil
}

// checkMediaType checks a media type that Accept is to name.
func checkMediaType(name string) error {
	main, sub, _ := strings.Cut(name, "/")
	switch {
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q is a range; ranges do not count, name the media type itself", name)
	case strings.Contains(name, ";"):
		return fmt.Errorf("%q has parameters; write the media type alone", name)
	case !isWholeToken(main) || !isWholeToken(sub):
		return fmt.Errorf("%q is no media type; write one such as application/vnd.example.v2+json", name)
	}
	return nil
}

// isToken reports whether a character may stand in a token (RFC 9110 section 5.6.2).
func isToken(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// checkHost checks a host, or a pattern of hosts.
func checkHost(host string) error {
	name := strings.TrimPrefix(host, "*.")
	switch {
	case host == "":
		return fmt.Errorf("the host is empty; leave it out for any host")
	case host == "*":
		return fmt.Errorf("%q is any host: leave the host out instead", host)
	case strings.Contains(host, "://"):
		return fmt.Errorf("%q is a URL; write the host alone", host)
	case strings.Contains(name, "*"):
		return fmt.Errorf("%q has a `*` within; it stands only at the beginning, as in \"*.example.com\"", host)
	case strings.HasPrefix(name, "["):
		return nil // an IPv6 address; the router knows it
	case strings.Contains(name, ":"):
		return fmt.Errorf("%q has a port; a host is matched without it", host)
	case strings.ToLower(host) != host:
		return fmt.Errorf("%q has capitals; write %q", host, strings.ToLower(host))
	case len(name) > 253:
		return fmt.Errorf("%q is longer than a host can be", host)
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if !isLabel(label) {
			return fmt.Errorf("%q is not a host name: the part %q is not possible", host, label)
		}
	}
	return nil
}

// isLabel reports whether a text may stand between the dots of a host name.
func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

// compileWhole compiles a regular expression that a whole text must match.
func compileWhole(expression string) error {
	if _, err := regexp.Compile(expression); err != nil {
		return fmt.Errorf("%q is not a regular expression (RE2): %s", expression, regexpReason(err))
	}
	return nil
}

// regexpReason is why a regular expression does not compile, without the package's prefix.
func regexpReason(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
