package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Usage is what a limit has counted for a key.
type Usage struct {
	Name string `json:"name"` // of the limit
	filter.KeyUsage
}

// Top is what /limits/top answers.
type Top struct {
	Top []Usage `json:"top"`
}

// Limits is what /limits answers.
type Limits struct {
	Limits []filter.LimiterInfo `json:"limits"`
}

func (a *api) limits(w http.ResponseWriter, _ *http.Request) {
	out := Limits{Limits: []filter.LimiterInfo{}}
	for _, l := range a.Limiters() {
		out.Limits = append(out.Limits, l.Limiter())
	}
	writeJSON(w, http.StatusOK, out)
}

// usualTop and mostTop are how many keys are listed where nothing is said, and at most.
const (
	usualTop = 20
	mostTop  = 1000
)

func (a *api) top(w http.ResponseWriter, r *http.Request) {
	n, name := usualTop, r.URL.Query().Get("limit")
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > mostTop {
			writeProblem(w, http.StatusBadRequest, "bad_question", fmt.Sprintf("%q is no count: n is from 1 to %d.", text, mostTop))
			return
		}
	}
	limiters := a.Limiters()
	if name != "" {
		if limiters = a.named(w, limiters, name); limiters == nil {
			return
		}
	}
	writeJSON(w, http.StatusOK, Top{topOf(limiters, n)})
}

// topOf lists the keys that have used most of what they may.
func topOf(limiters []filter.Limiter, n int) []Usage {
	all := []Usage{}
	for _, l := range limiters {
		name := l.Limiter().Name
		for _, k := range l.Top(n) {
			all = append(all, Usage{name, k})
		}
	}
	share := func(u Usage) float64 {
		if u.Limit == 0 {
			return 0
		}
		return float64(u.Used) / float64(u.Limit)
	}
	slices.SortStableFunc(all, func(x, y Usage) int { return cmp.Or(cmp.Compare(share(y), share(x)), cmp.Compare(y.Used, x.Used)) })
	return all[:min(n, len(all))]
}

// named are the limiters with a name: with one that still serves old exchanges there may be two. Where there is none that is answered.
func (a *api) named(w http.ResponseWriter, all []filter.Limiter, name string) []filter.Limiter {
	var found []filter.Limiter
	var known []string
	for _, l := range all {
		known = append(known, l.Limiter().Name)
		if known[len(known)-1] == name {
			found = append(found, l)
		}
	}
	if found == nil {
		writeProblem(w, http.StatusNotFound, "unknown_limit", fmt.Sprintf("There is no limit %q.%s GET /limits lists all.", name, meant(name, known)))
	}
	return found
}

// meant asks whether something known was meant.
func meant(word string, known []string) string {
	if near := config.Suggest(word, known); near != "" {
		return fmt.Sprintf(" Did you mean %q?", near)
	}
	return ""
}

func (a *api) resetLimit(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		writeProblem(w, http.StatusBadRequest, "bad_question", "The form cannot be read: "+err.Error()+".")
		return
	}
	name, key := r.Form.Get("limit"), r.Form.Get("key")
	if name == "" || key == "" {
		writeProblem(w, http.StatusBadRequest, "bad_question", "Say which limit and which key: both limit and key are wanted, in the query or as a form.")
		return
	}
	limiters := a.named(w, a.Limiters(), name)
	if limiters == nil {
		return
	}
	had := false
	for _, l := range limiters {
		one, err := l.Reset(r.Context(), key)
		if err != nil {
			a.Log.Error("cannot reset a limit", "limit", name, "key", key, "from", r.RemoteAddr, "error", err)
			writeProblem(w, http.StatusServiceUnavailable, "limit_unavailable", "What was counted cannot be forgotten: "+err.Error()+".")
			return
		}
		had = had || one
	}
	if !had {
		writeProblem(w, http.StatusNotFound, "unknown_key", fmt.Sprintf("Nothing is counted for the key %q.%s GET /limits/top lists keys.", key, meant(key, keysOf(limiters))))
		return
	}
	a.Log.Info("a limit was reset", "limit", name, "key", key, "from", r.RemoteAddr)
	writeJSON(w, http.StatusOK, map[string]any{"ok": true, "limit": name, "key": key})
}

// keysOf are the keys that may have been meant.
func keysOf(limiters []filter.Limiter) []string {
	var keys []string
	for _, u := range topOf(limiters, mostTop) {
		keys = append(keys, u.Key)
	}
	return keys
}
