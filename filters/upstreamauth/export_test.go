package upstreamauth

import (
	"net/http"
	"time"

	"cardea.dev/cardea/filter"
)

// KindAt is the policy under another name, with a clock.
func KindAt(name string, now func() time.Time) filter.Kind { return kind(name, now) }

// Resign returns the Authorization that a request should have, as the service that got it sees it.
func Resign(a *AWS, r *http.Request, payload string) string {
	s := newSigner(a)
	s.host = r.Host
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err.Error()
	}
	s.now = func() time.Time { return at }
	s.sign(r, r.URL.EscapedPath(), payload)
	return r.Header.Get("Authorization")
}
