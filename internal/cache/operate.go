package cache

import (
	"context"
	"iter"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/purge"
	"cardea.dev/cardea/internal/stored"
)

// ResponseCache describes the cache.
func (c *Cache) ResponseCache() filter.CacheInfo {
	stats := c.memory.Stats()
	info := filter.CacheInfo{
		Name: c.name, Store: "memory", Objects: stats.Objects, Bytes: stats.Bytes, Limit: stats.Limit, Evicted: stats.Evicted, PurgeMark: c.marks.Seq(),
	}
	if c.behind == nil {
		return info
	}
	info.Store = "memory and " + c.behind.text
	below := c.behind.store.Stats()
	info.Below = &filter.Below{
		Kind: c.behind.kind, Objects: below.Objects, Bytes: below.Bytes, Limit: below.Limit, Evicted: below.Evicted, Down: below.Down,
	}
	return info
}

// Purge has stored answers not be used any more, as of when it returns.
func (c *Cache) Purge(ctx context.Context, p filter.Purge) (filter.Purged, error) {
	done, err := c.purge(ctx, p, true)
	if p.URL == "" && !p.Soft {
		c.sweeper.soon(c.sweep)
	}
	return done, err
}

func (c *Cache) purge(ctx context.Context, p filter.Purge, wait bool) (filter.Purged, error) {
	if c.behind == nil {
		return filter.Purged{Seq: c.marks.Add(p)}, nil
	}
	return c.behind.purge(ctx, p, wait)
}

// Invalidate has what is stored for URLs not be used any more, after a request that has changed them (RFC 9111, section 4.4).
func (c *Cache) Invalidate(ctx context.Context, urls []string) {
	for _, url := range urls {
		_, _ = c.purge(ctx, filter.Purge{URL: url}, false) // here it holds in any case; the store says itself what it has lost
	}
}

// sweep lets go of what has been purged, to make room. What it does not see is found out when it is looked up.
func (c *Cache) sweep(stop <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with the sweep
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	latest := c.marks.Seq()
	purged := func(r *stored.Response) bool { return !r.Marker && c.marks.Check(r) == purge.Purged }
	for r := range c.memory.All() {
		if ctx.Err() != nil {
			return
		}
		if purged(r) {
			c.memory.Delete(r.Key)
		}
	}
	if c.behind != nil && c.behind.disk != nil {
		_ = c.behind.disk.Sweep(ctx, latest, purged) // what it has not gone through is found out when it is looked up
	}
}

// all goes through what is stored, in memory first. A response that is in both is met once.
func (c *Cache) all() iter.Seq2[*stored.Response, string] {
	return func(yield func(*stored.Response, string) bool) {
		seen := map[string]struct{}{}
		for r := range c.memory.All() {
			if r.Marker {
				continue
			}
			if c.behind != nil {
				seen[r.Key] = struct{}{}
			}
			if !yield(r, "memory") {
				return
			}
		}
		if c.behind == nil {
			return
		}
		for r := range c.behind.store.All() {
			if _, twice := seen[r.Key]; twice || r.Marker {
				continue
			}
			if !yield(r, c.behind.kind) {
				return
			}
		}
	}
}

// collect returns up to n of the responses that are wanted.
func (c *Cache) collect(n int, want func(r *stored.Response) bool) []filter.StoredInfo {
	var found []filter.StoredInfo
	now := c.now()
	for r, where := range c.all() {
		if len(found) >= n {
			break
		}
		if want(r) {
			found = append(found, c.describe(r, where, now))
		}
	}
	return found
}

// Look returns what is stored for a URL, all variants, at most n. What is stored for another query that makes no difference is among it.
func (c *Cache) Look(_ context.Context, url string, n int) ([]filter.StoredInfo, error) {
	normal, err := purge.Normal(url)
	if err != nil {
		return nil, err
	}
	return c.collect(n, func(r *stored.Response) bool { return r.URL == url || r.URL == normal || suitsURL(r, normal) }), nil
}

// List returns up to n of the stored answers whose URLs begin with a prefix.
func (c *Cache) List(prefix string, n int) []filter.StoredInfo {
	return c.collect(n, func(r *stored.Response) bool { return strings.HasPrefix(r.URL, prefix) })
}

// describe says what operators see of a response.
func (c *Cache) describe(r *stored.Response, where string, now time.Time) filter.StoredInfo {
	info := filter.StoredInfo{
		URL: r.URL, Key: r.Key, Method: r.Method, Status: r.Status, Vary: texts(&r.Vary), Header: texts(&r.Header), Size: r.Size, Stored: r.Received,
		Age: r.Age(now).Seconds(), TTL: r.Left(now).Seconds(), State: c.state(r, now), Tags: r.Tags, Where: where, Route: r.Route,
	}
	if forms, ok := r.Body.(*Forms); ok {
		info.Encoded = forms.codings()
	}
	return info
}

// state is what a response is good for.
func (c *Cache) state(r *stored.Response, now time.Time) string {
	switch c.marks.Check(r) {
	case purge.Purged:
		return "purged"
	case purge.Soft:
		return "stale"
	}
	switch {
	case r.Terms.Flags.Has(stored.NoCache):
		return "validate"
	case r.Left(now) > 0:
		return "fresh"
	case now.Before(r.Until()):
		return "stale"
	}
	return "expired"
}

// texts are fields, each in one line, without those that may hold secrets.
func texts(f *stored.Fields) map[string]string {
	all := make(map[string]string, f.Len())
	for i := range f.Len() {
		name, value := f.At(i)
		switch http.CanonicalHeaderKey(name) {
		case "Set-Cookie", "Cookie", "Authorization", "Proxy-Authorization", "Www-Authenticate", "Authentication-Info":
			value = "***"
		default:
			if before, ok := all[name]; ok {
				value = before + ", " + value
			}
		}
		all[name] = value
	}
	return all
}
