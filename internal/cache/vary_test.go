package cache

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

func TestVariants(t *testing.T) {
	u := newCache(t, "1MiB")
	const de, fr, it = "Accept-Language: de", "Accept-Language: fr", "Accept-Language: it"
	u.put(u.response("a"), "de", "Accept-Language", de)
	u.put(u.response("a"), "fr", "Accept-Language", fr)
	u.put(u.response("a"), "none", "Accept-Language")
	u.is("each", "de", "a", de)
	u.is("in another form", "de", "a", "Accept-Language: DE;q=1.0")
	u.is("each", "fr", "a", fr)
	u.is("without the field", "none", "a")
	u.is("another", "known", "a", it)
	u.is("another URL", "none", "b", de)
	f, _ := u.Find(t.Context(), []byte("GET http://h/a"), fields([]string{it}))
	if !slices.Equal(f.Names, []string{"Accept-Language"}) {
		t.Errorf("the fields are %v", f.Names)
	}
	f, _ = u.Find(t.Context(), []byte("GET http://h/a"), fields([]string{de}))
	if value := f.Response.Vary.Values("Accept-Language"); len(value) != 1 || value[0] != "de" || f.Response.URL != "http://h/a" || !strings.HasPrefix(f.Response.Key, "GET http://h/a\nvary=") {
		t.Errorf("%+v", f.Response)
	}
	if !Suits(f.Response, []string{"Accept-Language"}, fields([]string{"Accept-Language: de;q=1"})) || Suits(f.Response, []string{"Accept-Language"}, fields([]string{fr})) ||
		Suits(f.Response, []string{"Accept-Language"}, http.Header{}) || Suits(f.Response, []string{"Accept-Language", "X-A"}, fields([]string{de, "X-A: 1"})) {
		t.Error("it is said to suit others, or not to suit its own")
	}
}

// TestVaryThatChanges has what was stored by other fields be found for as long as few sets of them are known.
func TestVaryThatChanges(t *testing.T) {
	u := newCache(t, "1MiB")
	u.put(u.response("a"), "by language", "Accept-Language", "Accept-Language: de")
	u.put(u.response("a"), "by both", "Accept-Language,X-Kind", "Accept-Language: fr", "X-Kind: 1")
	u.is("the older", "by language", "a", "Accept-Language: de", "X-Kind: 1")
	u.is("the latest", "by both", "a", "Accept-Language: fr", "X-Kind: 1")
	u.is("neither", "known", "a", "Accept-Language: fr", "X-Kind: 2")
	for i := range 2 * maxVaries {
		name := fmt.Sprintf("X-%c", 'A'+i)
		u.put(u.response("a"), name, name, name+": 1")
	}
	marker := u.memory.GetString("GET http://h/a")
	if len(marker.Varies) != maxVaries || marker.Varies[0][0] != "X-P" {
		t.Errorf("%d sets of fields are known: %v", len(marker.Varies), marker.Varies)
	}
	u.is("one of the latest", "X-P", "a", "X-P: 1")
	u.is("one that is known", "X-J", "a", "X-J: 1")
	u.is("one that was forgotten", "known", "a", "X-A: 1")
	u.put(u.response("a"), "for all", "")
	u.is("without Vary, for all", "for all", "a", "X-P: 1")
}

// TestMarkersLastAsLongAsVariants do.
func TestMarkersLastAsLongAsVariants(t *testing.T) {
	u := newCache(t, "1MiB")
	lasts := func(d time.Duration) func(*stored.Response) {
		return func(r *stored.Response) { r.Terms.Lifetime = d }
	}
	until := func(when string, want time.Duration) {
		t.Helper()
		if got := u.memory.GetString("GET http://h/a").Until(); !got.Equal(at.Add(want)) {
			t.Errorf("%s: the marker lasts for %s, want %s", when, got.Sub(at), want)
		}
	}
	u.put(u.response("a", lasts(time.Hour)), "de", "Accept-Language", "Accept-Language: de")
	until("the first", time.Hour)
	u.put(u.response("a", lasts(time.Minute)), "fr", "Accept-Language", "Accept-Language: fr")
	until("one that is shorter", time.Hour)
	u.put(u.response("a", lasts(time.Minute)), "x", "X-Kind", "X-Kind: 1")
	until("one that is shorter, by other fields", time.Hour)
	u.put(u.response("a", lasts(2*time.Hour)), "it", "Accept-Language", "Accept-Language: it")
	until("one that is longer", 2*time.Hour)
	u.is("the first", "de", "a", "Accept-Language: de")
}

// TestErrorsAreOneVariants: they say no Vary, and are stored for those alone who ask as the one who got it. That holds also where the answers are
// never fresh, and so the marker is not.
func TestErrorsAreOneVariants(t *testing.T) {
	for name, terms := range map[string]stored.Terms{
		"fresh": {Lifetime: time.Hour}, "never fresh": {Flags: stored.NoCache}, "old": {Lifetime: time.Second, InitialAge: time.Minute},
	} {
		for _, config := range []string{"1MiB", "{memory: 1MiB, disk: {path: d, size: 8MiB}}", "{memory: 0, disk: {path: d, size: 8MiB}}"} {
			t.Run(name+" "+config, func(t *testing.T) {
				u := newCache(t, config)
				u.put(u.response("a", func(r *stored.Response) { r.Terms = terms }), "de", "Accept-Language", "Accept-Language: de")
				u.clock = u.clock.Add(time.Second)
				kept := u.put(u.response("a", status(404)), "not in French", "", "Accept-Language: fr")
				if kept == nil || !strings.HasPrefix(kept.Key, "GET http://h/a\nvary=") {
					t.Fatalf("the error is stored as %+v", kept)
				}
				for language, want := range map[string]string{"de": "de", "fr": "not in French", "it": "known"} {
					if got := strings.TrimPrefix(u.get("a", "Accept-Language: "+language), "behind "); got != want {
						t.Errorf("%s finds %q, want %q", language, got, want)
					}
				}
				u.put(u.response("b", status(404)), "for all", "", "Accept-Language: fr")
				if got := strings.TrimPrefix(u.get("b", "Accept-Language: de"), "behind "); got != "for all" {
					t.Errorf("where nothing differs: %q", got)
				}
			})
		}
	}
}

// TestKeysOfVariants cannot be taken for others, whatever is in the fields.
func TestKeysOfVariants(t *testing.T) {
	names := []string{"X-A", "X-B"}
	seen := map[string]string{}
	values := []string{"-", "", "1", "1&X-B=1", "=", "%3D", "a\tb", "a b", "%", "&"}
	for _, a := range values {
		for _, b := range values {
			h := http.Header{}
			if a != "-" {
				h["X-A"] = []string{a}
			}
			if b != "-" {
				h["X-B"] = []string{b}
			}
			key := string(AppendVariant([]byte("GET http://h/"), names, h))
			if other, twice := seen[key]; twice {
				t.Errorf("%q and %q have both the key %q", other, a+"|"+b, key)
			}
			if strings.Count(key, "\n") != 1 {
				t.Errorf("%q has another part", key)
			}
			seen[key] = a + "|" + b
		}
	}
}
