package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/coalesce"
	"cardea.dev/cardea/internal/stored"
)

// take takes an answer with a body, and stores it if it may be.
func (p *policy) take(f *fetch, j *job, a *answer, x *rules.Exchanged, seq uint64) {
	terms, why := p.storable(j, a, x)
	a.why, a.failed = why, serverFailed(a.Response.StatusCode)
	if why == "" && a.failed && j.old != nil && (j.refresh || p.mayServe(j.settings, &j.q, j.old, a.received, true)) {
		a.why = "status" // what is stored serves better
	}
	if a.why != "" {
		p.unshared(j, a)
		if !a.failed && !j.refresh {
			p.group.KeepApart(j.key, time.Now().Add(keptApart))
		}
		f.Answer(a)
		_ = f.Copy(a.Body())
		return
	}
	names, _ := rules.Differ(a.Response.Header)
	a.names, a.all = names, terms.Flags&(stored.NoCache|stored.Unkeyed) != 0
	head := &stored.Response{
		Key: j.primary, URL: j.url, Route: p.route, Method: methodOf(j.primary), Status: a.Response.StatusCode, Terms: terms, Tags: rules.Tags(a.Response.Header), Seq: seq,
		Header:    stored.NewFields(rules.Stored(j.settings, a.Response.Header, a.received)),
		Requested: x.Requested, Received: x.Received, Size: a.Response.ContentLength,
	}
	p.store(f, j, a, head)
}

// store gives readers an answer and keeps it.
func (p *policy) store(f *fetch, j *job, a *answer, head *stored.Response) {
	w := p.cache.Begin(j.own.Context(), head, a.names, j.client)
	defer w.End()
	a.head = head
	most := w.Memory()
	if p.maxObject > 0 {
		most = min(most, p.maxObject)
	}
	body := a.Body()
	keeping := coalesce.Keeping{Memory: most, Size: head.Size, Release: w.Close, Whole: func(blocks [][]byte, inMemory bool) {
		if head.Size >= 0 && body.N != head.Size {
			return // what was cut short is not whole
		}
		whole := *head
		whole.Size = body.N
		whole.Trailer = stored.NewFields(rules.StoredTrailer(a.Trailer))
		w.Commit(&whole, blocks, inMemory)
	}}
	if store := w.Store(); store != nil {
		keeping.Store = &bounded{Writer: store, left: p.maxObject, any: p.maxObject == 0, refused: func() { p.unshared(j, a) }}
	}
	if keeping.Store == nil || a.all || head.Left(a.received) <= 0 {
		p.unshared(j, a)
	}
	f.Keep(a, keeping)
	_ = f.Copy(body)
}

// unshared has other gateways that share the cache not wait for an answer that is not for them.
func (p *policy) unshared(j *job, a *answer) {
	switch {
	case j.own.Context().Err() != nil:
		j.lease.End(0)
	case a.failed:
		j.lease.End(failedApart)
	default:
		j.lease.End(keptApart)
	}
}

// storable says whether an answer is stored, on which terms, and otherwise why not.
func (p *policy) storable(j *job, a *answer, x *rules.Exchanged) (stored.Terms, string) {
	resp := a.Response
	kind := resp.Header.Get("Content-Type")
	switch {
	case a.Err != nil:
		return stored.Terms{}, "gateway-error"
	case hasPrefixFold(kind, "text/event-stream"), hasPrefixFold(kind, "application/grpc"):
		return stored.Terms{}, "stream"
	case p.maxObject > 0 && resp.ContentLength > p.maxObject:
		return stored.Terms{}, "too-large"
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return stored.Terms{}, "upgrade"
	}
	if p.storeWhen != nil {
		j.own.Response = resp
		if holds, err := p.storeWhen(j.own); !holds || err != nil {
			return stored.Terms{}, "store_when"
		}
	}
	terms, why := rules.Storable(j.settings, x.Request, &j.q, j.authorized, resp, x.Requested, x.Received)
	return terms, string(why)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// mayServe says whether what is stored may stand in for a failure. Without a word of the operator, or of the service, it does only while the service cannot be reached (RFC 9111, section
// 4.2.4).
func (p *policy) mayServe(s *rules.Settings, q *rules.Request, old *stored.Response, now time.Time, reached bool) bool {
	if reached && !p.graceSaid && !q.Control.Has(rules.IfError) {
		said := false
		for _, name := range slices.Concat(s.Targets, []string{"Cache-Control"}) {
			c := rules.ParseControl(old.Header.Values(name))
			said = said || c.Has(rules.IfError)
		}
		if !said {
			return false
		}
	}
	return rules.MayServeOnError(s, q, old, now)
}

// serverFailed says whether a status is a failure that stale answers may stand in for (RFC 5861, section 4).
func serverFailed(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// bounded is a store's writer that takes so much at most.
type bounded struct {
	stored.Writer
	left    int64
	any     bool
	refused func() // nothing more of it is stored there
}

// Write appends, unless it becomes too much.
func (b *bounded) Write(p []byte) (int, error) {
	if !b.any {
		if int64(len(p)) > b.left {
			b.refused()
			return 0, stored.ErrNotKept
		}
		b.left -= int64(len(p))
	}
	n, err := b.Writer.Write(p)
	if err != nil {
		b.refused()
	}
	return n, err
}
