package filter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Authenticator finds out who calls, in one way. It is what a policy of the stage authenticate hands to Authentication.Join.
type Authenticator struct {
	// Authenticate returns the caller; nil and no error for a request without credentials of its kind; or an error, best an *Error, for
	// one whose credentials are not accepted.
	Authenticate func(ex *Exchange) (*Identity, error)

	// Challenge is the value of WWW-Authenticate (RFC 9110, section 11.6.1) for a caller who has shown nothing, or, with why, something
	// that is not accepted. Nil, or "": there is none, as for certificates.
	Challenge func(why *Error) string

	// Invite answers a caller who has shown nothing in another way than by a challenge: with a redirect to a login. It returns nil for
	// callers that this is not meant for. It may be nil.
	Invite func(ex *Exchange) *Error

	// Explain is Authenticate without effects and without waiting, for exchanges that are dry. It returns ErrUnsaid where it cannot know.
	// Nil: Authenticate itself is such.
	Explain func(ex *Exchange) (*Identity, error)
}

// ErrUnsaid says that a dry exchange cannot show what a real one would find.
var ErrUnsaid = errors.New("cannot be said without running it")

// Authentication is how the authentication policies of one route work together. Each of them joins it when it is built; none runs before
// all have.
//
// By default all must accept. With Any the first that accepts is enough. With Optional a caller without any credentials passes too. Whoever
// shows credentials that are not accepted is refused, unless, with Any, others are.
type Authentication struct {
	Any       bool
	Optional  bool
	Anonymous *Identity // of callers without credentials, with Optional; may be nil

	members []*member
	failed  Slot[failure]
	unsaid  Slot[bool] // in dry exchanges: who calls cannot be said
	joined  bool
}

// failure is what an earlier policy has found, where a later one decides.
type failure struct {
	by  *member
	why *Error // nil: nothing was shown
}

// member is one policy of the route.
type member struct {
	Authenticator
	of               *Authentication
	method           string
	index            int
	accepted, absent prometheus.Counter
	refused          *prometheus.CounterVec
	nothing          *failure // that it was shown nothing, ready made
	route            string
}

// Methods are the names of the policies that joined so far.
func (g *Authentication) Methods() []string {
	var methods []string
	for _, m := range g.members {
		methods = append(methods, m.method)
	}
	return methods
}

// Authentication returns how the route's authentication policies work together.
func (env *Env) Authentication() *Authentication {
	if env.authentication == nil {
		env.authentication = &Authentication{}
	}
	return env.authentication
}

// Join makes the filter of an authentication policy, which is called method. Response, Finish and Close are the policy's to add.
func (env *Env) Join(method string, a Authenticator) *Filter {
	group := env.Authentication()
	if !group.joined {
		group.joined, group.failed, group.unsaid = true, NewSlot[failure](env), NewSlot[bool](env)
	}
	results := env.Metrics.Counter("authentications_total", "What authentication policies found, by route, policy and result: accepted, absent, or the code of the refusal.", "route", "policy", "result")
	m := &member{Authenticator: a, of: group, method: method, index: len(group.members), route: env.Route.Name, refused: results}
	m.accepted = results.WithLabelValues(m.route, method, "accepted")
	m.absent = results.WithLabelValues(m.route, method, "absent")
	m.nothing = &failure{by: m}
	group.members = append(group.members, m)
	return &Filter{Request: m.request, Explain: m.explain}
}

// request is the policy's request phase.
func (m *member) request(ex *Exchange) error {
	if m.of.Any && ex.Identity != nil {
		return nil
	}
	id, err := m.Authenticate(ex)
	m.count(id, err)
	return m.decide(ex, id, err)
}

// count counts what was found.
func (m *member) count(id *Identity, err error) {
	switch {
	case err != nil:
		m.refused.WithLabelValues(m.route, m.method, string(AsError(err).Code)).Inc()
	case id == nil:
		m.absent.Inc()
	default:
		m.accepted.Inc()
	}
}

// decide goes on from what the policy has found: it passes, or refuses, or leaves that to a later policy.
func (m *member) decide(ex *Exchange, id *Identity, err error) error {
	g := m.of
	last := m.index == len(g.members)-1
	before := g.failed.Get(ex)
	switch {
	case err != nil && !g.Any:
		return m.refusal(AsError(err))
	case err != nil:
		before = worse(before, &failure{by: m, why: AsError(err)})
	case id == nil && !g.Any && !g.Optional:
		return g.unknown(ex, m)
	case id == nil:
		before = worse(before, m.nothing)
	default:
		joined, conflict := join(ex.Identity, id)
		if conflict != nil {
			return conflict
		}
		ex.Identity = joined
		if g.Any {
			return nil
		}
	}
	if !last {
		g.failed.Set(ex, before)
		return nil
	}
	return g.conclude(ex, before)
}

// conclude is what the last policy says, with what the earlier ones left.
func (g *Authentication) conclude(ex *Exchange, f *failure) error {
	switch {
	case f == nil:
		return nil // all have accepted
	case f.why != nil:
		return g.challenged(f.why)
	case ex.Identity == nil && g.Optional:
		ex.Identity = g.Anonymous
		return nil
	case ex.Identity != nil && !g.Any:
		return g.unknown(ex, f.by) // one of several was shown
	}
	return g.unknown(ex, nil)
}

