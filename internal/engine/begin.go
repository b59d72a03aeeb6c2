package engine

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/observe"
)

// begin readies the exchange: who asks, for what, under which id. What the client says of itself and may not is gone after it.
func (x *exchange) begin(e *Engine, s *Snapshot, edge *listen.Edge, w http.ResponseWriter, r *http.Request) {
	e.running.Add(1)
	x.engine, x.snapshot, x.edge, x.writer = e, s, edge, w
	x.Request, x.Start = r, time.Now()
	upgrade := upgradeOf(r)
	caller := edge.Forward.Apply(r, x.values[:]) // strips hop-by-hop fields too; nothing that is set below can be stripped by a client
	if upgrade != "" {
		r.Header["Connection"] = []string{"Upgrade"}
		r.Header["Upgrade"] = []string{upgrade}
	}
	x.Client = caller.Client
	x.identify(r, caller.Trusted)
	x.Original = filter.Original{Method: r.Method, Scheme: caller.Scheme, Host: caller.Host, Query: r.URL.RawQuery, Proto: r.Proto}
	x.Interim = x.passInterim
	if x.Err = acceptable(r, edge); x.Err == nil {
		x.Err = insecure(r, edge, caller)
	}
	x.Original.Path = r.URL.EscapedPath()
	x.beginSpan(r)
	if r.ContentLength == 0 && len(r.Trailer) == 0 {
		r.Body = http.NoBody // HTTP/2 gives an empty one, which could be anything to policies and upstreams
	}
	if r.Body != nil && r.Body != http.NoBody {
		listen.StripTrailer(r.Trailer)
		x.body = &countedBody{ReadCloser: r.Body, trailer: r.Trailer}
		r.Body = x.body
		if r.ProtoMajor == 1 {
			_ = http.NewResponseController(w).EnableFullDuplex() // an answer may begin while the body is still coming
		}
	}
}

// acceptable normalises the path and returns why the request cannot be served at all, or nil.
func acceptable(r *http.Request, edge *listen.Edge) error {
	if limit := int64(edge.Limits.Header); limit > 0 && listen.HeaderSize(r) > limit {
		return filter.Reject(filter.HeaderTooLarge, "The header of the request is larger than %d bytes.", limit)
	}
	if limit := int(edge.Limits.URI); limit > 0 && len(r.RequestURI) > limit {
		return filter.Reject(filter.URITooLong, "The target of the request is longer than %d bytes.", limit)
	}
	if r.Method == http.MethodConnect {
		return filter.Reject(filter.MethodNotAllowed, "CONNECT is not served.")
	}
	if r.ProtoMajor > 1 && oddTarget(r.RequestURI) {
		return filter.Reject(filter.BadRequest, "The request's :path is not a path.")
	}
	if r.URL.Path == "*" && r.Method == http.MethodOptions {
		return nil // asks about the gateway as a whole (RFC 9110, section 9.3.7)
	}
	return normalise(r.URL, edge.Paths)
}

// oddTarget says whether a target is neither a path with a query nor an asterisk (RFC 9113, section 8.3.1). Package http1 has refused it
// already in HTTP/1.1.
func oddTarget(target string) bool {
	return target != "*" && !strings.HasPrefix(target, "/") || strings.ContainsRune(target, '#')
}

// insecure returns the redirect of a request that must come by https, or nil.
func insecure(r *http.Request, edge *listen.Edge, caller listen.Caller) error {
	location, redirect := edge.Redirect(r, caller.Scheme, caller.Host)
	switch {
	case !redirect:
		return nil
	case location == "":
		return filter.Reject(filter.BadRequest, "The request names no host.")
	}
	return filter.Reject(filter.HTTPSRequired, "").With("Location", location)
}

// normalise brings the path into the one form that routes are matched with and upstreams see.
func normalise(u *url.URL, o router.Options) error {
	escaped := u.EscapedPath()
	if escaped == "" {
		escaped = "/"
	}
	path, changed, err := o.Normalize(escaped)
	if err != nil {
		return filter.Reject(filter.BadPath, "").Because(err)
	}
	if !changed && u.Path != "" {
		return nil
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return filter.Reject(filter.BadPath, "").Because(err)
	}
	u.Path, u.RawPath = plain, ""
	if u.EscapedPath() != path {
		u.RawPath = path
	}
	return nil
}

// match finds the route. A preflight goes where the request it asks about would go, unless a route names OPTIONS.
func (x *exchange) match() {
	x.route = x.find()
	x.Route = &x.route.Route
	x.Params = &x.params
	x.Prepare(x.route.Slots)
}

