package lang

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestColonsInPlainScalars(t *testing.T) {
	for text, want := range map[string]any{
		`{u: [http://127.0.0.1:1, https://[::1]:2]}`:    nil, // brackets end it: as before, whatever that is
		`{u: [http://127.0.0.1:1]}`:                     map[string]any{"u": []any{"http://127.0.0.1:1"}},
		`{u: {e: [http://a:1, http://b:22/x]}}`:         map[string]any{"u": map[string]any{"e": []any{"http://a:1", "http://b:22/x"}}},
		`{address: 127.0.0.1:0, n: 1}`:                  map[string]any{"address": "127.0.0.1:0", "n": int64(1)},
		`{ip: [2001:db8::/32, 10.0.0.0/8]}`:             map[string]any{"ip": []any{"2001:db8::/32", "10.0.0.0/8"}},
		`{"a":1, 'b':2, c: 3, d: x:y:z}`:                map[string]any{"a": int64(1), "b": int64(2), "c": int64(3), "d": "x:y:z"},
		"u: [http://a:1]\nv: {a: b:c}\nw: 12:30\n":      map[string]any{"u": []any{"http://a:1"}, "v": map[string]any{"a": "b:c"}, "w": "12:30"},
		"x: {a: b:c, # http://c:1\n  d: http://e:2 }\n": map[string]any{"x": map[string]any{"a": "b:c", "d": "http://e:2"}},
	} {
		n, err := ParseTree("t.yaml", []byte(text), Options{})
		if want == nil {
			continue // it must not panic
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got any
		if err := n.Decode(&got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}
