package compile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// TestDirectoriesOfCaches has each cache have its own directory, however that is written.
func TestDirectoriesOfCaches(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"real/deep", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "real", "other/up": "../real/deep", "gone": "nowhere", "round": "round"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ one, two, want string }{
		{"real", "other", ""},
		{"real", "real2", ""},
		{"real/a", "real/b", ""},
		{"new", "newer", ""},
		{"gone", "round", ""},
		{"real", "real/", `real/ is the directory of the cache "one", too`},
		{"real", dir + "//other/../real", `is the directory of the cache "one", too`},
		{"real", "link", `link is the directory of the cache "one", too`},
		{"real/new/x", "link/new/x", `link/new/x is the directory of the cache "one", too`},
		{"real/deep", "other/up", `other/up is the directory of the cache "one", too`},
		{"new", "./new/.", `./new/. is the directory of the cache "one", too`},
		{"link", "other/up", `other/up is inside of link, the directory of the cache "one"`},
		{"new", "new/er", `new/er is inside of new, the directory of the cache "one"`},
		{"other/up/x", "real", `other/up/x, the directory of the cache "one", is inside of real`},
		{"..", "real", `real is inside of .., the directory of the cache "one"`},
		{"real", "file", "file is no directory"},
		{"real", "file/below", "file is no directory"},
	} {
		text := "upstreams: {a: http://a}\ncaches:\n  one: {disk: " + c.one + "}\n  two: {disk: {path: '" + c.two + "'}}\nroutes:\n  - {match: /a, to: a, cache: {use: one}}\n  - {match: /b, to: a, cache: {use: two}}\n"
		cfg, err := config.Parse("cardea.yaml", []byte(text), config.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, _, err := compile.Build(cfg, compile.Options{Kinds: compile.Builtin(), Keeper: keep.New(), Metrics: observe.NewMetrics(), Dir: dir, Offline: true})
		if snapshot != nil {
			_ = snapshot.Discard()
		}
		switch {
		case c.want == "":
			if err != nil {
				t.Errorf("%s and %s: %v", c.one, c.two, err)
			}
		case err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "cardea.yaml:4:22: caches.two.disk.path: ") || strings.Contains(err.Error(), "errors"):
			t.Errorf("%s and %s: got %v, want %s", c.one, c.two, err, c.want)
		}
	}
}
