package filter

import (
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/observe"
)

// Env is what a policy or target is built with: the route it is for, and what the gateway lends it.
type Env struct {
	Route   *Route
	Scope   string       // where the policy is written: "" at the root, else the name of the route; routes that inherit it share it
	Dir     string       // of the configuration file that the route is in; relative file names start there
	Log     *slog.Logger // for operations, not for requests
	Metrics *observe.Metrics
	Expr    Expressions
	Keeper  Keeper

	// Offline says that the policy is only looked at, as by `cardea check`: it opens nothing that a gateway which runs may hold.
	Offline bool

	// Upstream returns the upstream with a name, or an error that says which there are.
	Upstream func(name string) (Upstream, error)

	// OpenAPI returns the name of the file with the OpenAPI document of an upstream, relative to Dir, or "", and whether what is not as it says is an error. It
	// may be nil, as where nothing is known.
	OpenAPI func(upstream string) (file string, binding bool)

	// Answer is what is known of the JSON that the route's target answers with one of these statuses; nil: nothing. It may itself be nil; policies call
	// Answers.
	Answer func(statuses []config.StatusRange) Shape

	// Taken is what is known of the JSON that the route's target takes as the body of requests; nil: nothing. It may itself be nil; policies call Takes.
	Taken func() Shape

	// Store is the URL of the Redis or Valkey that gateways share, or "". Policies with a store of their own in their settings use that one.
	Store config.Secret

	// Cache returns the settings of the cache with a name, or an error that says which there are.
	Cache func(name string) (config.Cache, error)

	// Consumers are the callers that the gateway knows. It is never nil.
	Consumers Consumers

	// Again sends an exchange to the route's target once more. It is for the Response phase of policies that can mend what an answer
	// says is wrong, such as credentials. Who calls it sees to it that the request can be repeated, and closes the answer before. It is
	// nil where there is no target.
	Again func(ex *Exchange) (*http.Response, error)

	// Rest sends an exchange of the policy's own (Exchange.Detach) through the policies that come after it, and to the route's target, and
	// returns the answer as it comes back to the policy. It is for policies that answer several exchanges with one answer, or ask for one
	// in nobody's name, and may be called from a goroutine of theirs, in any phase, until Close has returned. Exchange.Err says why the
	// answer is an error, as in a Response phase; where the gateway itself would answer, there is an error instead. Finish runs the
	// Finish phases, and must be called once the body is closed, also after an error. Rest is nil where there is no target.
	Rest func(ex *Exchange) (resp *http.Response, finish func(), err error)

	// Mend is Rest for an exchange that has failed before it came to the policies after: those of them that mend, and what encodes for them, may have an
	// answer to it all the same, and nothing else is asked. The exchange may be the policy's own or a client's.
	Mend func(ex *Exchange, failed error) (resp *http.Response, finish func(), err error)

	// Reroute is Rest with serve in the place of the target, and of the policies that come after the policy only those of the stage transform: the
	// request is made ready as it is for the target, without what is only the target's, such as credentials of the gateway's.
	Reroute func(ex *Exchange, serve func(ex *Exchange) (*http.Response, error)) (resp *http.Response, finish func(), err error)

	// Watch takes note of a file that is read only when the configuration is loaded, by its absolute name: once it changes, the configuration is loaded
	// anew. It is nil where nobody watches; policies call Reads.
	Watch func(file string)

	slots          int
	diverted       bool
	authentication *Authentication
}

// Reads says that the policy or target reads files when it is built, and only then: a change of one has the configuration loaded anew, also where the build
// fails for it. The names are those that the configuration has: relative ones start at Dir, and "" is none.
func (env *Env) Reads(files ...string) {
	if env.Watch == nil {
		return
	}
	for _, name := range files {
		switch {
		case name == "":
		case filepath.IsAbs(name):
			env.Watch(name)
		default:
			env.Watch(filepath.Join(env.Dir, name))
		}
	}
}

// Diverts says that the policy may have the route's requests sent by another method or path than they came by, or to another service. Then the policies after
// it know nothing of the answers beforehand. Policies of a custom build need not say so: where there is one, nothing is known.
func (env *Env) Diverts() { env.diverted = true }

// Answers is what is known beforehand of the JSON that comes back to the policy in answers with one of these statuses; nil: nothing. It is for policies of the
// stages transform and dispatch: those before them see what these have made of it.
func (env *Env) Answers(statuses []config.StatusRange) Shape {
	if env.Answer == nil || env.diverted {
		return nil
	}
	return env.Answer(statuses)
}

