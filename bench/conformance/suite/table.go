package suite

import (
	"slices"
	"time"
)

// Fields that many scenarios use.
const (
	hour   = "Cache-Control: max-age=3600"
	second = "Cache-Control: max-age=1"
	tag    = `ETag: "abc"`
	day    = "Last-Modified: {now-24h}"
)

// How long to wait until what was fresh for a second, or two, is stale, for caches that count whole seconds.
const (
	pastSecond = 2200 * time.Millisecond
	pastTwo    = 3200 * time.Millisecond
)

// All is the whole table.
func All() []Scenario {
	return slices.Concat(
		freshness(), ages(), expires(), parsing(), responseDirectives(), requestDirectives(),
		statuses(), methods(), invalidation(), authorization(), varies(), conditions(), revalidation(), updates(),
		ranges(), staleness(), bodies(), fields(), targeted(), noVarySearch(), keys(), concurrency(), interim(), cacheStatus(),
	)
}
