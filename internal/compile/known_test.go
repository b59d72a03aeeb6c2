package compile_test

import (
	"log/slog"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// tells is a policy of a custom build that notes what it is told of answers.
func tells(name string, stage filter.Stage, told map[string]bool) filter.Kind {
	return filter.Define(name, stage, func(env *filter.Env, _ *struct{}) (*filter.Filter, error) {
		s := env.Answers([]config.StatusRange{{From: 200, To: 299}})
		told[env.Route.Name] = s != nil
		return &filter.Filter{}, nil
	})
}

// TestAnswersAreKnown: a policy is told of the answers of its route's target where only one operation can be meant, and where nothing else has a hand in it.
func TestAnswersAreKnown(t *testing.T) {
	told := map[string]bool{}
	kinds := compile.Builtin(filter.Define("own", filter.Observe, func(*filter.Env, *struct{}) (*filter.Filter, error) { return &filter.Filter{}, nil }))
	kinds.Filters = append(kinds.Filters, tells("teller", filter.Transform, told))
	text := `
upstreams:
  pets: {endpoints: "http://127.0.0.1:9", openapi: known.yaml}
  other: "http://127.0.0.1:9"
routes:
  - {name: plain, match: "GET /pets/{id}", to: pets, teller: {}}
  - {name: base, match: "GET /v1/pets/{id}", to: {upstream: [pets]}, teller: {}}
  - {name: all methods, match: "/pets/1", to: pets, teller: {}}
  - {name: head, match: "GET,HEAD /pets/2", to: pets, teller: {}}
  - {name: host and query, match: "GET /pets/3", to: pets, rewrite: {host: h, query: {set: {a: b}}}, teller: {}}
  - {name: fixed fallback, match: "GET /pets/4", to: pets, fallback: {json: {}}, teller: {}}
  - {name: no-path, match: "GET /pets/5", to: pets, rewrite: {strip_prefix: /x}, teller: {}}
  - {name: no-method, match: "GET /pets/6", to: pets, rewrite: {method: POST}, teller: {}}
  - {name: no-split, match: "GET /pets/7", to: [pets, other], teller: {}}
  - {name: no-document, match: "GET /pets/8", to: other, teller: {}}
  - {name: no-fallback, match: "GET /pets/9", to: pets, fallback: {try: [other, {json: {}}]}, teller: {}}
  - {name: no-target, match: "GET /pets/10", respond: x, teller: {}}
  - {name: no-rest, match: "GET /pets/11/**", to: pets, teller: {}}
  - {name: no-operation, match: "GET /dogs", to: pets, teller: {}}
  - {name: no-put, match: "GET,PUT /pets/12", to: pets, teller: {}}
  - {name: no-own, match: "GET /pets/13", to: pets, own: {}, teller: {}}
  - {name: no-content, match: "DELETE /pets/14", to: pets, teller: {}}
  - {name: no-schema, match: "POST /pets", to: pets, teller: {}}
  - name: no-outer
    match: /pets/15
    to: pets
    teller: {}
    routes: [{name: no-inner, match: {method: GET}}]
`
	cfg, found := config.Parse("cardea.yaml", []byte(text), config.Options{})
	keeper := keep.New()
	s, _, err := compile.Build(cfg, compile.Options{
		Kinds: kinds, Keeper: keeper, Metrics: observe.NewMetrics(), Log: slog.New(slog.DiscardHandler), Version: "test", Dir: "testdata", Found: found,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	if len(told) != 20 {
		t.Errorf("told %d routes", len(told))
	}
	for name, known := range told {
		if known == strings.HasPrefix(name, "no-") {
			t.Errorf("%s: known is %v", name, known)
		}
	}
}
