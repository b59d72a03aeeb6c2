package oidc

import (
	"time"

	"cardea.dev/cardea/filter"
)

// KindAt is the policy under another name, with a clock of the test's own.
func KindAt(name string, now func() time.Time) filter.Kind {
	return filter.Define(name, filter.Authenticate, func(env *filter.Env, c *Config) (*filter.Filter, error) { return build(env, c, now) })
}
