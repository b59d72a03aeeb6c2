package filter

import (
	"reflect"

	"cardea.dev/cardea/config"
)

// Filter is one configured policy on one route. It is immutable and shared by all exchanges. A nil field is a phase that
// the policy is not in.
type Filter struct {
	// Request runs before the target, in the order of stages. It returns nil to pass; it sets ex.Response to answer, and then
	// neither later filters nor the target run; it returns an error, best an *Error, to reject. An *Error whose cause is
	// http.ErrAbortHandler cuts the connection instead, without an answer.
	Request func(ex *Exchange) error

	// Response runs once there is a response head, also one that a filter or the gateway made, in reverse order, for the filters
	// whose Request phase was reached. It may change or replace ex.Response; it owns closing a body that it replaces. An error
	// replaces the response by that error.
	Response func(ex *Exchange) error

	// Mends says that Response may put an answer in the place of an error that the gateway itself would answer with: then Exchange.Err is nil
	// after it. Env.Rest and Env.Mend run it for such errors, too, where they run no other Response phase.
	Mends bool

	// Finish runs exactly once, after the last byte or the abort. It must not block.
	Finish func(ex *Exchange)

	// Early is the part of the policy that runs at the end of the stage guard, before it is known who calls, for kinds that are defined
	// with it (Kind.WithEarly). It is a filter of its own. A filter that has nothing else does not run in the kind's own stage.
	Early *Filter

	// Close runs after the last exchange of the snapshot that the filter belongs to.
	Close func() error

	// Explain says what Request would do, without doing it: it sends, counts and keeps nothing. It may change ex, which is dry, so
	// that later filters see what they would see. Nil means that nothing can be said without running it.
	Explain func(ex *Exchange) Verdict
}

// Verdict is what a policy would do with a request.
type Verdict struct {
	Action Action `json:"action"`
	Note   string `json:"note,omitempty"` // for operators: "10.1.2.3 is in deny 10.0.0.0/8"
}

// Action is the kind of a Verdict.
type Action string

// The actions.
const (
	Passes  Action = "pass"
	Changes Action = "change"
	Answers Action = "answer"
	Rejects Action = "reject"
	Unknown Action = "unknown" // it cannot be said without running it
)

// Stage is where in the life of a request a policy runs. Its order is fixed; no configuration can change it.
type Stage int

// The stages, in the order of their request phases. Response phases run in reverse.
const (
	Observe      Stage = iota // see everything, change nothing: access log
	Guard                     // turn away what need not be looked at: addresses, sizes, CORS preflights, deadlines
	Authenticate              // who calls
	Authorize                 // may he
	Limit                     // how much
	Validate                  // is it well formed
	Cache                     // is it known already; how is it encoded
	Transform                 // headers, paths, bodies
	Dispatch                  // the last word before the target
)

var stageNames = [...]string{"observe", "guard", "authenticate", "authorize", "limit", "validate", "cache", "transform", "dispatch"}

// String returns the stage's name.
func (s Stage) String() string { return stageNames[s] }

// Kind is a kind of policy: its name in the configuration, its stage, and how one is built.
type Kind struct {
	name   string
	stage  Stage
	config reflect.Type
	build  func(env *Env, node config.Node) (*Filter, error)
	always bool
	early  bool
}

// Define makes a Kind. C is its configuration: a struct whose fields are decoded by package config, with Default and
// Validate methods where it wants them. Build makes a filter of one that is valid; it may return config.FieldErrorf errors,
// joined ones too, which are then reported at their places.
func Define[C any](name string, stage Stage, build func(env *Env, c *C) (*Filter, error)) Kind {
	return Kind{
		name: name, stage: stage, config: reflect.TypeFor[C](),
		build: func(env *Env, node config.Node) (*Filter, error) {
			c := new(C)
			if err := node.Decode(c); err != nil {
				return nil, err
			}
			f, err := build(env, c)
			if err != nil {
				return nil, node.Locate(err)
			}
			return f, nil
		},
	}
}

// Name is the kind's key in the configuration.
func (k Kind) Name() string { return k.name }

// Stage is where the kind runs.
func (k Kind) Stage() Stage { return k.stage }

// Config is the type of the kind's configuration.
func (k Kind) Config() reflect.Type { return k.config }

// OnByDefault returns the kind as one that holds for every route, with its defaults, unless the configuration says otherwise.
func (k Kind) OnByDefault() Kind {
	k.always = true
	return k
}

// IsOnByDefault says whether the kind holds for every route unless the configuration says otherwise.
func (k Kind) IsOnByDefault() bool { return k.always }

// WithEarly returns the kind as one whose filters may have an Early part, such as limits by address.
func (k Kind) WithEarly() Kind {
	k.early = true
	return k
}

// HasEarly says whether the kind's filters may have an Early part.
func (k Kind) HasEarly() bool { return k.early }

// Build makes a filter of a configuration.
func (k Kind) Build(env *Env, node config.Node) (*Filter, error) { return k.build(env, node) }
