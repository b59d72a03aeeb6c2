package cache

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says what is stored, for how long, and for whom. The short form is TTL. With nothing said, it does what the answers say (RFC 9111).
type Config struct {
	// Use is the cache that answers are kept in, one of `caches`. By default "default", which is there without being named: 128MiB of memory.
	Use string `yaml:"use"`

	// TTL is for how long answers are fresh that say nothing about it: one time, for the statuses 200, 203, 204, 300, 301 and 308; or times by status, such as
	// {200: 5m, 404: 30s, 5xx: 1s}, where the narrower range counts. 400 and 401 must be named by themselves: no range is for them, since anybody can provoke them. Statuses that are
	// about one request alone (408, 412, 416, 429 and such) are never stored. By default answers that say nothing are not stored.
	TTL TTL `yaml:"ttl,short"`

	// Override has TTL hold for answers that do say something, too, but never for those with no-store or private. By default off.
	Override bool `yaml:"override"`

	// MaxTTL is the longest time for which an answer is taken for fresh, whatever it says. By default there is none.
	MaxTTL config.Duration `yaml:"max_ttl"`

	// Heuristic is the share of the time since Last-Modified for which answers are fresh that say nothing else (RFC 9111, section 4.2.2). By default 0, which is none; 10% is usual.
	Heuristic config.Share `yaml:"heuristic" min:"0" max:"1"`

	// Grace is for how long an answer that is not fresh any more may still serve while the service fails: it cannot be reached, or answers 500, 502, 503 or 504. What an answer
	// says of it itself (stale-if-error) goes before, and none serves so that forbids it (must-revalidate, no-cache). By default 1m, and only while the service cannot be
	// reached; 0 leaves it to what answers say.
	Grace *config.Duration `yaml:"grace"`

	// StaleWhileRevalidate is for how long an answer that is not fresh any more may still serve while it is asked for anew, where it does not say so itself. By default 0.
	StaleWhileRevalidate config.Duration `yaml:"stale_while_revalidate"`

	// RefreshEarly is the share of an answer's lifetime before its end in which one request has it asked for anew in the background, so that what is asked for often is always
	// fresh. By default 0, which is none.
	RefreshEarly config.Share `yaml:"refresh_early" min:"0" max:"0.9"`

	// Key is what tells requests apart, beside method, scheme, host and path.
	Key Key `yaml:"key"`

	// Per is "identity" for answers that are each caller's own: they are kept for each caller by itself, and may be private then. By default "", one answer for all, and
	// answers to requests with credentials are stored only if they say that they are for all (public, s-maxage, must-revalidate).
	Per string `yaml:"per" enum:",identity"`

	// Methods are methods beside GET and HEAD that only ask, such as POST for a query in the body. Their answers are kept by what is in the body. By default none.
	Methods []string `yaml:"methods"`

	// MaxBody is the longest body of a request by one of Methods that is looked up. By default 64KiB.
	MaxBody config.Size `yaml:"max_body" min:"1" max:"16MiB"`

	// Bypass is a CEL condition: requests for which it holds are neither answered from the cache nor stored. By default none.
	Bypass string `yaml:"bypass"`

	// StoreWhen is a CEL condition over the answer (response.status, response.header): only those for which it holds are stored. By default all that may be.
	StoreWhen string `yaml:"store_when"`

	// Requests says whether Cache-Control of clients counts: "honor", so that a client may ask for what is fresher (no-cache, max-age), or "ignore", so that none makes the service
	// do work that is not needed. By default "honor".
	Requests string `yaml:"requests" enum:"honor,ignore"`

	// Cookies says what becomes of answers with Set-Cookie: "refuse" does not store them, "strip" stores them without it, and sends nobody the cookie. By default "refuse".
	Cookies string `yaml:"cookies" enum:"refuse,strip"`

	// MaxObject is the longest body that is stored, within what the cache takes. By default there is none.
	MaxObject config.Size `yaml:"max_object"`

	// Targets are the names of fields that speak to this cache alone and go before Cache-Control (RFC 9213), the most specific first. By default CDN-Cache-Control.
	Targets []string `yaml:"targets"`

	// StatusHeader is the name that this gateway has in the field Cache-Status of answers (RFC 9211); "off" sends none. By default "Cardea".
	StatusHeader string `yaml:"status_header"`

	// Wait is how long a request waits for the answer that another one has asked for to begin. Then it goes on by itself. Where gateways share the cache, up to half of it is
	// for an answer that another gateway has asked for to be stored. By default 5s.
	Wait config.Duration `yaml:"wait" min:"1ms"`
}

// Key says what tells requests apart.
type Key struct {
	// Query is which parameters of the query count: "all", {only: […]} or {ignore: […]}; a name may end with "*". By default all, in the order in which they came.
	Query Query `yaml:"query"`

	// Headers are fields of the request that count. What the service says in Vary counts in any case. By default none.
	Headers []string `yaml:"headers"`

	// Cookies are cookies that count. By default none.
	Cookies []string `yaml:"cookies"`

	// Add is what else counts: variables or CEL expressions, such as "jwt.tenant" or "identity.groups". By default nothing.
	Add []string `yaml:"add"`
}

