package cedar

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("cedar", filter.Authorize, build) }

// policy is the policy as it runs.
type policy struct {
	set                         *set
	principal, action, resource entity
	context                     []attribute
	message                     string
	authentication              *filter.Authentication
}

// entity makes an entity's name of a request.
type entity struct {
	typ types.EntityType
	id  filter.Template
}

// attribute is a text of the context.
type attribute struct {
	name  types.String
	value filter.Value
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	p := &policy{message: c.Message, authentication: env.Authentication()}
	var errs []error
	take := func(field, text string) entity {
		e, err := newEntity(env, text)
		if err != nil {
			errs = append(errs, config.FieldErrorf(field, "%w", err))
		}
		return e
	}
	p.principal, p.action, p.resource = take("principal", c.Principal), take("action", c.Action), take("resource", c.Resource)
	for _, name := range slices.Sorted(maps.Keys(c.Context)) {
		value, err := env.Expr.Value(c.Context[name])
		if err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("context[%q]", name), "%w", err))
		}
		p.context = append(p.context, attribute{types.String(name), value})
	}
	var err error
	p.set, err = load(env, c)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return &filter.Filter{Request: p.request, Explain: p.explain}, nil
}

func newEntity(env *filter.Env, text string) (entity, error) {
	typ, template, err := splitEntity(text)
	if err != nil {
		return entity{}, err
	}
	id, err := env.Expr.Template(template)
	return entity{types.EntityType(typ), id}, err
}

// name is the entity's name for a request.
func (e *entity) name(ex *filter.Exchange) types.EntityUID {
	return types.NewEntityUID(e.typ, types.String(e.id(ex)))
}

// ask asks the policies. What it asked is the question.
func (p *policy) ask(ex *filter.Exchange) (question cedar.Request, decision cedar.Decision, why cedar.Diagnostic) {
	question = cedar.Request{Principal: p.principal.name(ex), Action: p.action.name(ex), Resource: p.resource.name(ex), Context: p.contextOf(ex)}
	who := ex.Identity
	if who == nil || question.Principal.ID == "" {
		question.Principal, who = types.NewEntityUID("Anonymous", ""), nil
	}
	known := entities{set: p.set, question: &question, ex: ex, principal: p.set.principals.find(question.Principal, who, p.set.entities)}
	decision, why = cedar.Authorize(p.set, &known, question)
	for i := range why.Errors {
		if p.set.forbids(why.Errors[i].PolicyID) {
			decision = cedar.Deny // Cedar leaves it out; here, what cannot be said never lets a request pass
		}
	}
	return question, decision, why
}

// forbids says whether a policy is one of forbid.
func (s *set) forbids(id cedar.PolicyID) bool {
	return slices.ContainsFunc(s.policies, func(n named) bool { return n.id == id && n.policy.Effect() == cedar.Forbid })
}

// contextOf makes the context of a request.
func (p *policy) contextOf(ex *filter.Exchange) types.Record {
	if !p.set.context {
		return types.Record{}
	}
	record := make(types.RecordMap, 5+len(p.context))
	if ex.Client.IsValid() {
		record["address"] = address(ex.Client)
	}
	record["time"] = types.NewDatetime(ex.Start)
	record["method"], record["host"], record["path"] = types.String(ex.Original.Method), types.String(ex.Original.Host), types.String(ex.Original.Path)
	for _, a := range p.context {
		if value, ok := a.value(ex); ok {
			record[a.name] = types.String(value)
		}
	}
	return types.NewRecord(record)
}

func (p *policy) request(ex *filter.Exchange) error {
	question, decision, why := p.ask(ex)
	if decision == cedar.Allow {
		return nil
	}
	reason := errors.New(p.reason(question, decision, why))
	if !p.authentication.Knows(ex) && p.authentication.Members() > 0 {
		return p.authentication.Require(ex, reason)
	}
	return &filter.Error{Code: filter.AccessDenied, Detail: p.message, Cause: reason}
}

func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	if p.authentication.Unsaid(ex) {
		return filter.Verdict{Action: filter.Unknown, Note: "it depends on who calls, which cannot be said without running it"}
	}
	if err := p.request(ex); err != nil {
		e := filter.AsError(err)
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("%s: %v", e.Code, e.Cause)}
	}
	question, decision, why := p.ask(ex)
	return filter.Verdict{Action: filter.Passes, Note: p.reason(question, decision, why)}
}

// reason tells operators what was asked and which policies decided.
func (p *policy) reason(question cedar.Request, decision cedar.Decision, why cedar.Diagnostic) string {
	text := fmt.Sprintf("%s, %s, %s: ", question.Principal, question.Action, question.Resource)
	ids := make([]string, len(why.Reasons))
	forbidden := false
	for i, r := range why.Reasons {
		ids[i] = string(r.PolicyID)
		forbidden = forbidden || p.set.forbids(r.PolicyID)
	}
	switch {
	case forbidden:
		text += "forbidden by " + strings.Join(ids, ", ")
	case decision == cedar.Allow:
		text += "permitted by " + strings.Join(ids, ", ")
	case len(ids) > 0:
		text += "permitted by " + strings.Join(ids, ", ") + ", but a policy of forbid could not be evaluated"
	default:
		text += "no policy permits it"
	}
	for _, e := range why.Errors {
		text += fmt.Sprintf("; %s could not be evaluated: %s", e.PolicyID, e.Message)
	}
	return text
}
