package fallback

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/repeat"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("fallback", filter.Cache, build) }

// policy is the policy as it runs on a route.
type policy struct {
	sources []source
	causes  []Cause
	after   time.Duration
	reserve time.Duration // of the route's time, for sources that ask others
	maxBody int64         // of requests that are kept to be sent again; 0: none
	to      []*to
	good    *lastGood // nil: last good answers are not kept
	whole   bool      // sources need the request as it was here
	header  string    // "": none
	late    error     // the cause, for operators, when `after` passes
	states  filter.Slot[state]
	bare    *state // of all exchanges of which nothing need be known; it is never written
	count   *prometheus.CounterVec
	route   string
}

// source is where an answer comes from.
type source interface {
	// kind is its name in the mark, in metrics and in logs.
	kind() string

	// answer returns the answer, or says why there is none.
	answer(ex *filter.Exchange, s *state) (*http.Response, error)

	// explain says what the answer would be.
	explain(ex *filter.Exchange) string
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p, err := newPolicy(env, c, time.Now)
	if err != nil {
		return nil, err
	}
	return &filter.Filter{Request: p.request, Response: p.response, Finish: p.finish, Explain: p.explain, Mends: true}, nil
}

func newPolicy(env *filter.Env, c *Config, now func() time.Time) (*policy, error) {
	p := &policy{
		causes: c.On, after: c.After.Std(), header: http.CanonicalHeaderKey(c.Header), states: filter.NewSlot[state](env), bare: &state{}, route: env.Route.Name,
		late:  fmt.Errorf("the answer did not begin within %s, which is what `fallback` gives it", c.After),
		count: env.Metrics.Counter("fallbacks_total", "Answers that failed, by route, what stood in for them (none: nothing could), and the code or status of the failure.", "route", "kind", "reason"),
	}
	if len(p.causes) == 0 {
		p.causes = byDefault()
	}
	switch {
	case c.Header == "off":
		p.header = ""
	case !httpguts.ValidHeaderFieldName(c.Header):
		return nil, config.FieldErrorf("header", "%q cannot be the name of a field", c.Header)
	case taken(p.header):
		return nil, config.FieldErrorf("header", "the field %s says something else about an answer; choose another name", p.header)
	}
	var errs []error
	for i := range c.Try {
		if err := p.add(env, &c.Try[i], fmt.Sprintf("try[%d]", i), now); err != nil {
			errs = append(errs, err)
		}
	}
	if len(c.Try) == 0 {
		errs = append(errs, p.add(env, &Answer{Content: c.Content}, "", now))
	}
	if !p.failed(http.StatusGatewayTimeout, filter.Reject(filter.UpstreamTimeout, "")) {
		p.reserve = 0
	}
	return p, errors.Join(errs...)
}

// taken says whether a field has a meaning that a mark would destroy.
func taken(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", // of HTTP itself
		"Age", "Allow", "Cache-Control", "Date", "Etag", "Expires", "Last-Modified", "Location", "Retry-After", "Set-Cookie", "Vary", "Www-Authenticate":
		return true
	}
	return strings.HasPrefix(name, "Content-")
}

// add adds a source. At is where it is written.
func (p *policy) add(env *filter.Env, a *Answer, at string, now func() time.Time) error {
	switch {
	case a.Use == "last_good":
		a.LastGood = &LastGood{}
		a.LastGood.Default()
	case a.Use != "":
		a.To = &To{Upstream: a.Use}
		a.To.Default()
	}
	if a.To != nil {
		at = join(at, "to")
		if a.Use != "" {
			at = strings.TrimSuffix(at, ".to") + ".use"
		}
		t, err := newTo(env, p, a.To, at, a.Use != "")
		if err != nil {
			return err
		}
		p.sources, p.to, p.whole = append(p.sources, t), append(p.to, t), true
		p.reserve += t.timeout
		p.maxBody = max(p.maxBody, t.maxBody)
		return nil
	}
	if a.LastGood != nil {
		if p.good != nil {
			return config.FieldErrorf(at, "the last good answer is tried already")
		}
		g, err := newLastGood(env, a.LastGood, join(at, "last_good"), now)
		if err != nil {
			return err
		}
		p.sources, p.good, p.whole = append(p.sources, g), g, true
		return nil
	}
	f, err := newFixed(env, &a.Content, at)
	if err != nil {
		return err
	}
	p.sources = append(p.sources, f)
	return nil
}

// join is the place of a key below another.
func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// unfit says why a request has nothing to do with fallbacks, or "".
func unfit(r *http.Request) string {
	switch {
	case r.Header["Upgrade"] != nil:
		return "it changes the protocol, and no answer can stand in for a connection"
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		return "it is gRPC, whose clients take no other answers and have ways of their own to go on"
	}
	return ""
}

