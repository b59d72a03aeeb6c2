package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/engine/listen"
	"cardea.dev/cardea/internal/router"
	"cardea.dev/cardea/target"
)

// Explanation says what a request would find, and why.
type Explanation struct {
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Client   string            `json:"client,omitempty"`
	Path     string            `json:"path"`            // as it is matched
	Error    string            `json:"error,omitempty"` // why the request would not be routed at all
	Route    *RouteOut         `json:"route"`           // nil: none matches
	Params   map[string]string `json:"params,omitempty"`
	Nearer   []CandidateOut    `json:"nearer,omitempty"`  // routes that would have come first, or came closest, nearest first
	Methods  []string          `json:"methods,omitempty"` // for which a route would match, where it is only the method
	Policies []PolicyOut       `json:"policies"`
	Target   *TargetOut        `json:"target,omitempty"` // nil: a policy answers, or refuses
	Outcome  string            `json:"outcome"`
}

// RouteOut names a route.
type RouteOut struct {
	Name  string `json:"name"`
	Match string `json:"match"`
	Where string `json:"where"`
}

// CandidateOut is a route that did not match, and the one condition that failed.
type CandidateOut struct {
	RouteOut
	Condition string `json:"condition"`        // "host", "path", "method", "header", …
	Of        string `json:"of,omitempty"`     // the header's, parameter's or cookie's name
	Wanted    string `json:"wanted,omitempty"` // by the route
	Got       string `json:"got,omitempty"`    // from the request
	Hint      string `json:"hint,omitempty"`   // what may be the mistake
}

// PolicyOut is a policy and what it would do.
type PolicyOut struct {
	Policy string        `json:"policy"`
	Stage  string        `json:"stage"`
	Where  string        `json:"where"`
	Action filter.Action `json:"action"`
	Note   string        `json:"note,omitempty"`
}

// TargetOut is what answers.
type TargetOut struct {
	Kind  string    `json:"kind"`
	Note  string    `json:"note"`
	Calls []CallOut `json:"calls,omitempty"` // that it would make
	Rest  string    `json:"rest,omitempty"`  // of the note, without the calls
}

// NotReached is the action of policies after one that answers or rejects.
const NotReached filter.Action = "not reached"

// Explain says what a request from a client would find, and why, without sending, counting or keeping anything. The request's
// URL is absolute; scheme, host and path are taken from it.
func (s *Snapshot) Explain(r *http.Request, client netip.Addr) *Explanation {
	ex := &filter.Exchange{Request: r, Client: client, Start: time.Now(), ID: "explain", Dry: true}
	out := &Explanation{Method: r.Method, URL: r.URL.Redacted(), Client: client.String(), Policies: []PolicyOut{}}
	listen.StripHopByHop(r.Header)
	ex.Original = filter.Original{Method: r.Method, Scheme: r.URL.Scheme, Host: router.NormalizeHost(r.URL.Host), Query: r.URL.RawQuery, Proto: "HTTP/1.1"}
	if err := normalise(r.URL, router.DefaultOptions()); err != nil {
		out.Error = err.Error()
		out.Outcome = outcomeOf(err)
		return out
	}
	ex.Original.Path = r.URL.EscapedPath()
	out.Path = ex.Original.Path
	route := s.explainMatch(ex, out)
	ex.Route = &route.Route
	ex.Prepare(route.Slots)
	defer ex.Release()
	if s.explainPolicies(ex, route, out) {
		return out
	}
	note := route.Target.Explain(ex)
	out.Target = &TargetOut{Kind: route.TargetKind, Note: note}
	if planner, ok := route.Target.(target.Planner); ok {
		rest, calls := planner.Plan(ex)
		out.Target.Rest, out.Target.Calls = rest, callsOut(calls, ex.Start)
		readGraph(out.Target.Calls)
	}
	out.Outcome = note
	return out
}

