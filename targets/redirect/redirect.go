package redirect

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/target"
)

// Config says where clients are sent. The short form is To.
type Config struct {
	// To is the whole address, or a path: "https://new.example.com{path}". It is a template.
	To string `yaml:"to,short"`

	// Status is the status of the answer: 301, 302, 303, 307 or 308. By default 307.
	Status int `yaml:"status"`

	// Scheme replaces the scheme. By default it stays. Not together with To, as the other parts.
	Scheme string `yaml:"scheme" enum:"http,https"`

	// Host replaces the host. It is a template. By default it stays.
	Host string `yaml:"host"`

	// Port is the port of the new address. By default 0: that of the scheme, or the same where neither scheme nor host is said.
	Port int `yaml:"port" min:"0" max:"65535"`

	// Path replaces the path. It is a template. By default it stays.
	Path string `yaml:"path"`

	// KeepQuery adds the request's query, unless the template has one of its own. By default true.
	KeepQuery bool `yaml:"keep_query"`
}

// Default sets 307 with the query.
func (c *Config) Default() { c.Status, c.KeepQuery = http.StatusTemporaryRedirect, true }

// Validate checks that there is one address.
func (c *Config) Validate() error {
	var errs []error
	switch c.Status {
	case 301, 302, 303, 307, 308:
	default:
		errs = append(errs, config.FieldErrorf("status", "%d is not the status of a redirect, which is 301, 302, 303, 307 or 308", c.Status))
	}
	parts := c.Scheme != "" || c.Host != "" || c.Port != 0 || c.Path != ""
	switch {
	case c.To == "" && !parts:
		errs = append(errs, config.FieldErrorf("", "there is nowhere to go: write `to`, or one of scheme, host, port and path"))
	case c.To != "" && parts:
		errs = append(errs, config.FieldErrorf("to", "`to` is the whole address, so that scheme, host, port and path have no place beside it"))
	}
	if strings.ContainsAny(c.Host, "/?#@") {
		errs = append(errs, config.FieldErrorf("host", "%q is more than a host", c.Host))
	}
	if c.Path != "" && c.Path[0] != '/' && c.Path[0] != '{' {
		errs = append(errs, config.FieldErrorf("path", "the path must begin with /"))
	}
	return errors.Join(errs...)
}

// template is the address as one template, and the field that it is from.
func (c *Config) template() (text, field string) {
	switch {
	case c.To != "":
		return c.To, "to"
	case c.Scheme == "" && c.Host == "" && c.Port == 0:
		return c.Path, "path"
	}
	scheme, host, path, field := c.Scheme, c.Host, c.Path, "path"
	if scheme == "" {
		scheme = "{scheme}"
	}
	if host == "" {
		host = "{host}"
	} else {
		field = "host"
	}
	if c.Port != 0 {
		host += ":" + strconv.Itoa(c.Port)
	}
	if path == "" {
		path = "{path}"
	}
	return scheme + "://" + host + path, field
}

// Kind is the target `redirect`.
func Kind() target.Kind { return target.Define("redirect", build) }

// redirect sends clients elsewhere.
type redirect struct {
	status    int
	address   []piece
	fragment  []piece // with its #
	keepQuery bool
}

func build(env *filter.Env, c *Config) (target.Target, error) {
	text, field := c.template()
	address, fragment, err := compile(env.Expr, text)
	if err != nil {
		return nil, config.FieldErrorf(field, "%w", err)
	}
	return &redirect{c.Status, address, fragment, c.KeepQuery && !hasQuery(address)}, nil
}

// Serve answers with the redirect.
func (r *redirect) Serve(ex *filter.Exchange) (*http.Response, error) {
	location, err := r.location(ex)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: r.status, ProtoMajor: 1, ProtoMinor: 1, Request: ex.Request, Body: http.NoBody,
		Header: http.Header{"Location": {location}, "Content-Length": {"0"}},
	}, nil
}

// location returns where the client is sent.
func (r *redirect) location(ex *filter.Exchange) (string, error) {
	b := make([]byte, 0, 128)
	var err error
	if b, err = render(b, r.address, ex); err != nil {
		return "", err
	}
	for len(b) > 1 && b[0] == '/' && b[1] == '/' {
		b = b[1:] // what begins with // would be a host
	}
	if r.keepQuery && ex.Original.Query != "" {
		b = appendRaw(append(b, '?'), ex.Original.Query, "/?")
	}
	if isSelf(b, ex) {
		return "", filter.Reject(filter.InternalError, "The redirect leads to itself.")
	}
	if b, err = render(b, r.fragment, ex); err != nil {
		return "", err
	}
	return string(b), nil
}

// isSelf says whether an address is the one that was asked for.
func isSelf(address []byte, ex *filter.Exchange) bool {
	rest := string(address)
	if rest[0] != '/' {
		var ok bool
		if rest, ok = strings.CutPrefix(rest, ex.Original.Scheme+"://"+ex.Request.Host); !ok {
			return false
		}
	}
	path, query, _ := strings.Cut(rest, "?")
	return path == ex.Original.Path && query == ex.Original.Query
}

// Explain says where the client would be sent.
func (r *redirect) Explain(ex *filter.Exchange) string {
	location, err := r.location(ex)
	if err != nil {
		return "refused: " + err.Error()
	}
	return strconv.Itoa(r.status) + " to " + location
}
