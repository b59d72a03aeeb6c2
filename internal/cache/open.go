package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Open returns the cache with a name, which outlives reloads together with what is behind its memory. All policies that name it have the same.
func Open(env *filter.Env, name string, sizes *config.Cache, now func() time.Time) (*Cache, error) {
	behind, where, err := Kept(env, name, sizes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(where))
	return filter.Keep(env, "cache:"+name+":"+hex.EncodeToString(sum[:8]), func() (*Cache, error) {
		return New(name, behind, sizes, env.Log, now), nil
	})
}
