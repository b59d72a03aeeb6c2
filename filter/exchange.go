package filter

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"cardea.dev/cardea/observe"
)

// Exchange is one request and its response. One goroutine owns it at a time; nothing may keep it, or what it points to, after
// the Finish phase.
type Exchange struct {
	// Request is the request as the upstream will see it: hop-by-hop fields and untrusted forwarding fields are gone already,
	// and its path is normalised. Policies change it in place. Its context ends when the client leaves.
	Request *http.Request

	// Response is nil until a policy or the target sets it.
	Response *http.Response

	// Err says why the gateway itself made the response. Its type is *Error once the engine has seen it.
	Err error

	// Route is the route that matched. It is never nil: requests that match none have the snapshot's own, which refuses.
	Route *Route

	// Params are the path's parameters.
	Params Params

	// Client is the address of the client, after trusted proxies. It is invalid where there is none (Unix sockets).
	Client netip.Addr

	// Identity is who calls. It is nil until authentication has set it.
	Identity *Identity

	// Priority says how important the exchange is, when not all can be served. The policy `priority` sets it.
	Priority Priority

	// Limited says which limit refused the exchange, or would have in a dry run. Its zero value says that none did.
	Limited Limited

	// Cached says what a cache did about the exchange. Its zero value says that none was asked.
	Cached Cached

	// Fallback says what stood in for an answer that failed. Its zero value says that nothing had to.
	Fallback Fallback
	// Invalid says what was found wrong with the request or its answer. Its zero value says nothing.
	Invalid Invalid

	// Fault is what was done to the exchange on purpose, as a test: "delay, abort". It is "" for all others.
	Fault string

	// Original is the request line as it came, before policies changed it.
	Original Original

	// ID is the request id: taken from X-Request-Id where the client is trusted, or made.
	ID string

	// Start is when the head of the request had been read.
	Start time.Time

	// Span is the gateway's span of the exchange. Its zero value records nothing.
	Span observe.Span

	// Upstream is the name of the upstream that the last request was for, whether that could be sent or not. It is "" for none.
	Upstream string

	// Attempts are the tries made at upstreams, in order. Several upstreams may be among them.
	Attempts []Attempt

	// Calls are those that the answer is made of, where its target makes several. Their attempts are among Attempts, too.
	Calls []Call

	// Interim sends an interim response (1xx, but 101) to the client. It may be nil.
	Interim func(status int, header http.Header)

	// Sent and Received count body bytes to and from the client.
	Sent, Received int64

	// FirstByte is when the head of the response was written, and zero before.
	FirstByte time.Time

	// Status is the status that the client was sent, and 0 before.
	Status int

	// Aborted says that the response was cut: the client left, or the upstream did in the middle.
	Aborted bool

	// Dry says that the exchange is only explained: nothing may be sent, counted or kept.
	Dry bool

	slots   []any
	caller  context.Context // see Caller
	due     time.Time       // see Deadline
	cancels []context.CancelFunc
}

// Invalid is what the policy validate found wrong with a message.
type Invalid struct {
	What     string // "request" or "response"
	Why      string // for operators
	Reported bool   // the message passed all the same
}

// Original is what a request line said before policies changed it.
type Original struct {
	Method string
	Scheme string // "http" or "https", after trusted proxies
	Host   string // lower case, without port
	Path   string // escaped, normalised
	Query  string // without "?"
	Proto  string // "HTTP/1.1", "HTTP/2.0"
}

// Route is what policies may know of the route they serve. It is immutable.
type Route struct {
	Name   string // as in logs and metrics
	Match  string // as it was written
	Where  string // file:line:column
	Prefix string // the literal path before `/**`, where all its matches share one: "/assets"; else ""

	// Concealed are query parameters that hold credentials, in lower case. Logs do not show their values. All are there once the route is built.
	Concealed []string
}

// Conceal has the values of a query parameter not shown in logs. Policies call it when they are built.
func (r *Route) Conceal(parameter string) {
	r.Concealed = append(r.Concealed, strings.ToLower(parameter))
}

// Attempt is one try at an endpoint.
type Attempt struct {
	Upstream  string
	Endpoint  string // address as configured or resolved
	Start     time.Time
	Connect   time.Duration // until there was a connection; 0 for one that was idle
	FirstByte time.Duration // until the head of the answer; 0 when none came
	Status    int           // 0 when no answer came
	Reused    bool          // the connection was idle
	Err       error
}

// Params are the parameters of a path, decoded. The router fills them.
type Params interface {
	Get(name string) (value string, ok bool)
}

