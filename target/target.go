// Package target is the vocabulary of what answers requests: a proxy to an upstream, a fixed answer, a redirect, files.
//
// It holds no target. Targets import it, built-in and foreign ones alike; the engine serves with what they build.
package target

import (
	"net/http"
	"reflect"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Target answers exchanges. It is immutable and shared by all exchanges of its route.
type Target interface {
	// Serve answers ex.Request. It runs after the last filter's request phase, and streams: the response's body may still be
	// coming when it returns. Its errors are best *filter.Error.
	Serve(ex *filter.Exchange) (*http.Response, error)

	// Explain says what Serve would do, without doing it.
	Explain(ex *filter.Exchange) string
}

// Planner is a Target that makes several calls, which operators are shown.
type Planner interface {
	// Plan is what Explain says, with the calls by themselves, and the rest of it in a line.
	Plan(ex *filter.Exchange) (rest string, calls []filter.Call)
}

// Kind is a kind of target: its name in the configuration, and how one is built.
type Kind struct {
	name   string
	config reflect.Type
	build  func(env *filter.Env, node config.Node) (Target, error)
}

// Define makes a Kind. C is its configuration, as for filter.Define. A Target that is an io.Closer is closed after the last
// exchange of its snapshot.
func Define[C any](name string, build func(env *filter.Env, c *C) (Target, error)) Kind {
	return Kind{name, reflect.TypeFor[C](), func(env *filter.Env, node config.Node) (Target, error) {
		c := new(C)
		if err := node.Decode(c); err != nil {
			return nil, err
		}
		t, err := build(env, c)
		if err != nil {
			return nil, node.Locate(err)
		}
		return t, nil
	}}
}

// Name is the kind's key in the configuration.
func (k Kind) Name() string { return k.name }

// Config is the type of the kind's configuration.
func (k Kind) Config() reflect.Type { return k.config }

// Build makes a target of a configuration.
func (k Kind) Build(env *filter.Env, node config.Node) (Target, error) { return k.build(env, node) }
