package suite

import "testing"

func TestIDsAreUnique(t *testing.T) {
	known := map[string]bool{}
	for _, s := range All() {
		if known[s.ID] {
			t.Errorf("two scenarios are called %s", s.ID)
		}
		known[s.ID] = true
		if s.Section == "" || s.About == "" || len(s.Steps) == 0 {
			t.Errorf("%s says too little", s.ID)
		}
		if n := len(s.Steps); len(s.Steps[n-1].Expect) == 0 {
			t.Errorf("nothing is expected of the last step of %s", s.ID)
		}
	}
}
