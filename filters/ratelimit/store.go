package ratelimit

import (
	"cmp"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/sharedlimit"
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
	url := b.store()
	if url == local {
		return newTable(env, c, name, rules), "memory", nil
	}
	if err := sharedlimit.Check(rules); err != nil {
		return nil, "", config.FieldErrorf("limits", "%w", err)
	}
	server, err := redis.Kept(env, config.Secret(url))
	if err != nil {
		return nil, "", config.FieldErrorf("store", "%w", err)
	}
	o := sharedlimit.Options{
		Mode: sharedlimit.Mode(c.Mode), OnFailure: sharedlimit.OnFailure(c.OnStoreFailure), Timeout: c.StoreTimeout.Std(),
		Log: env.Log, Metrics: env.Metrics,
	}
	if o.OnFailure == sharedlimit.Local {
		o.Local = newTable(env, c, name, rules)
	}
	made, err = sharedlimit.New(server, name, rules, o)
	return made, "redis " + c.Mode, err
}

// newTable makes a counter in this gateway's memory.
func newTable(env *filter.Env, c *Config, name string, rules []limit.Rule) *limit.Table {
	keys := env.Metrics.Gauge("rate_limit_keys", "Keys that are remembered in memory, by limit.", "limit").WithLabelValues(name)
	evicted := env.Metrics.Counter("rate_limit_evicted_keys_total", "Keys that were forgotten before their time for want of room, by limit.", "limit").WithLabelValues(name)
	return limit.NewTable(rules, limit.Options{MaxKeys: c.MaxKeys, Keys: keys, Evicted: evicted})
}
