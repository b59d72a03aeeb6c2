package sharedlimit

import (
	"context"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

// probe asks a server to count, as decisions do: of a cluster also the one that has a key. It brings the script.
func (l *link) probe(ctx context.Context, key string) error {
	all := []*call{{key: prefix + "probe", op: "charge", cost: 1, rules: probeRules}, {key: key, op: "take", rules: probeRules}}
	return l.server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		for _, c := range all {
			if err := c.read(client.Do(ctx, l.command(client, c, true))); err != nil {
				if _, down := redis.Classify(err); down {
					return err
				}
			}
		}
		return nil
	})
}

// probeRules count to 1 in a second.
var probeRules = []compiled{{args: [4]string{"g", "1000000", "1", "1000000"}, most: 1}}

// changed shows operators whether the server is up.
func (l *link) changed(up bool) {
	l.m.up.Set(0)
	if up {
		l.m.up.Set(1)
	}
}
