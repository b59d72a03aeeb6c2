package compile_test

import (
	"fmt"
	"strings"
	"testing"
)

// many is a configuration of n routes with three policies of their own.
func many(n int) string {
	var b strings.Builder
	b.WriteString("upstreams: {u: http://127.0.0.1:1}\nroutes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {match: \"GET /service%d/{id}\", to: u, timeout: 2s, body_limit: 1MiB, headers: {response: {set: {X-Route: \"%d\"}}}}\n", i, i)
	}
	return b.String()
}

// TestCompilingGrowsWithTheRoutesAlone compares allocations per route: twice the routes are twice the work, and not four times.
func TestCompilingGrowsWithTheRoutesAlone(t *testing.T) {
	perRoute := func(n int) float64 {
		text := many(n)
		return testing.AllocsPerRun(1, func() { right(t, text) }) / float64(n)
	}
	few, lots := perRoute(500), perRoute(10_000)
	t.Logf("allocations per route: %.0f with 500 routes, %.0f with 10,000", few, lots)
	if lots > 1.5*few || lots > 1500 {
		t.Errorf("allocations per route: %.0f with 500 routes, %.0f with 10,000", few, lots)
	}
}

// TestManyWrongRoutes: errors must not cost more than what is right.
func TestManyWrongRoutes(t *testing.T) {
	for _, line := range []string{"{match: /same, respond: x}", "{match: /a, repsond: x}", "{match: /a, to: nowhere}", "{name: same, match: /a, respond: x}"} {
		text := "upstreams: {somewhere: http://127.0.0.1:1}\nroutes:\n" + strings.Repeat("  - "+line+"\n", 3_000)
		if _, _, err := build(t, "cardea.yaml", text, false); err == nil || strings.Count(err.Error(), "\n") < 2_900 {
			t.Errorf("%s: %.500v", line, err)
		}
	}
}

func BenchmarkCompile10000Routes(b *testing.B) {
	text := many(10_000)
	b.ReportAllocs()
	for b.Loop() {
		right(b, text)
	}
}
