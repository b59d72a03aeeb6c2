package call

import "testing"

// TestAsksForOther: what is known of JSON is not about types that are not called so.
func TestAsksForOther(t *testing.T) {
	for _, test := range []struct {
		config Config
		want   bool
	}{
		{Config{}, false},
		{Config{Headers: map[string]string{"X": "text/plain"}}, false},
		{Config{Headers: map[string]string{"accept": "application/json"}}, false},
		{Config{Headers: map[string]string{"Accept": "application/hal+json, application/json;q=0.5, */*;q=0.1"}}, false},
		{Config{Headers: map[string]string{"Accept": "application/vnd.github.object"}}, true},
		{Config{Headers: map[string]string{"ACCEPT": "application/json, {header.accept}"}}, true},
	} {
		if got := asksForOther(&test.config); got != test.want {
			t.Errorf("%v: %v", test.config.Headers, got)
		}
	}
}
