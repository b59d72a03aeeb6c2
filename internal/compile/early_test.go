package compile_test

import (
	"log/slog"
	"slices"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// TestEarlyParts: what a policy does before authentication runs at the end of the stage guard, also for requests that no route matches, and
// policies know where they were written.
func TestEarlyParts(t *testing.T) {
	type settings struct {
		What string `yaml:"what,short"`
	}
	var scopes []string
	closed := 0
	pass := func(*filter.Exchange) error { return nil }
	meter := filter.Define("meter", filter.Limit, func(env *filter.Env, c *settings) (*filter.Filter, error) {
		scopes = append(scopes, env.Route.Name+"<"+env.Scope)
		f := &filter.Filter{Early: &filter.Filter{Request: pass}}
		if c.What == "both" {
			f.Request, f.Close = pass, func() error { closed++; return nil }
		}
		return f, nil
	}).WithEarly()
	cfg, found := config.Parse("cardea.yaml", []byte(`
log: off
overload: off
body_limit: 1KiB
basic: {users: {me: "$2y$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}}
meter: both
routes:
  - match: /a/**
    meter: early
    routes: [{match: /b, respond: b}, {match: /c, respond: c, basic: off, meter: both}]
  - {match: /d, respond: d}
`), config.Options{})
	s, _, err := compile.Build(cfg, compile.Options{
		Kinds: compile.Builtin(meter), Keeper: keep.New(), Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler), Found: found,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range append(s.Routes, s.Unmatched) {
		line := r.Name + ":"
		for _, step := range r.Steps {
			line += " " + step.Kind + "@" + step.Stage.String()
		}
		got = append(got, line)
	}
	want := []string{
		"/a/b: body_limit@guard meter@guard basic@authenticate",
		"/a/c: body_limit@guard meter@guard meter@limit",
		"/d: body_limit@guard meter@guard basic@authenticate meter@limit",
		": body_limit@guard meter@guard",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if want := []string{"/a/b</a/**", "/a/c</a/c", "/d<", "<"}; !slices.Equal(scopes, want) {
		t.Errorf("scopes: %q", scopes)
	}
	if closed != 1 {
		t.Errorf("of what does not run, %d are closed", closed)
	}
	if err := s.Discard(); err != nil || closed != 3 {
		t.Errorf("%v; %d are closed", err, closed)
	}
}