// worse returns the failure that counts more: a refusal before nothing, and then the first.
func worse(a, b *failure) *failure {
	if a == nil || a.why == nil && b.why != nil {
		return b
	}
	return a
}

// unknown refuses a caller who has shown nothing: to one policy, or to any.
func (g *Authentication) unknown(ex *Exchange, to *member) *Error {
	if to == nil {
		return g.Require(ex, fmt.Errorf("the request has credentials for none of %s", strings.Join(g.methods(), ", ")))
	}
	if invitation := to.invite(ex); invitation != nil {
		return invitation
	}
	return to.refusal(Reject(CredentialsMissing, "").Because(fmt.Errorf("%s: the request has no credentials for it", to.method)))
}

// invite returns the policy's invitation, if it has one for the caller.
func (m *member) invite(ex *Exchange) *Error {
	if m.Invite == nil {
		return nil
	}
	return m.Invite(ex)
}

// Members is how many authentication policies the route has. Policies of later stages may ask when they are built.
func (g *Authentication) Members() int { return len(g.members) }

// Knows says whether the caller is known by credentials of his own: neither nobody nor Anonymous.
func (g *Authentication) Knows(ex *Exchange) bool {
	return ex.Identity != nil && ex.Identity != g.Anonymous
}

// Unsaid says of a dry exchange without an identity that a real one might have one: a policy cannot say without running it. Policies of later
// stages that ask who calls then cannot say either.
func (g *Authentication) Unsaid(ex *Exchange) bool {
	return ex.Dry && ex.Identity == nil && g.joined && g.unsaid.Get(ex) != nil
}

// Require refuses an exchange whose caller is not known where a later policy needs to know the caller, for a reason that operators see. The answer
// invites or challenges as it does for callers who have shown nothing.
func (g *Authentication) Require(ex *Exchange, reason error) *Error {
	for _, m := range g.members {
		if invitation := m.invite(ex); invitation != nil {
			return invitation
		}
	}
	return g.challenged(Reject(CredentialsMissing, "").Because(reason))
}

// challenged adds the challenges of all policies to a refusal.
func (g *Authentication) challenged(why *Error) *Error {
	for _, m := range g.members {
		why = m.refusal(why)
	}
	return why
}

// refusal adds the policy's challenge to a refusal.
func (m *member) refusal(why *Error) *Error {
	if m.Challenge == nil || why.HTTPStatus() != 401 {
		return why
	}
	shown := why
	if why.Code == CredentialsMissing {
		shown = nil
	}
	challenge := m.Challenge(shown)
	if challenge == "" || slices.Contains(why.Header["Www-Authenticate"], challenge) {
		return why
	}
	with := *why
	with.Header = maps.Clone(why.Header)
	return with.With("Www-Authenticate", challenge)
}

// methods are the names of the policies.
func (g *Authentication) methods() []string {
	names := make([]string, len(g.members))
	for i, m := range g.members {
		names[i] = m.method
	}
	return names
}

// join makes one identity of two that were both proved: names of the later one, and the groups, scopes and claims of both.
func join(a, b *Identity) (*Identity, *Error) {
	switch {
	case a == nil:
		return b, nil
	case a.Consumer != "" && b.Consumer != "" && a.Consumer != b.Consumer:
		return nil, Reject(CredentialsConflict, "").Because(fmt.Errorf("%s is of consumer %q, and %s of %q", a.Method, a.Consumer, b.Method, b.Consumer))
	}
	both := *b
	if both.Consumer == "" {
		both.Consumer, both.Tags = a.Consumer, a.Tags
	}
	both.Groups = union(a.Groups, b.Groups)
	both.Scopes = union(a.Scopes, b.Scopes)
	if len(a.Claims) > 0 {
		both.Claims = maps.Clone(a.Claims)
		maps.Copy(both.Claims, b.Claims)
	}
	return &both, nil
}

// union is what is in one list or the other.
func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// explain says what the policy would find.
func (m *member) explain(ex *Exchange) Verdict {
	if m.of.Any && ex.Identity != nil {
		return Verdict{Passes, "not asked: " + ex.Identity.Method + " has accepted the request"}
	}
	find := m.Explain
	if find == nil {
		find = m.Authenticate
	}
	id, err := find(ex)
	if errors.Is(err, ErrUnsaid) {
		m.of.unsaid.Set(ex, new(bool))
		return Verdict{Unknown, err.Error()}
	}
	if refused := m.decide(ex, id, err); refused != nil {
		if m.of.Any && m.of.unsaid.Get(ex) != nil {
			return Verdict{Unknown, reasonOf(refused) + ", unless a policy accepts it that cannot be said"}
		}
		return Verdict{Rejects, reasonOf(refused)}
	}
	switch {
	case err != nil:
		return Verdict{Passes, reasonOf(err) + "; another policy may accept the request"}
	case id == nil && ex.Identity == nil:
		return Verdict{Passes, "the request has no credentials for it"}
	case id == nil:
		return Verdict{Passes, "nobody has to be known here"}
	}
	return Verdict{Passes, "accepted: " + id.String()}
}

// reasonOf tells operators why a request is refused.
func reasonOf(err error) string {
	refused := AsError(err)
	if refused.Cause != nil {
		return string(refused.Code) + ": " + refused.Cause.Error()
	}
	return refused.Error()
}
