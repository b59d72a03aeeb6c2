package sequence

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
	"cardea.dev/cardea/internal/pathtemplate"
	"cardea.dev/cardea/internal/shape"
	"cardea.dev/cardea/target"
)

// Kind is the target `sequence`.
func Kind() target.Kind { return target.Define("sequence", build) }

// sequence is the target as it runs on a route.
type sequence struct {
	steps []*step
	at    filter.Slot[run]
	kept  *kept
	env   *filter.Env
	route string

	shared *shared // nil: keys are this gateway's alone
	shares string  // what is shared, for Explain

	timeout  time.Duration
	undo     Undo
	finish   bool // goes on when the client has left
	own      bool // failures have the status that the upstream answered
	maxBody  int64
	maxPart  int64
	template filter.Value // of the key; nil: the client's field
	require  bool

	answer   int         // the step whose answer is that of the whole; -1: none
	compose  *jq.Program // nil: none
	status   int
	location pathtemplate.Pieces
	query    pathtemplate.Pieces // of the location
	asks     bool
	headers  []field

	plan    []filter.Call
	metrics *metrics
	log     *slog.Logger
}

// field is a field of the answer.
type field struct {
	name  string
	value filter.Template
}

func build(env *filter.Env, c *Config) (target.Target, error) {
	s := &sequence{
		at: filter.NewSlot[run](env), env: env, route: env.Route.Name, timeout: c.Timeout.Std(), undo: c.Undo, finish: c.Abandoned == "finish",
		own: c.FailureStatus == "upstream", maxBody: int64(c.MaxBody), maxPart: int64(c.MaxPart), require: c.RequireKey, answer: -1, status: c.Status, log: env.Log,
	}
	p := &planner{env: env, at: s.at}
	var err error
	if s.steps, err = p.plan(c); err != nil {
		return nil, err
	}
	if err := s.readAnswer(p, c); err != nil {
		return nil, err
	}
	if c.Key != "" {
		if s.template, err = p.key(c.Key); err != nil {
			return nil, config.FieldErrorf("key", "%w", err)
		}
	}
	if s.kept, err = filter.Keep(env, "sequence", func() (*kept, error) { return newKept(), nil }); err != nil {
		return nil, err
	}
	s.plan = s.planned()
	s.metrics = newMetrics(env, s.steps)
	if err := s.share(env, c); err != nil {
		return nil, err
	}
	return s, nil
}

// readAnswer reads what makes the answer.
func (s *sequence) readAnswer(p *planner, c *Config) (err error) {
	if c.Answer != "" {
		if s.answer = slices.Index(p.names, c.Answer); s.answer < 0 {
			return config.FieldErrorf("answer", "there is no step %q; there are %s", c.Answer, strings.Join(p.names, ", "))
		}
	}
	if c.Compose != "" {
		if s.compose, err = jq.Compile(c.Compose); err == nil {
			err = shape.Object(p.shapes).Reads(c.Compose)
		}
		if err != nil {
			return config.FieldErrorf("compose", "%w", err)
		}
	}
	if c.Location != "" {
		if s.location, s.query, s.asks, err = pathtemplate.New(p.env, c.Location, p.word); err != nil {
			return config.FieldErrorf("location", "%w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		value, err := p.header(name, c.Headers[name])
		if err != nil {
			return config.FieldErrorf(fmt.Sprintf("headers[%q]", name), "%w", err)
		}
		s.headers = append(s.headers, field{http.CanonicalHeaderKey(name), value})
	}
	return nil
}

// header readies a field of the answer.
func (p *planner) header(name, source string) (filter.Template, error) {
	if !httpguts.ValidHeaderFieldName(name) {
		return nil, fmt.Errorf("%q cannot be the name of a field", name)
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Upgrade":
		return nil, errors.New("the field is the gateway's to set")
	case "Cache-Control":
		return nil, errors.New("answers of sequences are never stored")
	case "Location":
		return nil, errors.New("`location` sets it, with its values escaped")
	}
	value, _, err := call.Text(p.scope(), source)
	return value, err
}

// Why sequences end before their end.
var (
	errLate   = errors.New("the steps together took too long")
	errLeft   = errors.New("the client left")
	errEnding = errors.New("the gateway is about to end")
)

// Serve makes the calls one after the other, and undoes what was done where one fails. It returns only once all that has come to an end, also when the
// client has left: as long as an exchange runs, neither a reload nor the end of the gateway takes away what it needs.
func (s *sequence) Serve(ex *filter.Exchange) (*http.Response, error) {
	given, err := call.ReadBody(ex.Request, document.Limits{Size: s.maxBody})
	if err != nil {
		return nil, err
	}
	done, err := s.kept.begin()
	if err != nil {
		return nil, err
	}
	defer done()
	r := newRun(s, ex, given)
	defer r.end(ex)
	if err := r.identify(ex); err != nil {
		return nil, err
	}
	again, release, err := s.kept.claim(r.id)
	if err != nil {
		return nil, err
	}
	how, told := nothing, ""
	defer func() { release(how, told) }()
	resp, again, err := r.claim(ex, again)
	if resp != nil {
		s.metrics.replayed.Inc()
	}
	if resp != nil || err != nil {
		return resp, err
	}
	defer r.watch()()
	b, err := r.forward()
	if err == nil {
		resp, err = r.commit(ex, b)
	}
	switch {
	case err == nil:
		how = complete
		s.metrics.done.Inc()
		return resp, nil
	case errors.Is(err, errUnsure):
		how = isLost
		s.metrics.unsure.Inc()
		return nil, r.unsure()
	case again: // to undo a part of what was done before would leave the rest
		how = complete
		r.settle(how)
		s.metrics.again.Inc()
		return nil, r.failedAgain(err)
	case r.touched():
		how = wasUndone
	}
	r.prepare()
	r.undo()
	told = r.told()
	r.settle(how)
	return nil, r.failed(err)
}

// Explain says which calls would be made, and what undoes them.
func (s *sequence) Explain(ex *filter.Exchange) string {
	var b strings.Builder
	for i, st := range s.steps {
		word := "; then "
		if i == 0 {
			word = "calls "
		}
		fmt.Fprintf(&b, "%s%s (%s %s", word, st.name, st.Method, st.Shown())
		if st.Operation != "" {
			b.WriteString(", which is " + st.Operation)
		}
		for k, u := range st.undone {
			word := " and "
			if k == 0 {
				word = ", undone by "
			}
			fmt.Fprintf(&b, "%s%s %s", word, u.Method, u.Shown())
		}
		if len(st.undone) == 0 && !safe(st.Method) {
			b.WriteString(", which nothing undoes")
		}
		b.WriteString(")")
	}
	if rest := s.rest(ex); rest != "" {
		b.WriteString("; " + rest)
	}
	return b.String()
}

// rest is what is to be said beside the calls: where keys are kept, and whether the request would be refused for want of one.
func (s *sequence) rest(ex *filter.Exchange) string {
	var all []string
	if s.shares != "" {
		all = append(all, s.shares)
	}
	if k := s.shared; k != nil && k.store.down() {
		what := "refused with 503"
		if k.local {
			what = "it goes on without"
		}
		all[0] += ", but " + k.lacks + ": " + what
	}
	if s.require && s.template == nil && ex.Request.Header[keyField] == nil {
		all = append(all, "refused with 400: the request has no "+keyField)
	}
	return strings.Join(all, "; ")
}

// safe says whether calls with a method leave nothing to be undone (RFC 9110, section 9.2.1).
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
