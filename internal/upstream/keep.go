package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"cardea.dev/cardea/config"
)

// Kept returns the cluster of a configuration from env.Keeper: the one that runs, if nothing about it has changed, or else a
// new one, which takes over connections, health, ejections, latencies, limits and the breaker as far as its settings leave them what they were.
func Kept(name string, c *config.Upstream, env Env) (*Cluster, error) {
	m, err := env.Keeper.Keep("upstream:"+name+":memory", func() (any, error) { return newMemory(), nil })
	if err != nil {
		return nil, err
	}
	key := Key(name, c) + ":" + digest(fileContents(c.TLS, env.Dir))
	v, err := env.Keeper.Keep(key, func() (any, error) { return build(name, c, env, m.(*memory)) })
	if err != nil {
		return nil, err
	}
	return v.(*Cluster), nil
}

// Key is a key that is the same for the same upstream with the same settings, and different for others.
func Key(name string, c *config.Upstream) string { return "upstream:" + name + ":" + digest(c) }

// digest is a short text that differs where the values do.
func digest(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		panic(fmt.Sprintf("upstream: cannot take the digest of settings: %v", err)) // they are plain data
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// fileContents are the contents of files that are read once, when a cluster is built. What cannot be read is reported there.
func fileContents(c config.UpstreamTLS, dir string) string {
	if c.CA == "" {
		return ""
	}
	text, _ := os.ReadFile(resolve(dir, c.CA))
	return string(text)
}
