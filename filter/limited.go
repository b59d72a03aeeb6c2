package filter

import "context"

// Priority is a class of importance. When not all requests can be served, those of lower classes are refused first.
type Priority int8

// The classes. Normal is the zero value.
const (
	Low      Priority = -1
	Normal   Priority = 0
	High     Priority = 1
	Critical Priority = 2
)

// Priorities are the names of the classes, the least important first.
func Priorities() []string { return []string{"low", "normal", "high", "critical"} }

// String returns the class's name.
func (p Priority) String() string {
	if names := Priorities(); p >= Low && p <= Critical {
		return names[p-Low]
	}
	return "unknown"
}

// Limited is what a limit found that refused an exchange.
type Limited struct {
	Policy string // the kind: "rate_limit"; "" where none did
	Limit  string // as it is written: "100/min per address"
	Key    string // whom it counted: "192.0.2.1"
	DryRun bool   // the exchange went on all the same
}

// Limiter is a policy that counts by key, as operators see it. Policies keep what implements it (Keep), and are found by that.
type Limiter interface {
	// Limiter describes it.
	Limiter() LimiterInfo

	// Top lists the keys that used most lately, as far as this gateway knows.
	Top(n int) []KeyUsage

	// Reset forgets what was counted for a key, which is written as in KeyUsage. It says whether there was something.
	Reset(ctx context.Context, key string) (bool, error)
}

// LimiterInfo describes a Limiter.
type LimiterInfo struct {
	Name   string `json:"name"`            // tells it from all others: "rate_limit orders 100/min per address"
	Policy string `json:"policy"`          // the kind
	Scope  string `json:"scope,omitempty"` // where it is written; "": at the root
	Limit  string `json:"limit"`           // as it is written
	Per    string `json:"per"`             // what it counts by
	Store  string `json:"store"`           // where: "memory", "file /x", "redis exact" or "redis approximate"
	Keys   int64  `json:"keys"`            // how many are counted here
}

// KeyUsage is what was counted for a key.
type KeyUsage struct {
	Key     string `json:"key"`
	Used    int64  `json:"used"`
	Limit   int64  `json:"limit"`   // 0: none, as for those whom a quota does not limit
	Refused int64  `json:"refused"` // requests, since the key was seen first
}
