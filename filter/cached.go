package filter

import (
	"context"
	"time"
)

// Cached is what a cache did about an exchange, for those who look on.
type Cached struct {
	Outcome CacheOutcome
	Why     string // of all but hits: "uri-miss", "vary-miss", "stale", "request", "method", "bypass", … (RFC 9211, section 2.2, where it has a word)
	Stored  bool   // the answer was stored, or is being stored
}

// CacheOutcome is what became of an exchange in a cache.
type CacheOutcome string

// The outcomes.
const (
	CacheHit         CacheOutcome = "hit"         // answered with what is stored, which is fresh
	CacheStale       CacheOutcome = "stale"       // answered with what is stored, which is not fresh, as allowed
	CacheRevalidated CacheOutcome = "revalidated" // answered with what is stored, after the upstream has said that it holds
	CacheMiss        CacheOutcome = "miss"        // answered by the upstream, since nothing stored could be used
	CacheShared      CacheOutcome = "shared"      // answered by the upstream, together with others that asked for the same
	CacheBypass      CacheOutcome = "bypass"      // not looked up
)

// ResponseCache is a cache, as operators see it. Policies keep what implements it (Keep), and it is found by that.
type ResponseCache interface {
	// ResponseCache describes it.
	ResponseCache() CacheInfo

	// Purge has stored answers not be used any more, as of when it returns; those that are being fetched now are among them.
	Purge(ctx context.Context, p Purge) (Purged, error)

	// Look returns what is stored for a URL, all variants, at most n.
	Look(ctx context.Context, url string, n int) ([]StoredInfo, error)

	// List returns up to n of the stored answers whose URLs begin with a prefix, as far as this gateway knows them.
	List(prefix string, n int) []StoredInfo
}

// CacheInfo describes a ResponseCache.
type CacheInfo struct {
	Name      string `json:"name"`
	Store     string `json:"store"` // "memory", "memory and disk /x", "memory and redis"
	Objects   int64  `json:"objects"`
	Bytes     int64  `json:"bytes"`     // taken, with all that finds them, of the memory
	Limit     int64  `json:"limit"`     // of Bytes
	Evicted   int64  `json:"evicted"`   // to make room, since the gateway started
	Below     *Below `json:"below"`     // what is behind the memory; null: nothing
	PurgeMark uint64 `json:"purge_seq"` // the number of the latest purge
}

// Below is what is behind the memory of a cache.
type Below struct {
	Kind    string `json:"kind"` // "disk" or "redis"
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Limit   int64  `json:"limit"` // 0: not known here
	Evicted int64  `json:"evicted"`
	Down    bool   `json:"down"` // it is lost, and the cache goes on without it
}

// Purge says what is not to be used any more. One of URL, Prefix, Tag and All is set.
type Purge struct {
	URL    string `json:"url,omitempty"`    // "https://host/path?query": all variants
	Prefix string `json:"prefix,omitempty"` // of URLs: "https://host/path/"
	Tag    string `json:"tag,omitempty"`
	All    bool   `json:"all,omitempty"`
	Soft   bool   `json:"soft,omitempty"` // it is stale from now on, but may still serve where stale answers may
}

// Purged is what came of a Purge.
type Purged struct {
	Seq    uint64 `json:"seq"`
	Shared bool   `json:"shared"` // all gateways that share the store know, or will at once
}

// StoredInfo is what operators see of a stored answer.
type StoredInfo struct {
	URL     string            `json:"url"`
	Key     string            `json:"key"` // all that is in it, readable
	Method  string            `json:"method"`
	Status  int               `json:"status"`
	Vary    map[string]string `json:"vary,omitempty"` // fields of requests that it is for, with their normal values
	Header  map[string]string `json:"header"`         // without credentials and cookies
	Size    int64             `json:"size"`
	Stored  time.Time         `json:"stored"`
	Age     float64           `json:"age"` // seconds
	TTL     float64           `json:"ttl"` // seconds until it is stale; below 0 it is
	State   string            `json:"state"`
	Tags    []string          `json:"tags,omitempty"`
	Where   string            `json:"where"` // "memory", "disk", "redis"
	Route   string            `json:"route"`
	Encoded []string          `json:"encoded,omitempty"` // codings of which it has a form
}
