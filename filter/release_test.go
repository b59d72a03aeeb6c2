package filter

import "testing"

// TestReleaseKeepsLittle: one request made of thousands of calls does not have its exchange keep room for as many.
func TestReleaseKeepsLittle(t *testing.T) {
	for _, n := range []int{3, 10_000} {
		ex := &Exchange{Attempts: make([]Attempt, n)}
		if ex.Release(); cap(ex.Attempts) > maxKept || n <= maxKept && cap(ex.Attempts) != n {
			t.Errorf("after %d attempts there is room for %d", n, cap(ex.Attempts))
		}
	}
}
