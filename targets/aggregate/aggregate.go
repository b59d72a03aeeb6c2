package aggregate

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cacheable"
	"cardea.dev/cardea/internal/call"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/target"
)

// Kind is the target `aggregate`.
func Kind() target.Kind { return target.Define("aggregate", build) }

// aggregate is the target as it runs on a route.
type aggregate struct {
	route    string
	steps    []*step
	composed *composition
	headers  []field
	depends  cacheable.Depends
	at       filter.Slot[scope]

	timeout          time.Duration
	late             error // is the cause of what ends when that is over
	begin            string
	errors           bool // failures are told in the answer
	own              bool // failures have the status that the upstream answered
	cookies          bool // are passed on
	timing           bool // Server-Timing tells how long calls took
	usesBody         bool
	maxPart, maxBody int64
	maxMemory        int64
	tooLong, full    error // why answers are not held: they are longer than maxPart, or there is no memory left
	parallel         int

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
	a := &aggregate{
		route: env.Route.Name, timeout: c.Timeout.Std(), begin: c.Begin, errors: c.Errors, own: c.FailureStatus == "upstream", cookies: c.Cookies == "pass", timing: c.ServerTiming,
		maxPart: int64(c.MaxPart), maxBody: int64(c.MaxBody), maxMemory: int64(c.MaxMemory), parallel: c.Parallel, at: filter.NewSlot[scope](env), log: env.Log,
	}
	a.late = filter.Reject(filter.UpstreamTimeout, "").Because(fmt.Errorf("the calls together took longer than %s", a.timeout))
	a.tooLong, a.full = longError(a.maxPart), fullError(a.maxMemory)
	p := &planner{env: env, at: a.at, calls: call.Declared(c.Self, "calls", c.Calls, c.More)}
	err := p.know()
	if err != nil {
		return nil, err
	}
	var wrong error
	a.steps, err = p.plan()
	a.composed, wrong = p.composition(c)
	if err = errors.Join(err, wrong); err != nil {
		return nil, err
	}
	if err = a.composed.place(p, a.steps); err != nil {
		return nil, err
	}
	for name, source := range c.Headers {
		where := fmt.Sprintf("headers[%q]", name)
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, config.FieldErrorf(where, "%q cannot be the name of a field", name)
		}
		if call.IsFraming(name) {
			return nil, config.FieldErrorf(where, "%s is the gateway's own business", name)
		}
		value, err := p.template(source)
		if err != nil {
			return nil, config.FieldErrorf(where, "%w", err)
		}
		a.headers = append(a.headers, field{http.CanonicalHeaderKey(name), value})
	}
	for _, s := range a.steps {
		s.kept = s.needed || s.each != nil || a.composed.whole()
		s.written = !s.hide && !a.composed.computes()
	}
	a.usesBody, a.depends = p.uses, p.depends
	switch {
	case a.composed.whole():
		a.begin = "all"
	case a.begin == "" && c.Format == "json":
		a.begin = "required"
	case a.begin == "":
		a.begin = "first"
	}
	a.plan = a.planned()
	a.metrics = newMetrics(env, a.steps)
	return a, nil
}

// Serve makes the calls and answers with what they bring.
func (a *aggregate) Serve(ex *filter.Exchange) (*http.Response, error) {
	r := newRun(a, ex)
	if a.usesBody {
		var err error
		if r.body, err = call.ReadBody(ex.Request, document.Limits{Size: a.maxBody, Spend: r.memory.take}); err != nil {
			r.cancel(err)
			r.own.Release()
			return nil, err
		}
	}
	go r.conduct() // ends with the calls, which end with the context
	answered := false
	defer func() {
		if !answered { // nobody else ends the calls where there is no answer, even if making it panics
			r.end()
		}
	}()
	if err := r.wait(); err != nil {
		r.end()
		r.report(ex)
		return nil, err
	}
	resp, err := r.answer(ex)
	answered = err == nil
	return resp, err
}

// Explain says which calls would be made, and which wait for which.
func (a *aggregate) Explain(*filter.Exchange) string {
	var lines []string
	for n, level := range levels(a.steps) {
		var names []string
		for _, i := range level {
			names = append(names, a.describe(a.steps[i]))
		}
		word := "then "
		if n == 0 {
			word = "calls "
		}
		lines = append(lines, word+strings.Join(names, ", "))
	}
	return strings.Join(lines, "; ") + a.composed.describe()
}

// describe says what a call does.
func (a *aggregate) describe(s *step) string {
	text := fmt.Sprintf("%s (%s %s", s.name, s.Method, s.Shown())
	if s.Operation != "" {
		text += ", which is " + s.Operation
	}
	if s.each != nil {
		text += ", for each of " + s.each.source
	}
	if len(s.after) > 0 {
		text += ", after " + strings.Join(a.namesOf(s.after), " and ")
	}
	if s.condition != "" {
		text += ", when " + s.condition
	}
	if s.optional {
		text += ", optional"
	}
	return text + ")"
}