// explainMatch finds the route, says why it is that one, and lays its parameters down.
func (s *Snapshot) explainMatch(ex *filter.Exchange, out *Explanation) *Route {
	r := ex.Request
	params := &router.Params{}
	ex.Params = params
	lookup := &router.Request{
		Method: r.Method, Host: ex.Original.Host, Path: ex.Original.Path, Header: r.Header,
		RawQuery: r.URL.RawQuery, Client: ex.Client, Subject: ex, Params: params,
	}
	if m := preflightMethod(r); m != "" {
		if i, ok := s.Table.Match(lookup); !ok || !s.Routes[i].ExplicitOPTIONS {
			lookup.Method = m
		}
	}
	found := s.Table.Explain(lookup, 5)
	for _, c := range found.Nearer {
		route := s.Routes[c.Value]
		out.Nearer = append(out.Nearer, CandidateOut{
			RouteOut: RouteOut{route.Name, c.Match, route.Where}, Condition: c.Failed.Kind, Of: c.Failed.Name,
			Wanted: c.Failed.Wanted, Got: c.Failed.Got, Hint: c.Failed.Hint,
		})
	}
	if !found.Matched {
		out.Methods = found.Methods
		ex.Err = refusalFor(found.Methods)
		return s.Unmatched
	}
	route := s.Routes[found.Winner.Value]
	out.Route = &RouteOut{route.Name, found.Winner.Match, route.Where}
	for i := range params.Len() {
		if out.Params == nil {
			out.Params = map[string]string{}
		}
		name, value := params.At(i)
		out.Params[name] = value
	}
	return route
}

// explainPolicies asks each policy in order. It says whether one of them answers or rejects.
func (s *Snapshot) explainPolicies(ex *filter.Exchange, route *Route, out *Explanation) (ended bool) {
	for i := range route.Steps {
		step := &route.Steps[i]
		p := PolicyOut{Policy: step.Kind, Stage: step.Stage.String(), Where: step.Where}
		switch {
		case ended:
			p.Action = NotReached
		case step.Explain != nil:
			v := step.Explain(ex)
			p.Action, p.Note = v.Action, v.Note
		case step.Request == nil:
			p.Action, p.Note = filter.Passes, "acts on the response only"
		default:
			p.Action, p.Note = filter.Unknown, "cannot be said without running it"
		}
		if p.Action == filter.Answers || p.Action == filter.Rejects {
			ended = true
			out.Outcome = step.Kind + ": " + p.Note
		}
		out.Policies = append(out.Policies, p)
	}
	return ended
}

// refusalFor is the error for a request that no route matches: only its method is wrong, or all.
func refusalFor(methods []string) error {
	if len(methods) == 0 {
		return filter.Reject(filter.RouteNotFound, "")
	}
	return filter.Reject(filter.MethodNotAllowed, "").With("Allow", strings.Join(slices.Sorted(slices.Values(methods)), ", "))
}

func outcomeOf(err error) string {
	e := filter.AsError(err)
	return http.StatusText(e.HTTPStatus()) + " " + string(e.Code)
}

// AskedRequest makes the request that an explanation is asked for. An empty method is GET; the URL must be absolute.
func AskedRequest(method, target string, headers http.Header) (*http.Request, error) {
	if method == http.MethodConnect {
		return nil, fmt.Errorf("cannot explain CONNECT: it is not served")
	}
	r, err := http.NewRequest(method, target, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot explain %q: %w", target, err)
	}
	if r.URL.Host == "" || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
		return nil, fmt.Errorf("cannot explain %q: expected a whole URL, such as https://api.example.com/orders/7", target)
	}
	for name, values := range headers {
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
	if err := setLength(r); err != nil {
		return nil, err
	}
	if host := r.Header.Get("Host"); host != "" {
		r.URL.Host, r.Host = host, host
		r.Header.Del("Host")
	}
	return r, nil
}

// setLength takes the length of the request's body from its header, as a server does.
func setLength(r *http.Request) error {
	if text := r.Header.Get("Content-Length"); text != "" {
		length, err := strconv.ParseInt(text, 10, 64)
		if err != nil || length < 0 {
			return fmt.Errorf("cannot explain a request whose Content-Length is %q", text)
		}
		r.ContentLength = length
		r.Header.Del("Content-Length")
	}
	if r.Header.Get("Transfer-Encoding") != "" {
		r.ContentLength, r.Body = -1, io.NopCloser(http.NoBody)
		r.Header.Del("Transfer-Encoding")
	}
	return nil
}
