//go:build !race

package quota

import "testing"

// TestDecisionsDoNotAllocate: neither those that pass nor those that are near their end.
func TestDecisionsDoNotAllocate(t *testing.T) {
	for _, text := range []string{
		"{quotas: 1000000000/month per identity, file: off}",
		"{quotas: [1000000000/hour per identity, 1000000000/30d per address], timezone: Europe/Berlin, warn_at: 80%, cost: 2}",
		"{quotas: 1/month, overrides: [{groups: [x], amount: 1}, {tags: {plan: p-me}, amount: 1000000000}], cost_response: bytes}",
	} {
		b := newBench(t, text)
		ex := b.exchange("me")
		ex.Sent = 3
		run := func() {
			if err := b.request(ex); err != nil {
				t.Fatal(err)
			}
			b.finish(ex)
		}
		for range 100 {
			run()
		}
		if got := testing.AllocsPerRun(1000, run); got != 0 {
			t.Errorf("%s: %v allocations", text, got)
		}
	}
}