// Param returns the path parameter with a name, or "".
func (ex *Exchange) Param(name string) string {
	if ex.Params == nil {
		return ""
	}
	v, _ := ex.Params.Get(name)
	return v
}

// Context is the context of the exchange: it ends when the client leaves or a deadline passes.
func (ex *Exchange) Context() context.Context { return ex.Request.Context() }

// Caller is the context of whoever asked: it ends when the client leaves, and at no time limit that policies have set.
func (ex *Exchange) Caller() context.Context {
	if ex.caller == nil {
		return ex.Context()
	}
	return ex.caller
}

// Deadline is when whoever asked stops waiting, if that is known. The context of an exchange that Detach has made does not end by it, since others who wait
// for its answer may have more time.
func (ex *Exchange) Deadline() (deadline time.Time, ok bool) {
	if deadline, ok = ex.Context().Deadline(); ok {
		return deadline, true
	}
	return ex.due, !ex.due.IsZero()
}

// Last returns the last attempt, or nil.
func (ex *Exchange) Last() *Attempt {
	if len(ex.Attempts) == 0 {
		return nil
	}
	return &ex.Attempts[len(ex.Attempts)-1]
}

// Limit bounds the exchange: when d has passed since its start its context ends, with a cause of err. Later calls may only
// bring the end nearer.
func (ex *Exchange) Limit(d time.Duration, err error) {
	ctx, cancel := context.WithDeadlineCause(ex.Request.Context(), ex.Start.Add(d), err)
	ex.cancels = append(ex.cancels, cancel)
	ex.Request = ex.Request.WithContext(ctx)
}

// Child returns an exchange for a request of the gateway's own, made on behalf of ex: same route, client, identity and span.
// It may be used by another goroutine than ex.
func (ex *Exchange) Child(req *http.Request) *Exchange {
	return &Exchange{
		Request: req, Route: ex.Route, Params: ex.Params, Client: ex.Client, Identity: ex.Identity, Priority: ex.Priority, Original: ex.Original,
		ID: ex.ID, Start: ex.Start, Span: ex.Span, Dry: ex.Dry, slots: make([]any, len(ex.slots)), caller: req.Context(),
	}
}

// Detach returns an exchange for a copy of the request, without its body, that lives as long as a context and may outlive ex: nothing of it
// is ex's. Whoever made it calls Release at its end.
func (ex *Exchange) Detach(ctx context.Context) *Exchange {
	r := ex.Request.Clone(ctx)
	r.Body, r.GetBody, r.Trailer, r.TransferEncoding, r.ContentLength = http.NoBody, nil, nil, nil, 0
	own := ex.Child(r)
	own.Params = copyParams(ex.Params)
	own.due, _ = ex.Deadline()
	return own
}

// params are parameters of an exchange that may outlive the one that it was made of.
type params []struct{ name, value string }

// Get returns the value of the parameter with a name.
func (p params) Get(name string) (string, bool) {
	for i := range p {
		if p[i].name == name {
			return p[i].value, true
		}
	}
	return "", false
}

// Len is how many there are.
func (p params) Len() int { return len(p) }

// At returns the name and the value of one.
func (p params) At(i int) (name, value string) { return p[i].name, p[i].value }

// copyParams copies parameters, whose memory is used again when the exchange has ended. Those of the router, and copies, can be gone through.
func copyParams(from Params) Params {
	l, ok := from.(interface {
		Len() int
		At(i int) (name, value string)
	})
	if !ok {
		return nil
	}
	own := make(params, l.Len())
	for i := range own {
		own[i].name, own[i].value = l.At(i)
	}
	return own
}

// Prepare readies an exchange for a route whose policies use so many slots. The engine calls it.
func (ex *Exchange) Prepare(slots int) {
	if ex.Request != nil {
		ex.caller = ex.Request.Context()
	}
	if cap(ex.slots) < slots {
		ex.slots = make([]any, slots)
		return
	}
	ex.slots = ex.slots[:slots]
	clear(ex.slots)
}

// maxKept is the room for attempts that an exchange keeps for its next use. Few have more; one made of thousands of calls has.
const maxKept = 64

// Release ends what Limit began and empties the exchange for its next use, keeping its memory. The engine calls it, last.
func (ex *Exchange) Release() {
	for _, cancel := range ex.cancels {
		cancel()
	}
	if cap(ex.Attempts) > maxKept {
		ex.Attempts = nil
	}
	clear(ex.slots)
	clear(ex.Attempts)
	clear(ex.cancels)
	*ex = Exchange{slots: ex.slots[:0], Attempts: ex.Attempts[:0], cancels: ex.cancels[:0]}
}
