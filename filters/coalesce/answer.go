package coalesce

import (
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/handout"
)

// answer is an answer before its body, for many.
type answer struct {
	handout.Answer
	loose http.Header // fields of the request that do not tell requests apart
	why   string      // it is not for others; "": it is
}

// private says why an answer is not for others than who asked for it, or "". Common says that no-store is there for caches alone.
func private(resp *http.Response, common bool) string {
	h := resp.Header
	switch {
	case resp.StatusCode < 200 || resp.StatusCode == http.StatusPartialContent:
		return http.StatusText(resp.StatusCode)
	case h["Set-Cookie"] != nil:
		return "it sets a cookie"
	case h["Www-Authenticate"] != nil:
		return "it is a challenge"
	case directive(h["Cache-Control"], "private"), !common && directive(h["Cache-Control"], "no-store"):
		return "its Cache-Control says so"
	case strings.HasPrefix(h.Get("Content-Type"), "text/event-stream"):
		return "it is a stream of events"
	}
	for name := range varies(h) {
		if name == "*" {
			return "its Vary says so"
		}
	}
	return ""
}

// varies are the names in the Vary fields, canonical.
func varies(h http.Header) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, field := range h["Vary"] {
			for name := range strings.SplitSeq(field, ",") {
				if !yield(http.CanonicalHeaderKey(strings.TrimSpace(name))) {
					return
				}
			}
		}
	}
}

// suits says whether the answer is one to a request with some fields, which has the same key.
func (a *answer) suits(k *keyer, fields http.Header) bool {
	for name := range varies(a.Response.Header) {
		if name != "" && !k.counts(name) && !slices.Equal(a.loose[name], fields[name]) {
			return false
		}
	}
	return true
}

// failed says whether the answer is a failure that another request may not meet.
func (a *answer) failed() bool { return a.Response.StatusCode >= http.StatusInternalServerError }
