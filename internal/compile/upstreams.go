package compile

import (
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/upstream"
)

// clusterView is a cluster as the engine knows it.
type clusterView struct{ *upstream.Cluster }

// Status is what operators see of it.
func (c clusterView) Status() any { return c.Cluster.Status() }

var _ engine.Upstream = clusterView{}

func (c *compiler) upstreamEnv() upstream.Env {
	return upstream.Env{Log: c.Log, Metrics: c.Metrics, Expr: c.expr, Keeper: c.scope, Dir: c.Dir}
}
