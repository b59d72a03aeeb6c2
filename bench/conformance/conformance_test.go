//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"

	"cardea.dev/cardea/bench/conformance/suite"
	"cardea.dev/cardea/gatewaytest"
)

// exceptions are the scenarios in which Cardea does otherwise on purpose, each with the reason.
var exceptions = map[string]string{
	"fresh-two-values-first": "an answer that says two things is stale: RFC 9111 4.2.1 allows either",

	"cc-set-cookie":          noCookies,
	"cc-set-cookie-s-maxage": noCookies,

	"heuristic-200":      noHeuristics,
	"heuristic-203":      noHeuristics,
	"heuristic-204":      noHeuristics,
	"heuristic-300":      noHeuristics,
	"heuristic-301":      noHeuristics,
	"heuristic-308":      noHeuristics,
	"heuristic-404":      noHeuristics,
	"heuristic-405":      noHeuristics,
	"heuristic-410":      noHeuristics,
	"heuristic-414":      noHeuristics,
	"heuristic-501":      noHeuristics,
	"heuristic-1-days":   noHeuristics,
	"heuristic-10-days":  noHeuristics,
	"heuristic-100-days": noHeuristics,
	"status-599-public":  noHeuristics,

	"method-head-head":             "an answer to HEAD is not stored: it has no body to keep",
	"method-post-content-location": "answers to POST are not stored unless the operator says so, and then for the same POST alone",
	"vary-validates-others":        "what other variants are stored is not told to the origin: a variant that was never asked for is asked for as a whole",
}

const (
	noCookies    = "an answer with Set-Cookie is one client's, unless the operator says otherwise: what others get by mistake is worse than what is asked for again"
	noHeuristics = "what says nothing of freshness is not taken for fresh, unless the operator says for how long"
)

// TestConformance plays the whole table through a gateway with nothing but `cache: {}`. Optional scenarios count too: where Cardea chooses
// otherwise, exceptions says why.
func TestConformance(t *testing.T) {
	unused := map[string]bool{}
	for id := range exceptions {
		unused[id] = true
	}
	play(t, "{}", suite.All(), func(t *testing.T, s *suite.Scenario, result suite.Result) {
		reason, excepted := exceptions[s.ID]
		delete(unused, s.ID)
		switch {
		case excepted && result.Outcome == suite.Passed:
			t.Errorf("it passes: it is no exception any more (%s)", reason)
		case !excepted && result.Outcome != suite.Passed:
			t.Errorf("%s, %s by RFC %s: %s: %s", result.Outcome, s.Kind, s.Section, s.About, result.Reason)
		}
	})
	for id := range unused {
		t.Errorf("the exception %s is no scenario", id)
	}
}

// TestConformanceByOption plays what the cache does only where the operator says so, and beside it what it may never do.
func TestConformanceByOption(t *testing.T) {
	for _, c := range []struct{ policy, ids string }{
		{"{heuristic: 10%}", "^heuristic-|^status-599|^fresh-heuristic|^validate-"},
		{"{cookies: strip}", "^cc-set-cookie"},
		{"{grace: 10m}", "^stale-(hangup|if-error-must|if-error-no-cache|503-|while|unsaid|max-age)|^req-max-stale"},
	} {
		chosen, err := choose(c.ids)
		if err != nil {
			t.Fatal(err)
		}
		play(t, c.policy, chosen, func(t *testing.T, s *suite.Scenario, result suite.Result) {
			if result.Outcome != suite.Passed {
				t.Errorf("%s with cache: %s, %s by RFC %s: %s: %s", result.Outcome, c.policy, s.Kind, s.Section, s.About, result.Reason)
			}
		})
	}
}

// play plays scenarios through a gateway and has each result judged in a test of its own.
func play(t *testing.T, policy string, scenarios []suite.Scenario, judge func(*testing.T, *suite.Scenario, suite.Result)) {
	origin, err := suite.NewOrigin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { origin.Close() })
	g := gatewaytest.New(t, strings.NewReplacer("$ORIGIN", origin.Addr(), "cache: {}", "cache: "+policy).Replace(cardeaText))
	cache := suite.Cache{Addr: strings.TrimPrefix(g.URL, "http://"), Origin: origin, Name: "test"}
	for i, result := range cache.Run(t.Context(), scenarios, atOnce) {
		s := &scenarios[i]
		t.Run(s.ID, func(t *testing.T) {
			for again := 0; again < 2 && timed(s) && result.Outcome != suite.Passed && exceptions[s.ID] == ""; again++ {
				result = suite.Cache{Addr: cache.Addr, Origin: origin, Name: "again"}.Play(t.Context(), s)
			}
			judge(t, s, result)
		})
	}
}

// timed says whether a scenario counts on seconds, or on who comes first, for which a machine that has much to do can be too slow.
func timed(s *suite.Scenario) bool {
	return slices.ContainsFunc(s.Steps, func(step suite.Step) bool { return step.Wait > 0 || step.Clients > 1 || step.Answer.Delay > 0 })
}
