package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/target"
)

// Config says which upstreams get the requests. The short form is Upstream.
type Config struct {
	// Upstream is the upstream that gets the requests, or a list of several that share them.
	Upstream []Arm `yaml:"upstream,short,required"`

	// Sticky keeps a user with the upstream that he had first. By default each request is chosen for anew. Only for several
	// upstreams.
	Sticky *Sticky `yaml:"sticky"`
}

// Arm is one of several upstreams that share requests. The short form is Upstream.
type Arm struct {
	// Upstream is the upstream's name.
	Upstream string `yaml:"upstream,short,required"`

	// Weight is this upstream's part of the requests, in proportion to the other weights. By default 1; 0 gives it none.
	Weight int `yaml:"weight" min:"0" max:"1000000"`
}

// Default sets a weight of 1.
func (a *Arm) Default() { a.Weight = 1 }

// Sticky says how a user is known again. The short form is By.
type Sticky struct {
	// By is a variable, such as "header.x-user" or "jwt.sub", or a CEL expression: requests with the same value go to the same upstream.
	// "cookie" alone is a cookie that the gateway sets.
	By string `yaml:"by,short"`

	// Cookie is a cookie that the gateway sets for users without a value of By. An empty object takes its defaults. By default
	// there is none.
	Cookie *Cookie `yaml:"cookie"`
}

// Cookie is the cookie that holds the choice of an upstream. The short form is Name.
type Cookie struct {
	// Name is its name. Routes with different upstreams need different names. By default "cardea_split".
	Name string `yaml:"name,short"`

	// MaxAge is how long browsers keep it, from when it is set. By default 0: until the browser is closed.
	MaxAge config.Duration `yaml:"max_age"`

	// Domain is the domain whose hosts get it. By default only the host that set it.
	Domain string `yaml:"domain"`

	// Path is the path under which it is sent. By default "/".
	Path string `yaml:"path"`
}

// settle takes "cookie" for the cookie with its defaults.
func (s *Sticky) settle() {
	if s.By != "cookie" {
		return
	}
	s.By = ""
	if s.Cookie == nil {
		s.Cookie = &Cookie{}
		s.Cookie.Default()
	}
}

// Default sets name and path.
func (c *Cookie) Default() { c.Name, c.Path = "cardea_split", "/" }

// Validate checks that there is a request to send somewhere.
func (c *Config) Validate() error {
	var errs []error
	total := 0
	for i, arm := range c.Upstream {
		total += arm.Weight
		for _, before := range c.Upstream[:i] {
			if before.Upstream == arm.Upstream {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("upstream[%d]", i), "%s stands there twice; give it one weight", arm.Upstream))
				break
			}
		}
	}
	switch {
	case len(c.Upstream) == 0:
		errs = append(errs, config.FieldErrorf("upstream", "there is no upstream"))
	case total == 0:
		errs = append(errs, config.FieldErrorf("upstream", "all weights are 0, so nothing gets the requests"))
	case len(c.Upstream) == 1 && c.Sticky != nil:
		errs = append(errs, config.FieldErrorf("sticky", "there is only one upstream to stay with; to stay with an endpoint, see the upstream's `balance`"))
	}
	return errors.Join(errs...)
}

// Validate checks that a user can be known.
func (s *Sticky) Validate() error {
	if s.By == "" && s.Cookie == nil {
		return config.FieldErrorf("", "name what a user is known by, such as header.x-user, or write `cookie: {}`")
	}
	return nil
}

// Validate checks that the cookie can be set.
func (c *Cookie) Validate() error {
	var errs []error
	if !httpguts.ValidHeaderFieldName(c.Name) {
		errs = append(errs, config.FieldErrorf("name", "%q cannot be the name of a cookie", c.Name))
	}
	if c.Path == "" || c.Path[0] != '/' || strings.ContainsFunc(c.Path, unfit) {
		errs = append(errs, config.FieldErrorf("path", "%q cannot be the path of a cookie; it starts with /", c.Path))
	}
	if strings.ContainsFunc(c.Domain, func(r rune) bool { return unfit(r) || r == ' ' }) {
		errs = append(errs, config.FieldErrorf("domain", "%q cannot be the domain of a cookie", c.Domain))
	}
	return errors.Join(errs...)
}

// unfit says which characters would end a cookie's attribute.
func unfit(r rune) bool { return r < ' ' || r > '~' || r == ';' || r == ',' }

// Kind is the target `to`.
func Kind() target.Kind { return target.Define("to", build) }

func build(env *filter.Env, c *Config) (target.Target, error) {
	if c.Sticky != nil {
		c.Sticky.settle()
	}
	var errs []error
	upstreams := make([]filter.Upstream, len(c.Upstream))
	for i, arm := range c.Upstream {
		up, err := env.Upstream(arm.Upstream)
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("upstream[%d].upstream", i), "%w", err))
		}
		upstreams[i] = up
	}
	s, err := newSplit(env, c, upstreams)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	if len(upstreams) == 1 {
		return &proxy{upstreams[0]}, nil
	}
	return s, nil
}

// proxy passes requests on to one upstream.
type proxy struct{ to filter.Upstream }

// Serve passes the request on.
func (p *proxy) Serve(ex *filter.Exchange) (*http.Response, error) { return p.to.Do(ex, ex.Request) }

// Explain names the upstream, and says how it would choose an endpoint.
func (p *proxy) Explain(ex *filter.Exchange) string { return explain(p.to, ex) }

// explain is what an upstream says of itself, or its name.
func explain(up filter.Upstream, ex *filter.Exchange) string {
	if e, ok := up.(interface {
		Explain(ex *filter.Exchange) string
	}); ok {
		return e.Explain(ex)
	}
	return "upstream " + up.Name()
}
