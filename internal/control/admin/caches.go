package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/purge"
)

// Caches is what /caches answers.
type Caches struct {
	Caches []filter.CacheInfo `json:"caches"`
}

// InCache is a stored answer, and the cache that it is in.
type InCache struct {
	Cache string `json:"cache"`
	filter.StoredInfo
}

// Objects is what /caches/look and /caches/objects answer.
type Objects struct {
	URL     string    `json:"url,omitempty"`    // that was looked for, in its normal form
	Prefix  string    `json:"prefix,omitempty"` // likewise
	Objects []InCache `json:"objects"`
}

// usualObjects and mostObjects are how many stored answers are listed where nothing is said, and at most.
const (
	usualObjects = 20
	mostObjects  = 1000
)

func (a *api) caches(w http.ResponseWriter, _ *http.Request) {
	out := Caches{Caches: []filter.CacheInfo{}}
	for _, c := range a.Caches() {
		out.Caches = append(out.Caches, c.ResponseCache())
	}
	writeJSON(w, http.StatusOK, out)
}

// look answers what is stored for a URL.
func (a *api) look(w http.ResponseWriter, r *http.Request) {
	text := r.URL.Query().Get("url")
	if text == "" {
		badQuestion(w, "Say what to look for: url=https://host/path is wanted.")
		return
	}
	url, err := purge.Normal(text)
	if err != nil {
		badQuestion(w, err.Error()+".")
		return
	}
	n, caches, ok := a.asked(w, r)
	if !ok {
		return
	}
	out := Objects{URL: url, Objects: []InCache{}}
	for _, c := range caches {
		for _, alike := range purge.Alike(url) {
			found, err := c.Look(r.Context(), alike, n)
			if err != nil {
				a.unavailable(w, r, "look into", c, err)
				return
			}
			out.add(c, found)
		}
	}
	out.Objects = out.Objects[:min(n, len(out.Objects))]
	writeJSON(w, http.StatusOK, out)
}

// objects lists what is stored.
func (a *api) objects(w http.ResponseWriter, r *http.Request) {
	out := Objects{Objects: []InCache{}}
	prefixes := []string{""}
	if text := r.URL.Query().Get("prefix"); text != "" {
		var err error
		if out.Prefix, err = purge.NormalPrefix(text); err != nil {
			badQuestion(w, err.Error()+".")
			return
		}
		prefixes = purge.Alike(out.Prefix)
	}
	n, caches, ok := a.asked(w, r)
	if !ok {
		return
	}
	for _, c := range caches {
		for _, prefix := range prefixes {
			out.add(c, c.List(prefix, n))
		}
	}
	out.Objects = out.Objects[:min(n, len(out.Objects))]
	writeJSON(w, http.StatusOK, out)
}

// add adds what was found in a cache, unless it is there.
func (o *Objects) add(c filter.ResponseCache, found []filter.StoredInfo) {
	name := c.ResponseCache().Name
	for _, f := range found {
		if !slices.ContainsFunc(o.Objects, func(in InCache) bool { return in.Cache == name && in.Key == f.Key && in.Where == f.Where }) {
			o.Objects = append(o.Objects, InCache{name, f})
		}
	}
}

// asked are how many answers, and which caches, a question is about. Where it is wrong that is answered.
func (a *api) asked(w http.ResponseWriter, r *http.Request) (n int, caches []filter.ResponseCache, ok bool) {
	n = usualObjects
	if text := r.URL.Query().Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > mostObjects {
			badQuestion(w, fmt.Sprintf("%q is no count: n is from 1 to %d.", text, mostObjects))
			return 0, nil, false
		}
	}
	caches, ok = a.cachesNamed(w, r.URL.Query().Get("cache"))
	return n, caches, ok
}

// cachesNamed are the caches with a name, or all where it is "": after a reload there may be two with one name. Where there is none that is answered.
func (a *api) cachesNamed(w http.ResponseWriter, name string) (found []filter.ResponseCache, ok bool) {
	all := a.Caches()
	if name == "" {
		return all, true
	}
	var known []string
	for _, c := range all {
		known = append(known, c.ResponseCache().Name)
		if known[len(known)-1] == name {
			found = append(found, c)
		}
	}
	if found == nil {
		writeProblem(w, http.StatusNotFound, "unknown_cache", fmt.Sprintf("There is no cache %q.%s GET /caches lists all.", name, meant(name, known)))
	}
	return found, found != nil
}

// unavailable answers that a cache cannot do what was asked for.
func (a *api) unavailable(w http.ResponseWriter, r *http.Request, what string, c filter.ResponseCache, err error) {
	name := c.ResponseCache().Name
	a.Log.Error("cannot "+what+" a cache", "cache", name, "from", r.RemoteAddr, "error", err)
	writeProblem(w, http.StatusServiceUnavailable, "cache_unavailable", fmt.Sprintf("Cannot %s the cache %q: %v.", what, name, err))
}

func badQuestion(w http.ResponseWriter, detail string) {
	writeProblem(w, http.StatusBadRequest, "bad_question", detail)
}
