package coalesce

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// answer is an answer before its body, for many. It is not changed once readers have it, but for the trailer, which is set before the body ends.
type answer struct {
	resp      *http.Response
	err       error // why it is an error, where a policy answers so
	upstream  string
	attempts  []filter.Attempt
	fault     string
	fallback  filter.Fallback
	loose     http.Header // fields of the request that do not tell requests apart
	announced http.Header // names of the trailer, before its values are known
	trailer   http.Header // after the body
	why       string      // it is not for others; "": it is
}

// private says why an answer is not for others than who asked for it, or "".
func private(resp *http.Response) string {
	h := resp.Header
	switch {
	case resp.StatusCode < 200 || resp.StatusCode == http.StatusPartialContent:
		return http.StatusText(resp.StatusCode)
	case h["Set-Cookie"] != nil:
		return "it sets a cookie"
	case h["Www-Authenticate"] != nil:
		return "it is a challenge"
	case directive(h["Cache-Control"], "private"), directive(h["Cache-Control"], "no-store"):
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
	for name := range varies(a.resp.Header) {
		if name != "" && !k.counts(name) && !slices.Equal(a.loose[name], fields[name]) {
			return false
		}
	}
	return true
}

// failed says whether the answer is a failure that another request may not meet.
func (a *answer) failed() bool { return a.resp.StatusCode >= http.StatusInternalServerError }

// response makes a reader's own response.
func (a *answer) response(ex *filter.Exchange) *http.Response {
	of := a.resp
	return &http.Response{
		Status: of.Status, StatusCode: of.StatusCode, Proto: of.Proto, ProtoMajor: of.ProtoMajor, ProtoMinor: of.ProtoMinor,
		Header: of.Header.Clone(), ContentLength: of.ContentLength, Trailer: a.announced.Clone(), Request: ex.Request, Body: http.NoBody,
	}
}

// announced are the names of a trailer, before its values are known.
func announced(trailer http.Header) http.Header {
	if len(trailer) == 0 {
		return nil
	}
	names := make(http.Header, len(trailer))
	for name := range maps.Keys(trailer) {
		names[name] = nil
	}
	return names
}
