package cache

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/stored"
)

// searchField is the field by which a response says which parts of the query make no difference for it.
const searchField = "No-Vary-Search"

// searchPart ends the key of the marker that has the latest such rule of a URL without its query. It stands in the marker as the field itself.
const searchPart = "\nno-vary-search"

// searches are hints to which URLs have such a marker, so that others are not looked up twice. It may say so of some that have none.
type searches struct {
	any   atomic.Bool
	every bool // it is not known, and cheap to look: a disk keeps its markers over a restart
	bits  [1 << 10]atomic.Uint64
}

func (s *searches) place(marker []byte) (*atomic.Uint64, uint64) {
	hash := xxhash.Sum64(marker)
	return &s.bits[hash>>6%uint64(len(s.bits))], 1 << (hash & 63)
}

func (s *searches) add(marker []byte) {
	word, bit := s.place(marker)
	word.Or(bit)
	s.any.Store(true)
}

func (s *searches) has(marker []byte) bool {
	word, bit := s.place(marker)
	return s.every || word.Load()&bit != 0
}

// queried is a primary key, or that of a variant, taken apart at its query.
type queried struct {
	before string // method and URL
	query  string // with its "?", or ""
	after  string // all further parts
}

func parseKey(key string) queried {
	end := strings.IndexByte(key, '\n')
	if end < 0 {
		end = len(key)
	}
	at := strings.IndexByte(key[:end], '?')
	if at < 0 {
		at = end
	}
	return queried{key[:at], key[at:end], key[end:]}
}

// marker is the key of the marker for all queries.
func (q queried) marker() []byte { return []byte(q.before + q.after + searchPart) }

// normal is the key that all have whose queries make no difference by a rule.
func (q queried) normal(n *rules.NoVarySearch) string {
	query := rules.NormalQuery(strings.TrimPrefix(q.query, "?"), n)
	if query != "" {
		query = "?" + query
	}
	return q.before + query + q.after
}

// search looks for a response to another query that makes no difference. It takes the place of what was found for the query itself if it is newer.
func (c *Cache) search(ctx context.Context, key []byte, h http.Header, get getter, exact Found) Found {
	q := parseKey(string(key))
	marker := q.marker()
	if !c.searches.has(marker) {
		return exact
	}
	m, _ := get(ctx, marker)
	if m == nil || !m.Marker {
		return exact
	}
	rule := m.Header.Values(searchField)
	n := rules.ParseNoVarySearch(rule)
	if n == nil {
		return exact
	}
	normal := q.normal(n)
	if normal == string(key) {
		return exact
	}
	f, _ := c.at(ctx, []byte(normal), h, get, rule)
	if exact.Response != nil && (f.Response == nil || !f.Response.Received.After(exact.Response.Received)) {
		f = exact
	}
	f.Search = normal
	f.Purged = f.Purged || exact.Purged
	f.Known = f.Response == nil && !f.Purged && (f.Known || exact.Known)
	return f
}

// place gives a response that is to be stored the key that it has by its No-Vary-Search, and remembers that. The latest response has the say for all queries of a URL.
func (c *Cache) place(ctx context.Context, r *stored.Response) {
	q := parseKey(r.Key)
	marker := q.marker()
	rule := r.Header.Values(searchField)
	n := rules.ParseNoVarySearch(rule)
	if n == nil {
		if r.Status == http.StatusOK && c.searches.any.Load() && c.searches.has(marker) { // an error says nothing of it
			if m, _ := c.get(ctx, marker); m != nil {
				c.Drop(ctx, m.Key)
			}
		}
		return
	}
	c.searches.add(marker)
	c.remember(ctx, string(marker), rule, r)
	r.Key = q.normal(n)
	_, url, _ := strings.Cut(r.Key[:len(r.Key)-len(q.after)], " ")
	r.URL = url
}

// remember puts a rule into the marker.
func (c *Cache) remember(ctx context.Context, key string, rule []string, like *stored.Response) {
	marker := newMarker(key, like)
	_, marker.URL, _ = strings.Cut(parseKey(key).before, " ")
	marker.Header = stored.NewFields(http.Header{searchField: rule})
	if old, _ := c.get(ctx, []byte(key)); old != nil && old.Marker {
		if slices.Equal(old.Header.Values(searchField), rule) && !old.Until().Before(marker.Until()) {
			return
		}
		lastAsLongAs(marker, old)
	}
	c.putMarker(ctx, marker)
}

// AnswersTo says whether a response that is stored, or being stored, is one to requests with a primary key: to its own, or to one with a query that makes no difference.
func AnswersTo(r *stored.Response, key []byte) bool {
	own, _, _ := strings.Cut(r.Key, variantPart)
	if own == string(key) {
		return true
	}
	n := rules.ParseNoVarySearch(r.Header.Values(searchField))
	return n != nil && parseKey(string(key)).normal(n) == own
}

// suitsURL says whether a response is one to a normal URL by its No-Vary-Search.
func suitsURL(r *stored.Response, url string) bool {
	if !r.Terms.Flags.Has(stored.NoVarySearch) {
		return false
	}
	n := rules.ParseNoVarySearch(r.Header.Values(searchField))
	return n != nil && parseKey(url).normal(n) == r.URL
}
