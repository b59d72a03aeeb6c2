//go:build !race

package concurrency

import "testing"

func TestNothingIsAllocatedWithoutContention(t *testing.T) {
	p := newPolicy(t, "{limit: 10, per: [address], queue: 5}")
	ex, err := p.ask("")
	if err != nil {
		t.Fatal(err)
	}
	p.Finish(ex)
	if n := testing.AllocsPerRun(1000, func() {
		_ = p.Request(ex)
		p.Finish(ex)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
