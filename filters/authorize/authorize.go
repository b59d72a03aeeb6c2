package authorize

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// AllowKind is the kind of the policy `allow`.
func AllowKind() filter.Kind {
	return filter.Define("allow", filter.Authorize, func(env *filter.Env, c *Allow) (*filter.Filter, error) {
		p, err := newPolicy(env, &c.Rule, c.Any, c.Message)
		if err != nil {
			return nil, err
		}
		if p.neverHolds() {
			return nil, errors.New("nothing on this route says who calls, so that no condition can ever hold: add an authentication policy, such as jwt or api_key, or write `allow: off`")
		}
		return &filter.Filter{Request: p.allow, Explain: p.explainAllow}, nil
	})
}

// DenyKind is the kind of the policy `deny`.
func DenyKind() filter.Kind {
	return filter.Define("deny", filter.Authorize, func(env *filter.Env, c *Deny) (*filter.Filter, error) {
		p, err := newPolicy(env, &c.Rule, c.Any, c.Message)
		if err != nil {
			return nil, err
		}
		return &filter.Filter{Request: p.deny, Explain: p.explainDeny}, nil
	})
}

// policy is either policy as it runs.
type policy struct {
	all            rule   // must hold
	any            []rule // one of them must hold, if there are any
	message        string
	asksWho        bool // some condition is on the caller
	authentication *filter.Authentication
}

func newPolicy(env *filter.Env, all *Rule, more []Rule, message string) (*policy, error) {
	p := &policy{message: message, authentication: env.Authentication()}
	var errs []error
	var err error
	p.all, err = newRule(env, all)
	errs = append(errs, err)
	p.asksWho = p.all.asksWho
	for i := range more {
		r, err := newRule(env, &more[i])
		errs = append(errs, err)
		p.any = append(p.any, r)
		p.asksWho = p.asksWho || r.asksWho
	}
	return p, errors.Join(errs...)
}

// neverHolds says whether the conditions ask who calls, in any case, on a route where nothing finds that out.
func (p *policy) neverHolds() bool {
	if p.authentication.Members() > 0 {
		return false
	}
	indifferent := func(r rule) bool { return !r.asksWho }
	return p.all.asksWho || len(p.any) > 0 && !slices.ContainsFunc(p.any, indifferent)
}

// test says what the conditions come to, and by which of the alternatives.
func (p *policy) test(ex *filter.Exchange) (best result, by *rule, err error) {
	best, err = p.all.test(ex)
	if len(p.any) == 0 || best == fails {
		return best, &p.all, err
	}
	outer, outerErr := best, err
	best, by, err = fails, nil, nil
	for i := range p.any {
		got, why := p.any[i].test(ex)
		if got > best {
			best, by, err = got, &p.any[i], why
		}
		if got == holds {
			break
		}
	}
	if outer < best {
		return outer, &p.all, outerErr
	}
	return best, by, err
}

// allow is the request phase of `allow`.
func (p *policy) allow(ex *filter.Exchange) error {
	got, by, _ := p.test(ex)
	if got == holds {
		return nil
	}
	return p.refuse(ex, got, by, p.whyNot(ex))
}

// deny is the request phase of `deny`. What cannot be said is taken to hold.
func (p *policy) deny(ex *filter.Exchange) error {
	got, _, err := p.test(ex)
	if got != holds && got != unsure {
		return nil
	}
	return p.refuse(ex, fails, nil, p.why(ex, err))
}

// refuse is the answer to one who may not pass.
func (p *policy) refuse(ex *filter.Exchange, got result, by *rule, reason string) error {
	why := errors.New(reason)
	switch {
	case p.asksWho && !p.authentication.Knows(ex):
		return p.authentication.Require(ex, why)
	case got == lacksScope:
		scopes := strings.Join(p.wantedScopes(by), " ")
		return filter.Reject(filter.InsufficientScope, p.message).Because(why).
			With("Www-Authenticate", fmt.Sprintf(`Bearer error="insufficient_scope", scope="%s"`, scopes))
	}
	return &filter.Error{Code: filter.AccessDenied, Detail: p.message, Cause: why}
}

// wantedScopes are the scopes that all the keys and a rule ask for.
func (p *policy) wantedScopes(by *rule) []string {
	if by == nil || by == &p.all {
		return p.all.scopes
	}
	wanted := append([]string(nil), p.all.scopes...)
	for _, s := range by.scopes {
		if !contains(wanted, s) {
			wanted = append(wanted, s)
		}
	}
	return wanted
}

// whyNot tells operators why the conditions do not hold.
func (p *policy) whyNot(ex *filter.Exchange) string {
	if got, _ := p.all.test(ex); got != holds || len(p.any) == 0 {
		return p.all.reason(ex)
	}
	reasons := make([]string, len(p.any))
	for i := range p.any {
		reasons[i] = p.any[i].reason(ex)
	}
	text := strings.Join(reasons, "; ")
	if len(reasons) > 1 {
		text = "none of the conditions holds: " + text
	}
	return text
}

// why tells operators why the conditions hold, or are taken to.
func (p *policy) why(ex *filter.Exchange, err error) string {
	_, by, _ := p.test(ex)
	if err != nil {
		return "it cannot be said whether the condition holds: " + by.failure(err)
	}
	text := p.all.reason(ex)
	if by != nil && by != &p.all {
		if text != "" {
			text += ", and "
		}
		text += by.reason(ex)
	}
	return text
}

// unsaid is the verdict where it cannot be said who calls.
func unsaid() filter.Verdict {
	return filter.Verdict{Action: filter.Unknown, Note: "it depends on who calls, which cannot be said without running it"}
}

func (p *policy) explainAllow(ex *filter.Exchange) filter.Verdict {
	if p.asksWho && p.authentication.Unsaid(ex) {
		return unsaid()
	}
	if err := p.allow(ex); err != nil {
		return refusal(err)
	}
	return filter.Verdict{Action: filter.Passes, Note: p.why(ex, nil)}
}

func (p *policy) explainDeny(ex *filter.Exchange) filter.Verdict {
	if p.asksWho && p.authentication.Unsaid(ex) {
		return unsaid()
	}
	if err := p.deny(ex); err != nil {
		return refusal(err)
	}
	return filter.Verdict{Action: filter.Passes, Note: p.whyNot(ex)}
}

// refusal tells operators why a request is refused.
func refusal(err error) filter.Verdict {
	e := filter.AsError(err)
	note := string(e.Code)
	if e.Cause != nil {
		note += ": " + e.Cause.Error()
	}
	return filter.Verdict{Action: filter.Rejects, Note: note}
}
