//go:build !race

package basic

import "testing"

func TestRememberedPasswordsAllocateNothing(t *testing.T) {
	run := again(t)
	if n := testing.AllocsPerRun(1000, run); n > 0 {
		t.Errorf("a remembered password takes %v allocations", n)
	}
}
