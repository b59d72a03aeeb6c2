package stored

import (
	"io"
	"time"
)

// Response is a stored response. It is immutable: an update is another one, which may have the same body.
type Response struct {
	Key    string // tells it from all others, and is readable; see package cache for what is in it
	URL    string // the target URI (RFC 9110, section 7.1), normal: "https://host/path?query"
	Route  string // the name of the route that stored it
	Method string // that it answers
	Status int
	Header Fields // without those that are not stored (RFC 9111, section 3.1)

	// Trailer are the fields after the body. They are known once the body is.
	Trailer Fields

	// Vary are the fields of requests that the response is for, with their normal values (RFC 9111, section 4.1).
	Vary Fields

	Terms Terms

	// Tags are what it can be purged by, from Surrogate-Key and Cache-Tag.
	Tags []string

	// Seq is how many purges there had been when it was asked for. A later one may be for it.
	Seq uint64

	// Requested and Received are when it was asked for and when its head came (RFC 9111, section 4.2.3). A later validation renews them.
	Requested, Received time.Time

	// Size is the length of the body.
	Size int64

	// Body is the body. It is nil in a Marker, and for what a store knows only the head of.
	Body Body

	// Marker says that this is no response: responses for this key differ by fields of the request. Each item of Varies is one set of such fields,
	// canonical and sorted, the latest first.
	Marker bool
	Varies [][]string
}

// Terms are what was found about a response's use when it was stored, or validated.
type Terms struct {
	Lifetime        time.Duration // for how long it is fresh, from the beginning of its age on (RFC 9111, section 4.2.1)
	InitialAge      time.Duration // corrected_initial_age: its age when it was Received (section 4.2.3)
	WhileRevalidate time.Duration // for how long after that it may be used while it is validated (RFC 5861, section 3)
	IfError         time.Duration // for how long after that it may be used when the upstream fails (RFC 5861, section 4, or as configured)
	Flags           Flags
}

// Flags are properties of a stored response.
type Flags uint16

// The flags.
const (
	MustRevalidate Flags = 1 << iota // it may never be used stale: must-revalidate, proxy-revalidate, s-maxage (RFC 9111, section 5.2.2)
	NoCache                          // it is validated before each use (no-cache without names)
	Immutable                        // clients that reload need not have it validated while it is fresh (RFC 8246)
	Heuristic                        // its Lifetime is a guess (RFC 9111, section 4.2.2)
	Negative                         // it is an error, kept for a while as configured
	Unkeyed                          // no request may select it: only validation can make it of use
	NoVarySearch                     // parts of the query make no difference for it: Key and URL have the query's normal form
)

// Has says whether all of some flags are set.
func (f Flags) Has(some Flags) bool { return f&some == some }

// Age is the response's current_age (RFC 9111, section 4.2.3), at least 0. What was received in the future shows that a clock was set back, by so much at least: it is that old, so that
// nothing is fresh for longer than twice its time.
func (r *Response) Age(now time.Time) time.Duration {
	return max(r.Terms.InitialAge+min(now.Sub(r.Received).Abs(), longest), 0)
}

// longest is the longest time between two looks at a clock that is of interest: sums of it do not overflow.
const longest = 100 * 365 * 24 * time.Hour

// Left is for how long it is still fresh. It is below 0 for how long it has been stale.
func (r *Response) Left(now time.Time) time.Duration { return r.Terms.Lifetime - r.Age(now) }

// Until is when the response is of no use any more, not even stale, without a validation. Stores may let it go then.
func (r *Response) Until() time.Time {
	left := r.Terms.Lifetime - r.Terms.InitialAge
	return r.Received.Add(left + max(r.Terms.WhileRevalidate, r.Terms.IfError))
}

// Body is a stored body. It is safe for use by several goroutines.
type Body interface {
	// Open returns a reader of the body from its beginning on. It remains readable when the response is not stored any more. An error is a
	// store's that has lost it.
	Open() (Reader, error)
}

// Reader reads a stored body.
type Reader interface {
	io.Reader
	io.ReaderAt
	io.Closer
}