// request keeps what the sources need, and sets what time the service has.
func (p *policy) request(ex *filter.Exchange) error {
	if unfit(ex.Request) != "" {
		return nil
	}
	if !p.whole && p.after == 0 {
		p.states.Set(ex, p.bare)
		return nil
	}
	s := &state{}
	p.states.Set(ex, s)
	if p.wantsBody(ex.Request) {
		var err error
		if s.body, _, err = repeat.Take(ex.Request, p.maxBody); err != nil {
			return err
		}
	}
	if p.whole {
		s.keep(ex)
	}
	if p.good != nil {
		p.good.prepare(ex, s)
	}
	s.limit(ex, p)
	return nil
}

// response puts another answer in the place of one that failed, and keeps one that is good.
func (p *policy) response(ex *filter.Exchange) error {
	s := p.states.Get(ex)
	if s == nil {
		return nil
	}
	late := s.answered(ex)
	reason := p.reason(ex, late)
	switch {
	case reason == "":
		if p.good != nil && ex.Response.Header[p.header] == nil { // else it stands in already, by a gateway behind this one
			p.good.keep(ex, s)
		}
		return nil
	case gone(ex):
		return nil // nobody waits any more
	}
	ex.Fallback = filter.Fallback{Reason: reason}
	if ex.Err != nil {
		ex.Fallback.Cause = causeOf(ex.Err)
	}
	for _, from := range p.sources {
		resp, err := from.answer(ex, s)
		if err == nil {
			p.replace(ex, from.kind(), resp)
			return nil
		}
		ex.Fallback.Failed = listed(ex.Fallback.Failed, from.kind()+": "+err.Error())
	}
	ex.Fallback.Kind = "none"
	p.count.WithLabelValues(p.route, "none", reason).Inc()
	if late && ex.Err == nil {
		return s.expired
	}
	return nil
}

// gone says whether the client has left.
func gone(ex *filter.Exchange) bool { return ex.Caller().Err() != nil }

// replace puts an answer in the place of what failed, and marks it.
func (p *policy) replace(ex *filter.Exchange, kind string, resp *http.Response) {
	if old := ex.Response; old != nil && old.Body != nil {
		_ = old.Body.Close()
	}
	ex.Response, ex.Err = resp, nil
	ex.Fallback.Kind = kind
	p.count.WithLabelValues(p.route, kind, ex.Fallback.Reason).Inc()
	if p.header != "" {
		resp.Header[p.header] = []string{kind + "; reason=" + ex.Fallback.Reason}
	}
}

// reason says why an answer counts as failed: the code of its error, or its status; "": it does not.
func (p *policy) reason(ex *filter.Exchange, late bool) string {
	switch {
	case late:
		return string(filter.UpstreamTimeout)
	case ex.Err == nil && p.failed(ex.Response.StatusCode, nil):
		return strconv.Itoa(ex.Response.StatusCode)
	case ex.Err == nil:
		return ""
	}
	e := filter.AsError(ex.Err)
	if e.Code == filter.ClientClosed || e.Code == filter.RequestTimeout || errors.Is(ex.Err, http.ErrAbortHandler) {
		return ""
	}
	if p.failed(e.HTTPStatus(), e) {
		return string(e.Code)
	}
	return ""
}

// failed says whether a status, or an error, is among what counts as failed. That nothing is stored is what a client asked for, and fails only by its code.
func (p *policy) failed(status int, e *filter.Error) bool {
	for i := range p.causes {
		c := &p.causes[i]
		switch {
		case c.upstream:
			if e != nil && e.Info().Source == filter.FromUpstream {
				return true
			}
		case c.code != "":
			if e != nil && e.Code == c.code {
				return true
			}
		case status >= c.first && status <= c.last && (e == nil || e.Code != filter.NotCached):
			return true
		}
	}
	return false
}

// causeOf is what operators are told of an error.
func causeOf(err error) string {
	if e := filter.AsError(err); e.Cause != nil {
		return e.Cause.Error()
	}
	return ""
}

// listed is a list with one more item.
func listed(list, item string) string {
	if list == "" {
		return item
	}
	return list + "; " + item
}

// finish ends what was begun.
func (p *policy) finish(ex *filter.Exchange) {
	if s := p.states.Get(ex); s != nil {
		s.end()
	}
}

// explain says what would stand in for the answer.
func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	if why := unfit(ex.Request); why != "" {
		return filter.Verdict{Action: filter.Passes, Note: "there is no fallback: " + why}
	}
	var on, then []string
	for i := range p.causes {
		on = append(on, p.causes[i].text)
	}
	for _, from := range p.sources {
		then = append(then, from.explain(ex))
	}
	note := "on " + strings.Join(on, ", ")
	if p.after > 0 {
		note += fmt.Sprintf(", or after %s", config.Duration(p.after))
	}
	return filter.Verdict{Action: filter.Passes, Note: note + ": " + strings.Join(then, "; then ")}
}
