package cache

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache"
	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/handout"
	"cardea.dev/cardea/internal/repeat"
	"cardea.dev/cardea/internal/stored"
)

// keptApart is for how long requests do not wait for each other after an answer that is not stored.
const keptApart = 10 * time.Second

// failedApart is for how long gateways do not wait for each other after a fetch that failed.
const failedApart = time.Second

// job is a fetch, with all that it needs of the request that began it. Nothing of it is the exchange's.
type job struct {
	own        *filter.Exchange
	key        string // of the group
	primary    string
	client     http.Header // the fields of the request, as responses are selected by them
	q          rules.Request
	settings   *rules.Settings
	authorized bool
	old        *stored.Response // what is stored already; nil: nothing that is of use
	began      time.Time
	body       []byte
	url        string
	refresh    bool
	alone      bool
	lease      cache.Lease
}

// answer is what came of a fetch, before the body. It is not changed once readers have it, but for the trailer, which is set before the body ends.
type answer struct {
	handout.Answer
	whole    *stored.Response // what is stored and whole; nil: the body is still coming
	head     *stored.Response // of what is being stored; nil: it is not stored
	names    []string         // fields of requests by which it differs
	all      bool             // it was made for one request alone, though it is stored
	why      string           // it is not stored
	failed   bool             // it is a failure that another request may not meet, and that stale answers may stand in for
	status   int
	received time.Time
	renewed  bool // the upstream has said that what is stored holds
}

// job makes what fetches the answer to a request in nobody's name.
func (p *policy) job(f *fetch, ex *filter.Exchange, l *lookup, key string) *job {
	primary := string(l.key)
	j := &job{
		own: ex.Detach(f.Context()), key: key, primary: primary, settings: l.settings, authorized: l.authorized, old: l.found.Response, began: l.now,
		body: l.body, url: urlOf(primary), alone: l.alone,
	}
	if j.own.Request.Method == http.MethodHead { // it has what is stored asked for anew, which is GET's
		j.own.Request.Method, j.own.Original.Method = l.method, l.method
	}
	j.client = j.own.Request.Header.Clone()
	j.q = rules.ParseRequest(&http.Request{Header: j.client})
	rules.Unconditional(j.own.Request.Header)
	if l.body != nil {
		repeat.Set(j.own.Request, l.body)
	}
	return j
}

// urlOf is the URL in a primary key, as a part of it.
func urlOf(key string) string {
	_, rest, _ := strings.Cut(key, " ")
	url, _, _ := strings.Cut(rest, "\n")
	return url
}

// run carries a fetch out.
func (p *policy) run(f *fetch, j *job) {
	defer j.own.Release()
	defer p.recovered(f, j.own)
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	stop := context.AfterFunc(p.ctx, cancel)
	defer stop()
	j.own.Request = j.own.Request.WithContext(ctx)
	defer func() { j.lease.End(0) }()
	if r := p.already(ctx, j); r != nil {
		f.Answer(&answer{whole: r, received: r.Received, names: nil})
		return
	}
	if j.refresh {
		p.metrics.refreshes.Inc()
	} else {
		p.metrics.fetches.Inc()
	}
	old := j.old
	if old != nil && !rules.AddValidators(j.own.Request.Header, old) {
		old = nil
	}
	if !p.ask(f, j, old) && old != nil {
		rules.Unconditional(j.own.Request.Header) // the 304 was not about what is stored
		if j.body != nil {
			repeat.Set(j.own.Request, j.body)
		}
		j.own.Response, j.own.Err = nil, nil
		p.ask(f, j, nil)
	}
}

// already returns what has been stored since the request was looked up: another fetch may just have ended. Of the gateways that share the cache one fetches, and the others wait here.
// They wait for half of what a request waits, so that those that wait here for this fetch do not go on by themselves just when it begins.
func (p *policy) already(ctx context.Context, j *job) *stored.Response {
	if j.alone || !p.cache.Shared() {
		return p.newer(j, p.cache.Peek([]byte(j.primary), j.client))
	}
	limited, cancel := context.WithTimeout(ctx, p.wait/2)
	defer cancel()
	for range 2 { // where the other gateway has stored nothing, one of those that have waited fetches
		if j.lease = p.cache.Lease(limited, j.key); !j.lease.Look {
			break
		}
		if r := p.newer(j, p.cache.Latest(ctx, []byte(j.primary), j.client)); r != nil || j.lease.Leads {
			return r
		}
	}
	return nil
}

// newer returns what was found if it is fresh, and newer than what the request was looked up with.
func (p *policy) newer(j *job, found cache.Found) *stored.Response {
	r := found.Response
	if r == nil || r == j.old || found.Soft || j.old != nil && !r.Received.After(j.old.Received) {
		return nil
	}
	if use, _ := rules.Judge(j.settings, &j.q, r, p.now()); use != rules.Fresh {
		return nil
	}
	return r
}

