package limit

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMembers(t *testing.T) {
	var room [256]byte
	b := AppendPolicy(room[:0], "a", 100, false, time.Minute)
	b = AppendPolicy(b, "b c", 5, true, 1500*time.Millisecond)
	b = AppendPolicy(b, "c", 1, false, 999*time.Millisecond)
	if want := `"a";q=100;w=60, "b c";q=5;qu="content-bytes";w=2, "c";q=1`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	b = AppendLeft(AppendLeft(room[:0], "a", 7, time.Millisecond), "b", 0, -time.Hour)
	if want := `"a";r=7;t=1, "b";r=0;t=0`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	if n := testing.AllocsPerRun(100, func() {
		AppendLeft(AppendPolicy(room[:0], "a", 100, true, time.Minute), "a", 7, time.Minute)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestAddField: answers that share values do not see what is added to others.
func TestAddField(t *testing.T) {
	shared := append(make([]string, 0, 8), "x")
	long := append(make([]string, 0, 8), "own")
	one, two := http.Header{}, http.Header{"F": long}
	for _, h := range []http.Header{one, two} {
		AddField(h, "F", shared)
		AddField(h, "F", []string{"y"})
	}
	one.Add("F", "z")
	for want, got := range map[string][]string{"shared": shared[:2], "long": long[:2]} {
		if got[1] != "" {
			t.Errorf("%s: %q", want, got)
		}
	}
	if diff := cmp.Diff([]http.Header{{"F": {"x", "y", "z"}}, {"F": {"own", "x", "y"}}}, []http.Header{one, two}); diff != "" {
		t.Error(diff)
	}
}
