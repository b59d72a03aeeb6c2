package cache

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
)

// keyer makes keys.
type keyer struct {
	route    string // the part that says the route
	identity bool
	query    *Query // nil: all of it
	headers  []string
	cookies  []string
	add      []part
}

// part is a value that tells requests apart.
type part struct {
	name  string
	value filter.Value
}

func newKeyer(env *filter.Env, c *Config) (*keyer, error) {
	k := &keyer{route: "\nroute=" + string(cache.AppendQuoted(nil, env.Route.Name)), identity: c.Per == "identity", cookies: c.Key.Cookies}
	if c.Key.Query.Only != nil || c.Key.Query.Ignore != nil {
		k.query = &c.Key.Query
	}
	for _, name := range c.Key.Headers {
		k.headers = append(k.headers, http.CanonicalHeaderKey(name))
	}
	for i, source := range c.Key.Add {
		value, err := env.Expr.Value(source)
		if err != nil {
			return nil, config.FieldErrorf(fmt.Sprintf("key.add[%d]", i), "%w", err)
		}
		if ofAnswer(source) {
			return nil, config.FieldErrorf(fmt.Sprintf("key.add[%d]", i), "there is no answer yet when it is asked, and so no %s", source)
		}
		k.add = append(k.add, part{string(cache.AppendQuoted(nil, source)), value})
	}
	return k, nil
}

// append appends the primary key of a request. Body is the digest of its body where that counts.
func (k *keyer) append(b []byte, ex *filter.Exchange, body string) []byte {
	o := &ex.Original
	method := o.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	b = append(b, method...)
	b = append(b, ' ')
	b = k.appendURL(b, ex)
	b = append(b, k.route...)
	if host := otherHost(ex); host != "" {
		b = append(b, "\nhost="...)
		b = cache.AppendQuoted(b, strings.ToLower(host))
	}
	for _, name := range k.headers {
		b = appendField(b, ex, name)
	}
	for _, name := range k.cookies {
		b = appendCookie(b, ex.Request.Header["Cookie"], name)
	}
	for i := range k.add {
		b = append(b, "\nadd."...)
		b = append(b, k.add[i].name...)
		if text, ok := k.add[i].value(ex); ok {
			b = append(b, '=')
			b = cache.AppendDigest(b, text)
		}
	}
	if k.identity {
		b = append(b, "\nidentity="...)
		b = cache.AppendIdentity(b, ex)
	}
	if body != "" {
		b = append(b, "\nbody="...)
		b = append(b, body...)
	}
	return b
}

// appendURL appends the target URI in its normal form.
func (k *keyer) appendURL(b []byte, ex *filter.Exchange) []byte {
	o := &ex.Original
	b = append(b, o.Scheme...)
	b = append(b, "://"...)
	b = append(b, o.Host...)
	if port := portOf(ex.Request.Host); port != "" && !usualPort(o.Scheme, port) {
		b = append(b, ':')
		b = append(b, port...)
	}
	b = append(b, o.Path...)
	if o.Query == "" {
		if ex.Request.URL.ForceQuery && k.query == nil {
			b = append(b, '?')
		}
		return b
	}
	if k.query == nil && len(ex.Route.Concealed) == 0 {
		b = append(b, '?')
		return append(b, o.Query...)
	}
	return k.appendQuery(b, o.Query, ex.Route.Concealed)
}

// appendQuery appends the parameters that count, in their order. Those that hold credentials are shown as digests.
func (k *keyer) appendQuery(b []byte, query string, concealed []string) []byte {
	separator := byte('?')
	for pair := range strings.SplitSeq(query, "&") {
		if k.query != nil && (pair == "" || !k.query.counts(pair)) {
			continue
		}
		b = append(b, separator)
		separator = '&'
		name, value, ok := strings.Cut(pair, "=")
		if ok && len(concealed) > 0 && slices.Contains(concealed, strings.ToLower(unescaped(name))) {
			b = append(b, name...)
			b = append(b, '=')
			b = cache.AppendDigest(b, value)
			continue
		}
		b = append(b, pair...)
	}
	return b
}

// counts says whether a parameter counts. What a service might take for one that does, counts: services differ in how they read names, and some take ";" for "&".
func (q *Query) counts(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name = unescaped(name)
	switch {
	case strings.IndexByte(pair, ';') >= 0:
		return true
	case q.Ignore != nil:
		return !has(q.Ignore, name)
	}
	return has(q.Only, name) || slices.ContainsFunc(q.Only, func(pattern string) bool { return alike(pattern, name) })
}

// alike says whether some services take one name for the other: they ignore case, or blanks around it, end it at a bracket or a NUL, or have "_" for what cannot be in a variable's name.
func alike(pattern, name string) bool {
	pattern, any := strings.CutSuffix(pattern, "*")
	pattern, name = loose(pattern), loose(name)
	return name == pattern || any && strings.HasPrefix(name, pattern)
}

// loose is a name as the services read it that tell the fewest apart.
func loose(name string) string {
	name = strings.TrimLeft(name, " \t\r\n")
	if end := strings.IndexAny(name, "[\x00"); end > 0 {
		name = name[:end]
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case ' ', '.', '-', '+', '[', '\t':
			return '_'
		}
		return unicode.ToLower(c)
	}, strings.TrimRight(name, " \t\r\n"))
}

// unescaped is a parameter's name as services read it.
func unescaped(name string) string {
	if !strings.ContainsAny(name, "%+") {
		return name
	}
	var plain strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '%' && i+2 < len(name) {
			if v, err := strconv.ParseUint(name[i+1:i+3], 16, 8); err == nil {
				plain.WriteByte(byte(v))
				i += 2
				continue
			}
		}
		if c == '+' {
			c = ' '
		}
		plain.WriteByte(c)
	}
	return plain.String()
}

// portOf is the port that a Host field names, or "".
func portOf(host string) string {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[i+1:]
		case c < '0' || c > '9':
			return ""
		}
	}
	return ""
}

func usualPort(scheme, port string) bool {
	return scheme == "http" && port == "80" || scheme == "https" && port == "443"
}

// otherHost is the Host field that the service sees, where it is not the host of the URL: behind a proxy that is trusted to say that.
func otherHost(ex *filter.Exchange) string {
	host := ex.Request.Host
	name := host
	if port := portOf(host); port != "" {
		name = host[:len(host)-len(port)-1]
	}
	if strings.EqualFold(name, ex.Original.Host) || strings.EqualFold(strings.Trim(name, "[]"), strings.Trim(ex.Original.Host, "[]")) {
		return ""
	}
	return host
}

// appendField appends a field of the request. Credentials are shown as digests.
func appendField(b []byte, ex *filter.Exchange, name string) []byte {
	values := ex.Request.Header[name]
	b = append(b, '\n')
	b = append(b, name...)
	for _, v := range values {
		b = append(b, '=')
		if cache.SecretField(name) {
			b = cache.AppendDigest(b, v)
		} else {
			b = cache.AppendQuoted(b, v)
		}
	}
	return b
}

// appendCookie appends the cookies with a name, in their order.
func appendCookie(b []byte, fields []string, name string) []byte {
	b = append(b, "\ncookie."...)
	b = append(b, name...)
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			n, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if n == name {
				b = append(b, '=')
				b = cache.AppendDigest(b, value)
			}
		}
	}
	return b
}
