package ratelimit

import (
	"cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
)

// local is the store of a gateway that counts for itself.
const local = "local"

// store is where is counted: local, or a URL.
func (b *builder) store() string {
	return cmp.Or(b.config.Store.Reveal(), b.env.Store.Reveal(), local)
}

// newCounter makes a counter for rules, with a name that tells it from all others, and says what its store is called.
func newCounter(env *filter.Env, c *Config, name string, rules []limit.Rule) (made limit.Counter, store string, err error) {
	b := &builder{env: env, config: c}
	if b.store() != local {
		return nil, "", config.FieldErrorf("store", "a store that gateways share is not in this build")
	}
	keys := env.Metrics.Gauge("rate_limit_keys", "Keys that are remembered in memory, by limit.", "limit").WithLabelValues(name)
	evicted := env.Metrics.Counter("rate_limit_evicted_keys_total", "Keys that were forgotten before their time for want of room, by limit.", "limit").WithLabelValues(name)
	return limit.NewTable(rules, limit.Options{MaxKeys: c.MaxKeys, Keys: keys, Evicted: evicted}), "memory", nil
}
