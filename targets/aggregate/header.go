package aggregate

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/call"
)

// setHeader sets the fields of the answer.
func (r *run) setHeader(ex *filter.Exchange, h http.Header) {
	incomplete := r.incomplete() // first: what ends from here on is not in all of the fields
	contentType := r.of.composed.contentType()
	if r.boundary != "" {
		contentType += r.boundary
	}
	h["Content-Type"] = []string{contentType}
	if control := r.cacheControl(ex); control != "" {
		h["Cache-Control"] = []string{control}
	}
	if told := r.partial(); told != "" {
		h[Partial] = []string{told}
	}
	if fields := r.vary(); len(fields) > 0 {
		h["Vary"] = []string{strings.Join(fields, ", ")}
	}
	if lines := r.setCookies(); lines != nil {
		h["Set-Cookie"] = lines
	}
	if r.of.timing {
		h["Server-Timing"] = []string{r.timing()}
	}
	for _, f := range r.of.headers {
		delete(h, f.name)
		if v := strings.TrimSpace(f.value(ex)); v != "" && len(v) <= call.MaxValue {
			h[f.name] = []string{call.FieldValue(v)}
		}
	}
	if incomplete { // whoever set another value did so for the whole
		h["Cache-Control"] = []string{noStore}
	}
}

const noStore = "no-store"

// incomplete says whether something is missing in the answer, or may be.
func (r *run) incomplete() bool {
	for i := range r.results {
		if !r.isReady(i) || r.results[i].state == broken || r.results[i].gaps > 0 {
			return true
		}
	}
	return false
}

// setCookies are the cookies of the services, each line once: calls that share an answer, such as those of a loop, share its cookies. What would make the head
// too long is left out.
func (r *run) setCookies() (lines []string) {
	if !r.of.cookies {
		return nil
	}
	seen, left := map[string]bool{}, call.MaxValue
	for i := range r.results {
		for _, head := range r.heads(i) {
			for _, line := range head["Set-Cookie"] {
				if seen[line] || len(line) > left {
					continue
				}
				seen[line] = true
				left -= len(line)
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// heads are the heads of the answers of a call, as far as there are any.
func (r *run) heads(i int) []http.Header {
	if r.isReady(i) {
		return r.results[i].heads
	}
	return nil
}

// timing is how long the calls took that have ended.
func (r *run) timing() string {
	var list []string
	for i, s := range r.of.steps {
		if res := &r.results[i]; r.isReady(i) {
			list = append(list, fmt.Sprintf("%s;dur=%.1f;start=%.1f", s.name, milliseconds(res.took), milliseconds(res.began.Sub(r.began))))
		}
	}
	return strings.Join(list, ", ")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// cacheControl is the strictest of what the answers say: an answer lives as long as its shortest-lived part. One that is made of the client's body is not
// stored, lest it is served to others who have sent another one, or none (RFC 9110, section 9.3.1).
func (r *run) cacheControl(ex *filter.Exchange) string {
	if r.body != nil {
		return noStore
	}
	least := lifetime{maxAge: -1, sMaxAge: -1, shared: true}
	said, silent := false, false
	for i, s := range r.of.steps {
		if !r.isReady(i) {
			return noStore
		}
		res := &r.results[i]
		switch {
		case res.state == skipped:
			continue
		case s.Method != http.MethodGet:
			return noStore
		}
		for _, head := range res.heads {
			if least.take(head) {
				said = true
			} else {
				silent = true
			}
			least.private = least.private || r.of.cookies && head["Set-Cookie"] != nil
		}
	}
	switch {
	case !said && r.of.depends.Caller:
		return "private"
	case !said:
		return "" // nobody says anything
	}
	if silent {
		least.maxAge, least.sMaxAge, least.no, least.shared = -1, -1, true, false
	}
	// An answer to a request with credentials is for others only if it says so (RFC 9111, section 3.5), and here each part must.
	// What is made of who asks is never for others: services know nothing of that where the path says it.
	least.private = least.private || r.of.depends.Caller || !least.shared && ex.Request.Header["Authorization"] != nil
	return least.String()
}

// lifetime is what several answers say of being stored. -1: there is no such age.
type lifetime struct {
	store, private, no, must, proxy bool // no-store, private, no-cache, must-revalidate, proxy-revalidate
	shared                          bool // each lets shared caches keep what was asked for with credentials
	maxAge, sMaxAge                 time.Duration
}

// take takes what a head says into account. It is false where that says nothing.
func (l *lifetime) take(h http.Header) bool {
	c := rules.ParseControl(h["Cache-Control"])
	if h["Cache-Control"] == nil && h["Expires"] == nil {
		return false
	}
	l.store = l.store || c.Has(rules.NoStore)
	l.private = l.private || c.Has(rules.Private)
	l.no = l.no || c.Has(rules.NoCache)
	l.must = l.must || c.Has(rules.MustRevalidate)
	l.proxy = l.proxy || c.Has(rules.ProxyRevalidate)
	l.shared = l.shared && (c.Has(rules.Public) || c.Has(rules.MustRevalidate) || c.Has(rules.SMaxAge))
	age := ageOf(h)
	fresh, ok := c.MaxAge-age, c.Has(rules.MaxAge)
	if !ok && h["Expires"] != nil {
		fresh, ok = expiry(h)-age, true
	}
	shared, sharedOK := c.SMaxAge-age, c.Has(rules.SMaxAge)
	if !sharedOK {
		shared, sharedOK = fresh, ok
	}
	if !ok {
		l.no = true
	}
	l.maxAge, l.sMaxAge = shorter(l.maxAge, fresh, ok), shorter(l.sMaxAge, shared, sharedOK)
	return true
}

// shorter is the shorter of two ages, of which the first may be none.
func shorter(a, b time.Duration, ok bool) time.Duration {
	switch b = max(b, 0); {
	case !ok:
		return a
	case a < 0:
		return b
	}
	return min(a, b)
}

// ageOf is how old an answer was when it came.
func ageOf(h http.Header) time.Duration {
	said := h.Get("Age")
	if said == "" {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(said), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// expiry is the lifetime that Expires gives.
func expiry(h http.Header) time.Duration {
	at, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		date = time.Now()
	}
	return at.Sub(date)
}

// String is the field's value.
func (l *lifetime) String() string {
	if l.store {
		return noStore
	}
	var list []string
	add := func(is bool, text string) {
		if is {
			list = append(list, text)
		}
	}
	add(l.private, "private")
	add(l.no, "no-cache")
	add(l.maxAge >= 0, "max-age="+strconv.FormatInt(int64(l.maxAge/time.Second), 10))
	add(l.sMaxAge >= 0 && l.sMaxAge != l.maxAge && !l.private, "s-maxage="+strconv.FormatInt(int64(l.sMaxAge/time.Second), 10))
	add(l.must, "must-revalidate")
	add(l.proxy && !l.must, "proxy-revalidate")
	return strings.Join(list, ", ")
}
