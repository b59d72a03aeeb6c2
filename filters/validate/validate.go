package validate

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/openapi"
	"cardea.dev/cardea/internal/schema"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("validate", filter.Validate, build) }

// policy is the policy as it runs.
type policy struct {
	request, response *openapi.Content // of a JSON Schema; nil: none

	document  *openapi.Document
	operation *openapi.Operation // nil: it is found by method and path
	bases     []string           // nil: those of the servers

	report    bool
	responses string
	max       int64
	maxText   string
	bounds    schema.Bounds
	maxErrors int

	passUnknown, unknownQuery, unknownStatus, refuseLarge bool

	asked    filter.Slot[asked]
	counts   counts
	reporter reporter
}

// asked is what the policy knows of an exchange once it has seen its request.
type asked struct {
	operation *openapi.Operation
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{
		report: c.Mode == report, responses: c.responses(), max: int64(c.MaxBody), maxText: c.MaxBody.String(), maxErrors: c.MaxErrors,
		bounds:      schema.Bounds{Depth: c.MaxDepth, Values: c.MaxValues},
		passUnknown: c.UnknownOperations == pass, unknownQuery: c.UnknownQuery == refuse,
		unknownStatus: c.UnknownStatuses == refuse, refuseLarge: c.LargeResponses == refuse,
		asked: filter.NewSlot[asked](env), counts: newCounts(env),
	}
	p.reporter.log, p.reporter.route, p.reporter.now = env.Log, env.Route.Name, time.Now
	if err := p.compile(env, c); err != nil {
		return nil, err
	}
	f := &filter.Filter{Request: p.checkRequest, Explain: p.explain}
	if p.responses != off {
		f.Response = p.checkResponse
	}
	return f, nil
}

// checkRequest is the request phase.
func (p *policy) checkRequest(ex *filter.Exchange) error {
	operation, values, err := p.find(ex)
	if err != nil || operation == nil && p.document != nil {
		return p.unknown(ex, err)
	}
	if p.responses != off {
		p.asked.Set(ex, &asked{operation: operation})
		if p.responses == enforce {
			readable(ex.Request)
		}
	}
	l := openapi.List{Most: p.maxErrors}
	p.checkParameters(ex, operation, values, &l)
	unchecked, err := p.checkBody(ex, operation, &l)
	if err != nil {
		return p.refuse(ex, err)
	}
	switch {
	case len(l.Found) > 0:
		return p.refuse(ex, invalid(&l))
	case unchecked:
		p.counts.requestUnchecked.Inc()
	default:
		p.counts.requestValid.Inc()
	}
	return nil
}

func (p *policy) checkParameters(ex *filter.Exchange, operation *openapi.Operation, values []string, l *openapi.List) {
	if operation == nil {
		return
	}
	in := openapi.Input{Request: ex.Request, Values: values, Unknown: p.unknownQuery}
	if ex.Params != nil {
		in.Path = ex.Params.Get
	}
	operation.CheckParameters(&in, l)
}

// find finds the operation of a request. None and no error: there is no document.
func (p *policy) find(ex *filter.Exchange) (operation *openapi.Operation, values []string, err error) {
	if p.document == nil {
		return nil, nil, nil
	}
	path := ex.Request.URL.EscapedPath()
	if o := p.operation; o != nil {
		if m := ex.Request.Method; m != o.Method && (m != http.MethodHead || o.Method != http.MethodGet) {
			return nil, nil, otherMethod([]string{o.Method})
		}
		values, _ := o.Values(path, p.bases)
		return o, values, nil
	}
	found := p.document.Find(ex.Request.Method, path, p.bases)
	switch {
	case found.Operation != nil:
		return found.Operation, found.Values, nil
	case len(found.Allow) > 0:
		return nil, nil, otherMethod(found.Allow)
	}
	return nil, nil, filter.Reject(filter.OperationUnknown, "").Because(errors.New("no path of the document matches, after those of its servers"))
}

// otherMethod makes the error of a request whose method is none of those that there are operations for.
func otherMethod(allow []string) error {
	list := strings.Join(allow, ", ")
	e := filter.Reject(filter.OperationUnknown, "The API has no operation for this method here.").With("Allow", list)
	e.Status = http.StatusMethodNotAllowed
	return e.Because(fmt.Errorf("the document has no operation for the method, but for %s", list))
}

// unknown is what becomes of a request that no operation is for.
func (p *policy) unknown(ex *filter.Exchange, err error) error {
	if p.passUnknown || err == nil {
		p.counts.requestUnchecked.Inc()
		return nil
	}
	return p.refuse(ex, err)
}

// refuse refuses a request, unless it is only to be reported. Bodies that could not be read are always refused.
func (p *policy) refuse(ex *filter.Exchange, err error) error {
	refused := filter.AsError(err)
	var unread *unreadError
	if errors.As(err, &unread) {
		return unread.err
	}
	ex.Invalid = filter.Invalid{What: "request", Why: why(refused), Reported: p.report}
	if p.report {
		p.counts.requestReported.Inc()
		return nil
	}
	p.counts.requestInvalid.Inc()
	return refused
}

// why tells operators.
func why(e *filter.Error) string {
	if len(e.Violations) > 0 {
		return list(e.Violations)
	}
	return e.Error()
}

// invalid makes the error of a request that is not as it should be.
func invalid(l *openapi.List) *filter.Error {
	e := filter.Reject(filter.RequestInvalid, detail(l, "The request"))
	e.Violations = l.Found
	return e.Because(errors.New(list(l.Found)))
}

func detail(l *openapi.List, what string) string {
	switch {
	case l.More:
		return fmt.Sprintf("%s is not as the API says, in more than %d places.", what, len(l.Found))
	case len(l.Found) == 1:
		return what + " is not as the API says, in one place."
	}
	return fmt.Sprintf("%s is not as the API says, in %d places.", what, len(l.Found))
}

// list writes violations in a line, not too many.
func list(all []filter.Violation) string {
	var b strings.Builder
	for i, v := range all {
		if i == 5 {
			fmt.Fprintf(&b, "; and %d more", len(all)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(v.String())
	}
	return b.String()
}

// explain says what would become of a request, as far as that can be said without its body.
func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	operation, values, err := p.find(ex)
	if err != nil {
		if p.passUnknown {
			return filter.Verdict{Action: filter.Passes, Note: "not checked: " + filter.AsError(err).Cause.Error()}
		}
		return p.wouldRefuse(filter.AsError(err).Error())
	}
	l := openapi.List{Most: p.maxErrors}
	p.checkParameters(ex, operation, values, &l)
	if len(l.Found) > 0 {
		return p.wouldRefuse(string(filter.RequestInvalid) + ": " + list(l.Found))
	}
	note := "bodies are checked"
	checks := p.request != nil
	if operation != nil {
		note, checks = operation.Name()+": the parameters are right", operation.Checks()
	}
	switch {
	case !checks:
		return filter.Verdict{Action: filter.Passes, Note: strings.TrimPrefix(note+"; no body is checked", "bodies are checked; ")}
	case ex.Request.Method == http.MethodGet || ex.Request.Method == http.MethodHead:
		return filter.Verdict{Action: filter.Passes, Note: note}
	}
	return filter.Verdict{Action: filter.Unknown, Note: note + "; the body is checked when it comes, up to " + config.Size(p.max).String()}
}

func (p *policy) wouldRefuse(why string) filter.Verdict {
	if p.report {
		return filter.Verdict{Action: filter.Passes, Note: "only reported: " + why}
	}
	return filter.Verdict{Action: filter.Rejects, Note: why}
}