func (x *exchange) find() *Route {
	r := x.Request
	if x.Err != nil || r.URL.Path == "*" {
		return x.snapshot.Unmatched
	}
	x.lookup = router.Request{
		Method: r.Method, Host: x.Original.Host, Path: x.Original.Path, Header: r.Header,
		RawQuery: r.URL.RawQuery, Client: x.Client, Subject: &x.Exchange, Params: &x.params,
	}
	preflight := preflightMethod(r)
	i, found := x.snapshot.Table.Match(&x.lookup)
	if found && (preflight == "" || x.snapshot.Routes[i].ExplicitOPTIONS) {
		return x.snapshot.Routes[i]
	}
	if preflight != "" {
		x.lookup.Method = preflight
		x.params.Reset()
		if j, ok := x.snapshot.Table.Match(&x.lookup); ok {
			return x.snapshot.Routes[j]
		}
	}
	if found {
		return x.snapshot.Routes[i]
	}
	x.Err = refusalFor(x.snapshot.Table.Methods(&x.lookup))
	return x.snapshot.Unmatched
}

// preflightMethod returns the method that a CORS preflight asks about, or "" for any other request.
func preflightMethod(r *http.Request) string {
	if r.Method != http.MethodOptions || r.Header["Origin"] == nil {
		return ""
	}
	return r.Header.Get("Access-Control-Request-Method")
}

// upgradeOf returns the protocol that an HTTP/1.1 request wants to go on with, or "" (RFC 9110, section 7.8). Other versions of HTTP
// are none: an upstream that goes over to HTTP/2 would serve requests that nobody routes, checks or counts.
func upgradeOf(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor == 0 || r.Header["Upgrade"] == nil || upgradesHTTP(r.Header["Upgrade"]) {
		return ""
	}
	for _, field := range r.Header["Connection"] {
		for option := range strings.SplitSeq(field, ",") {
			if strings.EqualFold(strings.TrimSpace(option), "upgrade") {
				return r.Header.Get("Upgrade")
			}
		}
	}
	return ""
}

// upgradesHTTP says whether another version of HTTP, or TLS, is among the protocols of Upgrade fields.
func upgradesHTTP(fields []string) bool {
	for _, field := range fields {
		for protocol := range strings.SplitSeq(field, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
			if strings.EqualFold(name, "h2c") || strings.EqualFold(name, "h2") || strings.EqualFold(name, "HTTP") || strings.EqualFold(name, "TLS") {
				return true
			}
		}
	}
	return false
}

const requestIDHeader = "X-Request-Id"

// identify gives the request its id, and puts that where the upstream sees it. A trusted client's own is kept.
func (x *exchange) identify(r *http.Request, trusted bool) {
	if given := r.Header[requestIDHeader]; trusted && len(given) == 1 && wellFormedID(given[0]) {
		x.ID = given[0]
	} else {
		x.ID = newID()
	}
	x.id[0] = x.ID
	r.Header[requestIDHeader] = x.id[:]
}

// newID returns a fresh id: 128 random bits.
func newID() string {
	var raw [16]byte
	binary.NativeEndian.PutUint64(raw[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(raw[8:], rand.Uint64())
	var text [32]byte
	hex.Encode(text[:], raw[:])
	return string(text[:])
}

// wellFormedID says whether an id may stand in logs and headers as it is.
func wellFormedID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

func (x *exchange) beginSpan(r *http.Request) {
	if x.snapshot.Tracer == nil {
		return
	}
	x.Span = x.snapshot.Tracer.Start(r, r.Method)
	if !x.Span.Recording() {
		return
	}
	x.Span.SetString(observe.AttrRequestMethod, r.Method)
	x.Span.SetString(observe.AttrURLScheme, x.Original.Scheme)
	x.Span.SetString(observe.AttrURLPath, x.Original.Path)
	x.Span.SetString(observe.AttrServerAddress, x.Original.Host)
	x.Span.SetString(observe.AttrClientAddress, x.Client.String())
	x.Span.SetString(observe.AttrRequestID, x.ID)
}

func (x *exchange) endSpan() {
	if !x.Span.Recording() {
		return
	}
	if x.Route.Name != "" {
		x.Span.Rename(x.Original.Method + " " + x.Route.Name)
		x.Span.SetString(observe.AttrRouteName, x.Route.Name)
	}
	x.Span.SetInt(observe.AttrResponseStatus, int64(x.Status))
	if x.Cached.Outcome != "" {
		x.Span.SetString(observe.AttrCache, string(x.Cached.Outcome))
	}
	var refused *filter.Error
	if errors.As(x.Err, &refused) {
		x.Span.SetString(observe.AttrErrorType, string(refused.Code))
	}
	if x.Err != nil && x.Status >= http.StatusInternalServerError {
		x.Span.Fail(x.Err)
	}
	x.Span.End()
}