// Query is which parameters of the query count. The short form "all" is all of them.
type Query struct {
	// All is the word "all".
	All string `yaml:"all,short" enum:",all"`

	// Only are the parameters that count. The service sees all of them nevertheless.
	Only []string `yaml:"only"`

	// Ignore are parameters that do not count: [utm_*, fbclid].
	Ignore []string `yaml:"ignore"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.Use = "default"
	c.MaxBody = 64 << 10
	c.Requests = "honor"
	c.Cookies = "refuse"
	c.Targets = []string{"CDN-Cache-Control"}
	c.StatusHeader = "Cardea"
	c.Wait = config.Duration(5 * time.Second)
}

// Validate checks names and what goes together.
func (c *Config) Validate() error {
	var errs []error
	check := func(at string, names []string) {
		for i, name := range names {
			if !httpguts.ValidHeaderFieldName(name) {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d]", at, i), "%q cannot be the name of a field", name))
			}
		}
	}
	check("key.headers", c.Key.Headers)
	check("key.cookies", c.Key.Cookies)
	check("targets", c.Targets)
	for i, m := range c.Methods {
		switch strings.ToUpper(m) {
		case "GET", "HEAD":
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("methods[%d]", i), "%s is looked up in any case", m))
		case "PUT", "DELETE", "PATCH", "CONNECT", "OPTIONS", "TRACE":
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("methods[%d]", i), "%s does more than ask; methods such as POST, QUERY and REPORT can be stored", m))
		default:
			if !httpguts.ValidHeaderFieldName(m) {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("methods[%d]", i), "%q cannot be a method", m))
			}
		}
	}
	for i, name := range c.Targets {
		if strings.EqualFold(name, "Cache-Control") {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("targets[%d]", i), "%s counts in any case, after these", name))
		}
	}
	if c.Key.Query.All != "" && (c.Key.Query.Only != nil || c.Key.Query.Ignore != nil) {
		errs = append(errs, config.FieldErrorf("key.query.all", "either all parameters count, or `only` or `ignore` says which"))
	}
	if c.Key.Query.Only != nil && c.Key.Query.Ignore != nil {
		errs = append(errs, config.FieldErrorf("key.query.ignore", "a query has either `only` or `ignore`"))
	}
	for _, list := range []struct {
		at    string
		names []string
	}{{"key.query.only", c.Key.Query.Only}, {"key.query.ignore", c.Key.Query.Ignore}} {
		for i, name := range list.names {
			if rest := strings.TrimSuffix(name, "*"); strings.Contains(rest, "*") || name == "" {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d]", list.at, i), "%q is neither a name nor the beginning of one with * behind it", name))
			}
		}
	}
	if c.Override && len(c.TTL) == 0 {
		errs = append(errs, config.FieldErrorf("override", "there is nothing to override with: say `ttl`, too"))
	}
	if c.StatusHeader != "off" && c.StatusHeader != "" && !validToken(c.StatusHeader) {
		errs = append(errs, config.FieldErrorf("status_header", "%q cannot be the name of a cache: letters, digits, and -._ may be in it, and it begins with a letter", c.StatusHeader))
	}
	return errors.Join(errs...)
}

// defaultGrace is for how long answers serve while the service cannot be reached, where nothing is said (RFC 9111, section 4.2.4).
const defaultGrace = time.Minute

// validToken says whether a text is a token of structured fields (RFC 9651, section 3.3.4).
func validToken(s string) bool {
	return httpguts.ValidHeaderFieldName(s) && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

// TTL are lifetimes by status.
type TTL map[config.StatusRange]config.Duration

// Expected says what may be written.
func (TTL) Expected() string {
	return "a duration such as 5m, or durations by status: {200: 5m, 404: 30s, 5xx: 1s}"
}

// SchemaOf is the schema of lifetimes.
func (TTL) SchemaOf() *config.SchemaNode {
	one := config.Duration(0).SchemaOf()
	return &config.SchemaNode{AnyOf: append(one.AnyOf[:len(one.AnyOf):len(one.AnyOf)], &config.SchemaNode{
		Type: "object", PatternProperties: map[string]*config.SchemaNode{"^([1-5][0-9][0-9](-[1-5][0-9][0-9])?|[1-5][Xx][Xx])$": one}, AdditionalProperties: false,
	})}
}

// usual are the statuses that a single time is for.
var usual = [...]int{200, 203, 204, 300, 301, 308}

// UnmarshalText reads a single time.
func (t *TTL) UnmarshalText(text []byte) error {
	d, err := config.ParseDuration(string(text))
	if err != nil {
		return err
	}
	*t = TTL{}
	for _, status := range usual {
		(*t)[config.StatusRange{From: status, To: status}] = d
	}
	return nil
}

// of returns the lifetime for a status, of the narrowest range that it is in. For 400 and 401 ranges do not count: they are about what a client has sent, which keys do not have.
func (t TTL) of(status int) (time.Duration, bool) {
	best, width := time.Duration(0), 1000
	for r, d := range t {
		w := r.To - r.From
		if w > 0 && (status == http.StatusBadRequest || status == http.StatusUnauthorized) {
			continue
		}
		if r.Has(status) && (w < width || w == width && d.Std() < best) {
			best, width = d.Std(), w
		}
	}
	return best, width < 1000
}

// has says whether a name is in a list, in which names may end with "*".
func has(list []string, name string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		prefix, any := strings.CutSuffix(pattern, "*")
		return name == pattern || any && strings.HasPrefix(name, prefix)
	})
}
