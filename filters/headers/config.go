package headers

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says which fields are changed.
type Config struct {
	// Request are the changes to the request that the upstream sees. By default none.
	Request Changes `yaml:"request"`

	// Response are the changes to the answer that the client sees. By default none.
	Response Changes `yaml:"response"`
}

// Changes are changes to the fields of a message. They are made in the order Remove, Set, Default, Add; the values are
// templates and computed before.
type Changes struct {
	// Set replaces fields: {X-User: "{jwt.sub}"}. A template that comes out empty leaves the field out, whoever had set it.
	// Several values of a field are a list. By default none.
	Set map[string][]string `yaml:"set"`

	// Default sets fields that are not there: {Accept-Language: en}. By default none.
	Default map[string][]string `yaml:"default"`

	// Add adds values to fields, whether they are there or not: {Via: 1.1 cardea}. By default none.
	Add map[string][]string `yaml:"add"`

	// Remove takes fields away by name, or by the beginning of names: [Server, "X-Internal-*"]. By default none.
	Remove []string `yaml:"remove"`
}

// Validate checks names, and values as far as they are known.
func (c *Config) Validate() error {
	errs := []error{c.Request.check("request"), c.Response.check("response")}
	if c.Request.empty() && c.Response.empty() {
		errs = append(errs, errors.New("no change is named: write `request` or `response`, with `set`, `default`, `add` or `remove`"))
	}
	return errors.Join(errs...)
}

func (c *Changes) empty() bool {
	return len(c.Set) == 0 && len(c.Default) == 0 && len(c.Add) == 0 && len(c.Remove) == 0
}

// part is what the changes do in one way.
type part struct {
	key    string
	action action
	fields map[string][]string
}

// path is where a field of the part stands in the configuration.
func (p *part) path(name string) string { return p.key + "[" + strconv.Quote(name) + "]" }

// parts are the changes that have values, in the order in which they are made.
func (c *Changes) parts() []part {
	return []part{{"set", set, c.Set}, {"default", setDefault, c.Default}, {"add", add, c.Add}}
}

// check says what is wrong with the changes of the request or response.
func (c *Changes) check(message string) error {
	var errs []error
	for _, p := range c.parts() {
		seen := map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(p.fields)) {
			path := message + "." + p.path(name)
			if err := checkName(name, message == "request" && p.action == set); err != nil {
				errs = append(errs, config.FieldErrorf(path, "%w", err))
			}
			if twin := seen[http.CanonicalHeaderKey(name)]; twin != "" {
				errs = append(errs, config.FieldErrorf(path, "%q is the same field as %q: names have no case", name, twin))
			}
			seen[http.CanonicalHeaderKey(name)] = name
			errs = append(errs, checkValues(path, name, p.fields[name]))
		}
	}
	for i, name := range c.Remove {
		if name == "*" {
			continue
		}
		if err := checkName(strings.TrimSuffix(name, "*"), false); err != nil {
			errs = append(errs, config.FieldErrorf(message+".remove["+strconv.Itoa(i)+"]", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// checkName says why a field cannot be changed.
func checkName(name string, mayBeHost bool) error {
	canonical := http.CanonicalHeaderKey(name)
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return errors.New(strconv.Quote(name) + " cannot be the name of a field")
	case ofConnection(canonical):
		return errors.New(canonical + " belongs to the connection and cannot be changed")
	case canonical == "Host" && !mayBeHost:
		return errors.New("Host can only be set, and only in a request")
	}
	return nil
}

// checkValues says whether a field has the wrong number of values.
func checkValues(path, name string, values []string) error {
	if len(values) == 0 {
		return config.FieldErrorf(path, "%s has no value; to take a field away use `remove`", name)
	}
	if http.CanonicalHeaderKey(name) == "Host" && len(values) > 1 {
		return config.FieldErrorf(path, "Host has one value")
	}
	return nil
}

// ofConnection says whether a field is about the connection or the framing of one message, which the gateway itself sees to
// (RFC 9110, section 7.6.1).
func ofConnection(canonical string) bool {
	switch canonical {
	case "Connection", "Content-Length", "Http2-Settings", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}
