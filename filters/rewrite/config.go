package rewrite

import (
	"errors"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says what is changed in the request line. The short form is Path.
type Config struct {
	// Path is the new path, a template: "/users/{path.id}/orders". Values are escaped so that they stay within their segment;
	// "{path.rest...}" keeps slashes. A "?" begins a new query. By default the path stays.
	Path string `yaml:"path,short"`

	// StripPrefix is taken away from the front of the path: "/api". "*" or "{name}" stands for any one segment. Paths without it
	// stay as they are. By default nothing.
	StripPrefix string `yaml:"strip_prefix"`

	// AddPrefix is put in front of the path, after StripPrefix; a template: "/v2". By default nothing.
	AddPrefix string `yaml:"add_prefix"`

	// ReplacePrefix puts one prefix in the place of another. Paths without it stay as they are. By default nothing.
	ReplacePrefix *ReplacePrefix `yaml:"replace_prefix"`

	// Regex is a regular expression (RE2). What it matches in the escaped path is replaced by To: "^/old/(.*)$". By default
	// nothing.
	Regex string `yaml:"regex"`

	// To replaces what Regex matches: "/new/$1". "$1" is the first group, "$name" a named one, "$$" a dollar sign; values in braces
	// are escaped as in Path. It is required beside Regex; "" takes away what that matches.
	To *string `yaml:"to"`

	// Host is the host that the upstream is told, with or without a port, a template: "orders.internal". By default it stays.
	Host string `yaml:"host"`

	// Method is the method that the upstream is asked with: "POST". By default it stays.
	Method string `yaml:"method"`

	// Query are the changes to the query. By default none.
	Query Query `yaml:"query"`
}

// ReplacePrefix puts one prefix in the place of another.
type ReplacePrefix struct {
	// From is the prefix that is taken away: "/api". "*" or "{name}" stands for any one segment. It is required.
	From string `yaml:"from,required"`

	// To is the prefix that comes in its place, a template: "/v2". It is required; "/" is none.
	To string `yaml:"to,required"`
}

// Query are changes to the query, made in the order Remove, Set, Add.
type Query struct {
	// Set replaces parameters: {user: "{jwt.sub}"}. Values are templates; one that comes out empty leaves the parameter out. Several
	// values are a list. By default none.
	Set map[string][]string `yaml:"set"`

	// Add adds parameters, whether they are there or not: {tag: [a, b]}. Values are templates. By default none.
	Add map[string][]string `yaml:"add"`

	// Remove takes parameters away by name, or by the beginning of names: [debug, "utm_*"]. By default none.
	Remove []string `yaml:"remove"`
}

func (q *Query) empty() bool { return len(q.Set) == 0 && len(q.Add) == 0 && len(q.Remove) == 0 }

// Validate checks what goes together, and names.
func (c *Config) Validate() error {
	ways := c.pathChanges()
	var errs []error
	if len(ways) == 0 && c.Host == "" && c.Method == "" && c.Query.empty() {
		errs = append(errs, errors.New("nothing is rewritten: write `rewrite: /new/path`, or strip_prefix, add_prefix, replace_prefix, regex, host, method or query"))
	}
	if len(ways) > 1 {
		errs = append(errs, config.FieldErrorf(ways[1], "%s and %s both change the path; only strip_prefix and add_prefix go together", ways[0], ways[1]))
	}
	switch {
	case c.To != nil && c.Regex == "":
		errs = append(errs, config.FieldErrorf("to", "`to` replaces what `regex` matches, and there is no `regex`"))
	case c.To == nil && c.Regex != "":
		errs = append(errs, config.FieldErrorf("regex", "there is no `to`, which says what replaces what `regex` matches; write `to: \"\"` to take it away"))
	}
	if c.Method != "" {
		if err := checkMethod(c.Method); err != nil {
			errs = append(errs, config.FieldErrorf("method", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// pathChanges are the keys that change the path. Stripping and adding a prefix is one change.
func (c *Config) pathChanges() []string {
	var keys []string
	note := func(key string, said bool) {
		if said {
			keys = append(keys, key)
		}
	}
	note("path", c.Path != "")
	note("replace_prefix", c.ReplacePrefix != nil)
	note("regex", c.Regex != "")
	if c.StripPrefix != "" {
		note("strip_prefix", true)
	} else {
		note("add_prefix", c.AddPrefix != "")
	}
	return keys
}

// checkMethod says why a request cannot be given a method.
func checkMethod(method string) error {
	switch upper := strings.ToUpper(method); {
	case !httpguts.ValidHeaderFieldName(method):
		return errors.New("this cannot be a method")
	case upper == "CONNECT" || upper == "TRACE":
		return errors.New("requests cannot be turned into " + upper)
	case upper != method:
		return errors.New("methods have case: write " + upper)
	}
	return nil
}
