package filtertest

import (
	"fmt"
	"io"
	"log/slog"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/consumers"
	"cardea.dev/cardea/internal/expr"
	"cardea.dev/cardea/observe"
)

// NewEnv returns what a policy or target of the route with a name is built with. It knows these upstreams and no others, its metrics are its
// own, it logs nothing, and its Keeper is a Keeper that is closed at the end of the test.
func NewEnv(t testing.TB, route string, upstreams ...filter.Upstream) *filter.Env {
	t.Helper()
	expressions, err := expr.New()
	if err != nil {
		t.Fatal(err)
	}
	keeper := Keeper{}
	t.Cleanup(func() { keeper.Close(t) })
	return &filter.Env{
		Route: &filter.Route{Name: route}, Log: slog.New(slog.DiscardHandler), Metrics: observe.NewMetrics(),
		Expr: expressions, Keeper: keeper, Upstream: find(upstreams), Consumers: Consumers(t, "{}"),
		Cache: defaultCache,
	}
}

// defaultCache returns the settings of the one cache that there is.
func defaultCache(name string) (config.Cache, error) {
	if name != "default" {
		return config.Cache{}, fmt.Errorf("there is no cache %q", name)
	}
	var c config.Cache
	c.Default()
	return c, nil
}

// Consumers are the consumers of a configuration's `consumers`.
func Consumers(t testing.TB, text string) filter.Consumers {
	t.Helper()
	node := Parse(t, text)
	settings := map[string]config.Consumer{}
	if err := node.Decode(&settings); err != nil {
		t.Fatal(err)
	}
	found, errs := consumers.New(settings, node)
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// find finds upstreams by name.
func find(upstreams []filter.Upstream) func(name string) (filter.Upstream, error) {
	return func(name string) (filter.Upstream, error) {
		for _, u := range upstreams {
			if u.Name() == name {
				return u, nil
			}
		}
		return nil, fmt.Errorf("there is no upstream %q", name)
	}
}

// Parse reads a configuration, in which nothing of the environment is known. What is wrong with it as YAML fails the test.
func Parse(t testing.TB, text string) config.Node {
	t.Helper()
	root, err := config.ParseTree("test.yaml", []byte(text), config.Options{Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Keeper keeps for the length of a test. It is for one goroutine.
type Keeper map[string]any

var _ filter.Keeper = Keeper{}

// Keep returns the value with a key, or makes it.
func (k Keeper) Keep(key string, make func() (any, error)) (any, error) {
	if v, ok := k[key]; ok {
		return v, nil
	}
	v, err := make()
	if err == nil {
		k[key] = v
	}
	return v, err
}

// Close closes what is kept, as when no snapshot asks for it any more, and keeps nothing. An error fails the test.
func (k Keeper) Close(t testing.TB) {
	t.Helper()
	for key, v := range k {
		if c, ok := v.(io.Closer); ok {
			if err := c.Close(); err != nil {
				t.Errorf("cannot close %s: %v", key, err)
			}
		}
	}
	clear(k)
}

// Params are the parameters of a path.
type Params map[string]string

var _ filter.Params = Params{}

// Get returns the parameter with a name.
func (p Params) Get(name string) (string, bool) { v, ok := p[name]; return v, ok }
