package jq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/itchyny/gojq"
)

// Bounds are what one run of a program may do. Zero means the default.
type Bounds struct {
	Steps   int64 // instructions of jq's machine, 5 million by default
	Outputs int   // 1,000 by default
	Size    int64 // bytes of all the outputs together as JSON, and of any text on the way, 10 MiB by default
	Work    int64 // bytes of all that is put together on the way, by `+` and the like, 512 MiB by default
}

func (b Bounds) orDefault() Bounds {
	if b.Steps <= 0 {
		b.Steps = 5_000_000
	}
	if b.Outputs <= 0 {
		b.Outputs = 1000
	}
	if b.Size <= 0 {
		b.Size = 10 << 20
	}
	if b.Work <= 0 {
		b.Work = 512 << 20
	}
	return b
}

// Program is a compiled program. Many may run it at once.
type Program struct {
	machine *machine
	bounds  Bounds
}

// machine holds what a source is compiled to.
type machine struct {
	source    string
	variables []string
	code      atomic.Pointer[compiled]
}

type compiled struct {
	code *gojq.Code
	seen *patterns
}

// Compile compiles a program that may use variables, whose names begin with "$". What is wrong with it is an *Error.
func Compile(source string, variables ...string) (*Program, error) {
	m := &machine{source: source, variables: slices.Concat([]string{meterName}, variables)}
	c, err := m.compile()
	if err != nil {
		return nil, err
	}
	m.code.Store(c)
	return &Program{machine: m, bounds: Bounds{}.orDefault()}, nil
}

func (m *machine) compile() (*compiled, error) {
	query, err := gojq.Parse(m.source)
	if err != nil {
		return nil, syntaxError(m.source, err)
	}
	if i := strings.Index(m.source, "_cardea"); i >= 0 {
		return nil, place(m.source, i, `names with "_cardea" in them are taken`)
	}
	if len(query.Imports) > 0 {
		return nil, &Error{Reason: "programs cannot import or include modules"}
	}
	if err := guard(query); err != nil {
		return nil, compileError(m.source, err)
	}
	opts, err := options()
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, append(opts, gojq.WithVariables(m.variables))...)
	if err != nil {
		return nil, compileError(m.source, err)
	}
	return &compiled{code, &patterns{seen: map[string]bool{}}}, nil
}

// current returns what to run.
func (m *machine) current() (*compiled, error) {
	c := m.code.Load()
	if !c.seen.tooMany() {
		return c, nil
	}
	fresh, err := m.compile()
	if err != nil {
		return nil, err
	}
	m.code.Store(fresh)
	return fresh, nil
}

// Within returns the program with other bounds.
func (p *Program) Within(b Bounds) *Program {
	return &Program{machine: p.machine, bounds: b.orDefault()}
}

// Run returns all outputs for an input, which the program does not change. The values are those of the variables, in their order. When
// the context ends, the error is the context's; all others are a *RunError.
func (p *Program) Run(ctx context.Context, input any, values ...any) ([]any, error) {
	c, err := p.machine.current()
	if err != nil {
		return nil, err
	}
	m := &meter{size: p.bounds.Size, left: p.bounds.Work, seen: c.seen}
	for _, v := range slices.Concat([]any{input}, values) {
		if err := m.numbers(v); err != nil {
			return nil, &RunError{Exceeded: true, Reason: err.Error()}
		}
	}
	counted := &steps{Context: ctx, left: p.bounds.Steps}
	r := run{ctx: ctx, steps: counted, meter: m, bounds: p.bounds, left: p.bounds.Size}
	r.iter = c.code.RunWithContext(counted, input, slices.Concat([]any{m}, values)...)
	for {
		more, err := r.next()
		if err != nil {
			return nil, err
		}
		if !more {
			return r.outputs, nil
		}
	}
}

// run is one run of a program.
type run struct {
	ctx     context.Context
	steps   *steps
	meter   *meter
	iter    gojq.Iter
	bounds  Bounds
	left    int64
	outputs []any
}

// next takes one output.
func (r *run) next() (bool, error) {
	v, ok := r.iter.Next()
	if r.meter.err != nil {
		return false, &RunError{Exceeded: true, Reason: r.meter.err.Error()}
	}
	if !ok {
		return false, nil
	}
	if err, ok := v.(error); ok {
		return false, runError(r.ctx, r.steps, err)
	}
	if len(r.outputs) == r.bounds.Outputs {
		return false, &RunError{Exceeded: true, Reason: fmt.Sprintf("the program has more than %d outputs", r.bounds.Outputs)}
	}
	if r.left -= size(v, r.left, 0); r.left < 0 {
		return false, &RunError{Exceeded: true, Reason: fmt.Sprintf("the outputs are longer than %d bytes", r.bounds.Size)}
	}
	r.outputs = append(r.outputs, finite(v))
	return true, nil
}

// steps is a context that ends after a number of looks at it. The machine looks before every instruction.
type steps struct {
	context.Context
	left int64
}

// errSteps ends a run that went on for too long.
var errSteps = errors.New("too many steps")

// ended is a channel that is closed.
var ended = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Done is closed when the steps are used up or the context has ended.
func (s *steps) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		return ended
	}
	return s.Context.Done()
}

// Err says why a run ended.
func (s *steps) Err() error {
	if s.left < 0 {
		return errSteps
	}
	return s.Context.Err()
}
