package respond

import (
	"cardea.dev/cardea/filter"
	fixed "cardea.dev/cardea/internal/answer"
	"cardea.dev/cardea/target"
)

// Config says what is answered.
type Config = fixed.Config

// Kind is the target `respond`.
func Kind() target.Kind {
	return target.Define("respond", func(env *filter.Env, c *Config) (target.Target, error) { return fixed.New(env, c) })
}
