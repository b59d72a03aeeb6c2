//go:build !race

package mtls

import "testing"

func TestOpenConnectionsAllocateNothing(t *testing.T) {
	run := again(t)
	if n := testing.AllocsPerRun(1000, run); n > 0 {
		t.Errorf("a request takes %v allocations", n)
	}
}
