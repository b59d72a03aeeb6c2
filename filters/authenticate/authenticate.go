package authenticate

import (
	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says how the authentication policies of a route work together. The short form is Require.
type Config struct {
	// Require says how many of the route's authentication policies must accept a request: "all" or "any". With "any" they are asked in the
	// order of their stage, until one accepts. By default "all".
	Require string `yaml:"require,short" enum:"all,any"`

	// Optional lets requests pass that have no credentials at all, without an identity. Credentials that are not accepted are still
	// refused. By default off.
	Optional bool `yaml:"optional"`

	// Anonymous is the consumer that requests without credentials are taken for. It makes credentials optional. By default none.
	Anonymous string `yaml:"anonymous"`
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("authenticate", filter.Authenticate, build) }

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	group := env.Authentication()
	group.Any = c.Require == "any"
	group.Optional = c.Optional || c.Anonymous != ""
	note := "every authentication policy must accept the request"
	if group.Any {
		note = "one authentication policy must accept the request"
	}
	if group.Optional {
		note += ", if it has any credentials"
	}
	if c.Anonymous != "" {
		consumer := env.Consumers.Named(c.Anonymous)
		if consumer == nil {
			return nil, config.FieldErrorf("anonymous", "there is no consumer %q", c.Anonymous)
		}
		group.Anonymous = &filter.Identity{
			Subject: consumer.Name, Consumer: consumer.Name, Groups: consumer.Groups, Tags: consumer.Tags, Method: "anonymous",
		}
	}
	return &filter.Filter{Explain: func(*filter.Exchange) filter.Verdict {
		return filter.Verdict{Action: filter.Passes, Note: note}
	}}, nil
}