// Takes is what is known beforehand of the JSON that the bodies of requests shall have when they leave the policy; nil: nothing. It is for the same policies as
// Answers.
func (env *Env) Takes() Shape {
	if env.Taken == nil || env.diverted {
		return nil
	}
	return env.Taken()
}

// Slots is how many slots were taken. The engine prepares exchanges with it.
func (env *Env) Slots() int { return env.slots }

// Upstream is a service that requests can be sent to, with its balancing, retries and breaker.
type Upstream interface {
	// Name is its name in the configuration.
	Name() string

	// Do sends a request and returns the answer's head; the body streams. It sets ex.Upstream and adds to ex.Attempts. Its errors are *Error.
	Do(ex *Exchange, req *http.Request) (*http.Response, error)
}

// Expressions compiles what users write over requests. Names that do not exist and types that do not fit are errors.
type Expressions interface {
	// Condition compiles a CEL expression that gives a boolean.
	Condition(source string) (Condition, error)

	// Value compiles a variable, such as "address", "jwt.sub", "header.x-user", "path.id", or else a CEL expression.
	Value(source string) (Value, error)

	// Template compiles a text with values in braces: "/v2/{path.id}?user={jwt.sub}". "{{" and "}}" are braces.
	Template(source string) (Template, error)

	// Parts compiles the parts of a template, for those who treat each value by itself: they escape it for its place, or
	// refuse a request without it. What stands in braces is shown to own first, without the spaces around it. Own returns nil
	// for what Value is to compile; it may itself be nil.
	Parts(source string, own func(source string) (Value, error)) (Parts, error)

	// Any compiles what Value takes; its result stays what it is, as JSON has it, rather than a text.
	Any(source string) (Lookup, error)

	// Shape is what is known of what Any gives; nil: nothing. The error is that of Any.
	Shape(source string) (Shape, error)

	// Names lists what a condition or another CEL expression looks at, each as Value takes it: "jwt.role", "identity.groups",
	// `header["x-user"]`. It is empty for one that does not compile.
	Names(condition string) []string

	// With returns expressions that know more names, each a value that a function gives for an exchange: `order.lines[0].sku` is a part of
	// what `order` is. To CEL they are of any type, and null where there is none. A name that means something already is an error.
	With(names map[string]Lookup) (Expressions, error)

	// Known returns expressions that know shapes of names of With: a member that what a name stands for cannot have is an error of what is compiled.
	Known(shapes map[string]Shape) Expressions
}

// Lookup is a value as of JSON, taken from an exchange: nil, a bool, a text, a number, []any, map[string]any. False means that there is none.
type Lookup func(ex *Exchange) (any, bool)

// Condition says whether something holds for an exchange. An error means that it cannot be said; what that means is the
// policy's to decide, on the safe side.
type Condition func(ex *Exchange) (bool, error)

// Value is a text taken from an exchange. False means that there is none.
type Value func(ex *Exchange) (string, bool)

// Keeper keeps what must outlive a reload.
type Keeper interface {
	// Keep returns the value with a key, or makes it. A value that is an io.Closer is closed once no snapshot asks for it any more. One with a method Settle()
	// has that called when the gateway ends, after the limit of the drain, while exchanges may still run: it ends what must not be left half done, within
	// bounds of its own.
	Keep(key string, make func() (any, error)) (any, error)
}

// Keep returns what was kept with a key, or makes it: limiter counters, health, pools, caches. The key must say all that makes
// two of them different; its first part should be the name of the kind, as in "rate_limit:orders".
func Keep[T any](env *Env, key string, make func() (T, error)) (T, error) {
	v, err := env.Keeper.Keep(key, func() (any, error) { return make() })
	if err != nil {
		var none T
		return none, err
	}
	return v.(T), nil
}

// Once returns what was made with a key while this configuration is loaded, or makes it, also where that fails. It is for what many routes read alike,
// such as a large file; a reload makes it anew. Keys are as those of Keep.
func Once[T any](env *Env, key string, make func() (T, error)) (T, error) {
	type made struct {
		v   T
		err error
	}
	own, err := Keep(env, fmt.Sprintf("%s:%p", key, env.Keeper), func() (*made, error) { // the Keeper is that of one load
		v, err := make()
		return &made{v, err}, nil
	})
	if err != nil {
		var none T
		return none, err
	}
	return own.v, own.err
}
