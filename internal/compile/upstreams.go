package compile

import (
	"maps"
	"slices"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/engine"
	"cardea.dev/cardea/internal/openapi"
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

// openAPI is the document of an upstream that is not wrong, and whether what is not as it says is an error, for now.
func (c *compiler) openAPI(name string) (file string, binding bool) {
	if c.broken[name] {
		return "", false
	}
	document := c.cfg.Upstreams[name].OpenAPI
	if document.Severity == "warning" {
		c.doubted = true
		return document.File, !c.lenient
	}
	return document.File, true
}

// watchOpenAPI has the files watched that the documents of upstreams refer to. Which these are is known once all routes have asked.
func (c *compiler) watchOpenAPI() {
	env := c.env(nil)
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Upstreams)) {
		document, _ := c.openAPI(name)
		if document == "" {
			continue
		}
		if d, err := openapi.ForCalls(env, document); err == nil {
			env.Reads(d.Files()...)
		}
	}
}

// checkOpenAPI reads the document of an upstream, for those who ask what is known by it.
func (c *compiler) checkOpenAPI(name string) error {
	if name == "" {
		return nil
	}
	if _, err := openapi.ForCalls(c.env(nil), name); err != nil {
		return config.FieldErrorf("openapi.file", "%w", err)
	}
	return nil
}
