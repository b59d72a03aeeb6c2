package ratelimit

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/limit"
)

// Config says how many requests may come in which time. The short form is Limits.
type Config struct {
	// Limits are what may come: 100/min, "10/s burst 20 per address", or a list of such. All of them hold.
	Limits []Limit `yaml:"limits,short,required"`

	// KeyConfig is what limits that do not say it themselves are counted by.
	limit.KeyConfig `yaml:",inline"`

	// Algorithm is how limits that do not say it themselves count: "gcra" lets requests come at the rate, and up to the burst of them at
	// once; "sliding_window" lets no more than the count pass in any such time. By default "gcra".
	Algorithm string `yaml:"algorithm" enum:"gcra,sliding_window"`

	// CostConfig is what limits that do not say it themselves count.
	limit.CostConfig `yaml:",inline"`

	// Overrides are other limits for some callers, in place of those that stand after authentication. The first that fits holds. By default
	// none.
	Overrides []Override `yaml:"overrides"`

	// DryRun refuses nothing: what would be refused is told by metrics and in the access log. Clients are told nothing. By default off.
	DryRun bool `yaml:"dry_run"`

	// Headers are the fields that tell clients what is left: "draft" (RateLimit-Policy and RateLimit, as in
	// draft-ietf-httpapi-ratelimit-headers), "legacy" (X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset), "both" or "off".
	// Retry-After is sent with refusals in any case. By default "draft".
	Headers string `yaml:"headers" enum:"draft,legacy,both,off"`

	// MaxKeys is how many keys are remembered in this gateway's memory for each counter. When there are more, those that have used the least
	// of their limit are forgotten, and begin anew. By default 1000000. 0 is the default.
	MaxKeys int `yaml:"max_keys" min:"0" max:"1000000000"`

	// Store is where is counted: "local" (in this gateway's memory, for itself alone), or the URL of a Redis or Valkey where gateways
	// count together: redis://host:6379. By default the gateway's `store`, or else "local".
	Store config.Secret `yaml:"store"`

	// Mode is how gateways count together: "exact" asks the store about each request, "approximate" tells it now and then. By default
	// "exact". It has no meaning for "local".
	Mode string `yaml:"mode" enum:"exact,approximate"`

	// OnStoreFailure is what becomes of requests when the store cannot be asked: "local" (this gateway counts by itself), "allow" or "deny"
	// (they get 503). By default "local". It has no meaning for the store "local".
	OnStoreFailure string `yaml:"on_store_failure" enum:"allow,deny,local"`

	// StoreTimeout is how long a request waits for the store before OnStoreFailure holds. By default 100ms. 0 is the default.
	StoreTimeout config.Duration `yaml:"store_timeout"`
}

// Limit is one limit. The short form is Rate.
type Limit struct {
	// Rate is what may come, in which time, and by what it is counted: "100/min", "10/s burst 20", "1000/h per address, path.id".
	Rate string `yaml:"rate,short,required"`

	// Per is what is counted by, as in the policy's own `per`, unless Rate says it. By default as the policy says.
	Per []string `yaml:"per"`

	// Name is what clients are told that the limit is called. Limits of the same name count together wherever they are written, and must
	// be the same in all else. By default limits have no name, and count for the place where they are written.
	Name string `yaml:"name"`

	// Algorithm is how it counts: "gcra" or "sliding_window". By default as the policy says.
	Algorithm string `yaml:"algorithm" enum:"gcra,sliding_window"`

	limit.CostConfig `yaml:",inline"`

	rate config.Rate
}

// Override is other limits for some requests.
type Override struct {
	limit.Who `yaml:",inline"`

	// Limits are the limits that hold instead, or off for none. Required.
	Limits OverrideLimits `yaml:"limits,required"`
}

// OverrideLimits are the limits of an override. The short form is Limits.
type OverrideLimits struct {
	// Limits are what may come. Required, unless it is off.
	Limits []Limit `yaml:"limits,short"`

	// Off is true when `limits: off` was written: nothing is limited.
	Off bool `yaml:",off"`
}

// maxName is how long a name may be.
const maxName = 64

// Default is what the fields say.
func (c *Config) Default() {
	c.Algorithm, c.Headers, c.Mode, c.OnStoreFailure = string(limit.GCRA), "draft", "exact", "local"
}

// Validate completes the limits and checks them.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Limits) == 0 {
		errs = append(errs, config.FieldErrorf("limits", "no limit is written"))
	}
	errs = append(errs, c.CostConfig.Check(), c.checkLimits("limits", c.Limits))
	for i := range c.Overrides {
		o, at := &c.Overrides[i], fmt.Sprintf("overrides[%d]", i)
		if err := o.Check(); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
		}
		if len(o.Limits.Limits) == 0 && !o.Limits.Off {
			errs = append(errs, config.FieldErrorf(at+".limits", "no limit is written"))
		}
		errs = append(errs, c.checkLimits(at+".limits", o.Limits.Limits))
	}
	return errors.Join(errs...)
}

// checkLimits completes limits with what the policy says for all.
func (c *Config) checkLimits(path string, limits []Limit) error {
	var errs []error
	for i := range limits {
		l, at := &limits[i], fmt.Sprintf("%s[%d]", path, i)
		written := l.Per
		what, per := limit.CutPer(l.Rate)
		rate, err := config.ParseRate(what)
		if err != nil {
			e := &config.FieldError{Path: at, Err: err, Expected: "a rate such as 100/min, 10/s burst 20, or 100/min per address"}
			if i > 0 && strings.Contains(limits[i-1].Rate, " per ") && !strings.Contains(what, "/") {
				e.Hint = fmt.Sprintf("in a list, a comma needs quotes: [%q]", limits[i-1].Rate+", "+l.Rate)
			}
			errs = append(errs, e)
			continue
		}
		l.rate = rate
		switch {
		case len(per) > 0 && len(written) > 0:
			errs = append(errs, config.FieldErrorf(at+".per", "what it is counted by is written in `rate` already"))
		case len(per) > 0:
			l.Per = per
		case len(written) == 0:
			l.Per = c.Per
		}
		if err := l.CostConfig.Check(); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
		}
		l.Algorithm = cmp.Or(l.Algorithm, c.Algorithm)
		l.Cost = cmp.Or(l.Cost, c.Cost)
		l.CostResponse.Value, l.CostResponse.Hide = cmp.Or(l.CostResponse.Value, c.CostResponse.Value), l.CostResponse.Hide || c.CostResponse.Hide
		if err := l.rule().Check(); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
		}
		errs = append(errs, checkName(at+".name", l.Name))
	}
	return errors.Join(errs...)
}

// rule is the limit as it is counted.
func (l *Limit) rule() limit.Rule {
	return limit.Rule{Algorithm: limit.Algorithm(l.Algorithm), Count: l.rate.Count, Per: l.rate.Per, Burst: l.rate.Burst}
}

// checkName refuses names that cannot stand in a structured field (RFC 9651, section 3.3.3).
func checkName(path, name string) error {
	for _, c := range name {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return config.FieldErrorf(path, "a name is of letters, digits and signs of ASCII, without quotes")
		}
	}
	if len(name) > maxName {
		return config.FieldErrorf(path, "a name has at most %d characters", maxName)
	}
	return nil
}