// ask asks once. It is false when the answer was a 304 that is about nothing that is stored.
func (p *policy) ask(f *fetch, j *job, old *stored.Response) bool {
	seq, requested := p.cache.Seq(), p.now()
	resp, finish, err := p.rest(j.own)
	defer finish()
	a := &answer{Answer: handout.Of(j.own, resp), received: p.now()}
	if err != nil {
		a.failed = true
		p.unshared(j, a)
		f.Fail(a, err)
		return true
	}
	if resp.Body != nil {
		defer resp.Body.Close()
	} else {
		resp.Body = http.NoBody
	}
	a.status = resp.StatusCode
	x := &rules.Exchanged{
		Request: &http.Request{Method: methodOf(j.primary), Header: j.client}, Asked: &j.q, Authorized: j.authorized, Response: resp, Requested: requested, Received: a.received,
	}
	if old != nil && resp.StatusCode == http.StatusNotModified {
		return p.renew(f, j, a, x, old, seq)
	}
	if resp.StatusCode == http.StatusNotModified {
		f.Fail(a, filter.Reject(filter.UpstreamBadResponse, "").Because(errors.New("the answer is 304, and the request had no condition")))
		return true
	}
	p.take(f, j, a, x, seq)
	return true
}

// renew takes a 304 that answers a validation.
func (p *policy) renew(f *fetch, j *job, a *answer, x *rules.Exchanged, old *stored.Response, seq uint64) bool {
	renewed, why := rules.Update(j.settings, x, old)
	if renewed == nil {
		return false
	}
	renewed.Seq = seq
	a.whole, a.renewed, a.why = renewed, true, string(why)
	a.all = renewed.Terms.Flags&(stored.NoCache|stored.Unkeyed) != 0 || why != ""
	if a.all || renewed.Left(a.received) <= 0 {
		p.unshared(j, a)
	}
	if why == "" {
		p.cache.Update(j.own.Context(), renewed)
	} else {
		p.cache.Drop(j.own.Context(), old.Key)
	}
	f.Answer(a)
	return true
}

// methodOf is the method in a primary key.
func methodOf(key string) string {
	method, _, _ := strings.Cut(key, " ")
	return method
}

// recovered keeps a panic from ending the process: the readers learn that the answer has broken off.
func (p *policy) recovered(f *fetch, own *filter.Exchange) {
	if v := recover(); v != nil {
		p.log.Error("panic while fetching an answer for a cache", "request_id", own.ID, "route", p.route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		f.Fail(&answer{failed: true}, fmt.Errorf("panic: %v", v))
	}
}

// refresh has what is stored asked for anew in the background, once for all who want that.
func (p *policy) refresh(ex *filter.Exchange, l *lookup) {
	if p.rest == nil {
		return
	}
	key := p.groupKey(ex, l, false)
	paused := "refresh " + key
	if _, apart := p.group.Readers(paused); apart {
		return
	}
	r, leads := p.group.Join(key, func(f *fetch) func() {
		j := p.job(f, ex, l, key)
		j.refresh = true
		for name := range j.client { // it is nobody's: what this client asks of caches does not count
			if name == "Cache-Control" || name == "Pragma" {
				delete(j.client, name)
			}
		}
		j.q = rules.Request{}
		return func() { p.run(f, j) }
	})
	if r == nil {
		return
	}
	if !leads {
		_ = r.Close()
		return
	}
	p.background.Go(func() { // ends with the head of the answer, or with the policy
		defer r.Close()
		a, err := r.Head(p.ctx, 0)
		if err != nil || a.failed || a.why != "" {
			p.group.KeepApart(paused, time.Now().Add(time.Second))
		}
	})
}

// groupKey is the key of the fetch that a request may join: none that began before a purge of what it fetches.
func (p *policy) groupKey(ex *filter.Exchange, l *lookup, again bool) string {
	if l.alone {
		return string(l.key) + "\nalone=" + ex.ID
	}
	since := ""
	if seq := p.cache.PurgedAt(urlOf(string(l.key))); seq > 0 {
		since = "\npurged=" + strconv.FormatUint(seq, 10)
	}
	key := l.key
	if l.found.Search != "" && !again {
		key = []byte(l.found.Search)
	}
	if l.found.Names != nil {
		if n, _ := p.group.Readers(string(key) + since); n == 0 || again {
			key = cache.AppendVariant(key, l.found.Names, ex.Request.Header)
		}
	}
	if l.authorized && !l.settings.Private {
		since += "\nauthorized"
	}
	return string(key) + since
}
