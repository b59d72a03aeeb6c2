package qvalue

import "testing"

func TestOf(t *testing.T) {
	for params, want := range map[string]int{
		"": 1000, "q=1": 1000, "q=1.000": 1000, "q=0": 0, "q=0.5": 500, " Q=0.25 ": 250, "level=1;q=0.123": 123, "level=1": 1000, "q=0.;level=1": 0, "q=1.": 1000,
		"q=": 0, "q": 0, "q=2": 0, "q=1.001": 0, "q=0.1234": 0, "q=-1": 0, "q=.5": 0, "q=0,5": 0, "q=1e0": 0, "q=0.5;q=1": 500,
	} {
		if got := Of(params); got != want {
			t.Errorf("%q: %d, wanted %d", params, got, want)
		}
	}
}
