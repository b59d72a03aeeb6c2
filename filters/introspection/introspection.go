package introspection

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/issuer"
	"cardea.dev/cardea/internal/token"
)

// Config says who is asked about tokens.
type Config struct {
	token.Settings `yaml:",inline"`

	// Endpoint is the URL of the introspection endpoint. By default the issuer's discovery document says it.
	Endpoint string `yaml:"endpoint"`

	// Issuer is the authorization server. Answers that name another issuer (`iss`) are refused. Consumers name it beside the subject:
	// without it, no consumer is found. It may be left out where there is an endpoint.
	Issuer string `yaml:"issuer"`

	// DiscoveryURL is where the discovery document is. By default the places that OpenID Connect and RFC 8414 give for the issuer.
	DiscoveryURL string `yaml:"discovery_url"`

	// ClientID is the name that the gateway has at the server.
	ClientID string `yaml:"client_id,required"`

	// ClientSecret is the secret that goes with it.
	ClientSecret config.Secret `yaml:"client_secret,required"`

	// ClientAuth is how they are sent: "basic" in the field Authorization, "post" in the form. By default "basic".
	ClientAuth string `yaml:"client_auth" enum:"basic,post"`

	// Audience are the services that tokens may be for (`aud`); one of them is enough. By default it is not looked at.
	Audience []string `yaml:"audience"`

	// Cache is how long the answer that a token is active is kept, if it does not expire before. A revoked token is good for so long. By
	// default 1m. 0 keeps none, and every request asks.
	Cache config.Duration `yaml:"cache" max:"1d"`

	// CacheInactive is how long the answer that a token is not active is kept. By default 10s. 0 keeps none.
	CacheInactive config.Duration `yaml:"cache_inactive" max:"1h"`

	// Timeout is how long the server may take. By default 5s.
	Timeout config.Duration `yaml:"timeout" min:"100ms" max:"1m"`

	// CA is a PEM file with the authorities that the server's certificate may be of. By default those of the system.
	CA string `yaml:"ca"`

	// AllowHTTP lets tokens and secrets be sent without TLS. Addresses of the machine itself are always allowed. By default off.
	AllowHTTP bool `yaml:"allow_http"`
}

// Default is a minute's cache.
func (c *Config) Default() {
	c.Settings.Default()
	c.ClientAuth = "basic"
	c.Cache = config.Duration(time.Minute)
	c.CacheInactive = config.Duration(10 * time.Second)
	c.Timeout = config.Duration(5 * time.Second)
}

// Validate checks that there is someone to ask.
func (c *Config) Validate() error {
	errs := []error{c.Check()}
	switch {
	case c.Endpoint == "" && c.Issuer == "":
		errs = append(errs, errors.New("there is nobody to ask: write `endpoint`, or `issuer`"))
	case c.Endpoint != "" && c.DiscoveryURL != "":
		errs = append(errs, config.FieldErrorf("discovery_url", "nothing is discovered where `endpoint` is given"))
	case c.Endpoint == "" && c.DiscoveryURL == "":
		errs = append(errs, urlError("issuer", c.Issuer, c.AllowHTTP))
	}
	for name, where := range map[string]string{"endpoint": c.Endpoint, "discovery_url": c.DiscoveryURL} {
		if where != "" {
			errs = append(errs, urlError(name, where, c.AllowHTTP))
		}
	}
	return errors.Join(errs...)
}

func urlError(field, where string, allowHTTP bool) error {
	if err := issuer.CheckURL(where, allowHTTP); err != nil {
		return config.FieldErrorf(field, "%w", err)
	}
	return nil
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("oauth2_introspection", filter.Authenticate, build) }

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := token.NewPolicy(env, "oauth2_introspection", &c.Settings, time.Now)
	if err != nil {
		return nil, err
	}
	env.Reads(c.CA)
	roots, authorities, err := issuer.Authorities(env.Dir, c.CA)
	if err != nil {
		return nil, config.FieldErrorf("ca", "%w", err)
	}
	settings, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("cannot identify the settings: %w", err)
	}
	id := sha256.Sum256(fmt.Appendf(nil, "%s %q %x", settings, c.ClientSecret.Reveal(), sha256.Sum256(authorities)))
	s, err := filter.Keep(env, fmt.Sprintf("oauth2_introspection:%x", id), func() (*server, error) {
		return newServer(c, issuer.NewClient(roots, c.AllowHTTP, time.Duration(c.Timeout)))
	})
	if err != nil {
		return nil, err
	}
	return p.Filter(s.find), nil
}
