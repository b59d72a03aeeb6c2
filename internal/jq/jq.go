package jq

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	code   *gojq.Code
	bounds Bounds
}

// Compile compiles a program that may use variables, whose names begin with "$". What is wrong with it is an *Error.
func Compile(source string, variables ...string) (*Program, error) {
	query, err := gojq.Parse(source)
	if err != nil {
		return nil, syntaxError(source, err)
	}
	if i := strings.Index(source, "_cardea"); i >= 0 {
		return nil, place(source, i, "names with \"_cardea\" in them are taken")
	}
	if len(query.Imports) > 0 {
		return nil, place(source, max(0, indexWord(source, query.Imports[0].String()[:7])), "programs cannot import or include modules")
	}
	if err := guard(query); err != nil {
		return nil, compileError(source, err)
	}
	opts, err := options()
	if err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, append(opts, gojq.WithVariables(append([]string{meterName}, variables...)))...)
	if err != nil {
		return nil, compileError(source, err)
	}
	return &Program{code: code, bounds: Bounds{}.orDefault()}, nil
}

// Within returns the program with other bounds.
func (p *Program) Within(b Bounds) *Program {
	return &Program{code: p.code, bounds: b.orDefault()}
}

// Run returns all outputs for an input, which the program does not change. The values are those of the variables, in their order.
func (p *Program) Run(ctx context.Context, input any, values ...any) ([]any, error) {
	counted := &steps{Context: ctx, left: p.bounds.Steps}
	m := &meter{size: p.bounds.Size, left: p.bounds.Work}
	if err := m.numbers(input); err != nil {
		return nil, &RunError{Exceeded: true, Reason: err.Error()}
	}
	iter := p.code.RunWithContext(counted, input, append([]any{m}, values...)...)
	var outputs []any
	left := p.bounds.Size
	for {
		v, ok := iter.Next()
		if m.err != nil {
			return nil, &RunError{Exceeded: true, Reason: m.err.Error()}
		}
		if !ok {
			return outputs, nil
		}
		if err, ok := v.(error); ok {
			return nil, runError(ctx, counted, err)
		}
		if len(outputs) == p.bounds.Outputs {
			return nil, &RunError{Exceeded: true, Reason: fmt.Sprintf("the program has more than %d outputs", p.bounds.Outputs)}
		}
		if left -= size(v, left, 0); left < 0 {
			return nil, &RunError{Exceeded: true, Reason: fmt.Sprintf("the outputs are longer than %d bytes", p.bounds.Size)}
		}
		outputs = append(outputs, finite(v))
	}
}

// steps is a context that ends after a number of looks at it. The machine looks before every instruction.
type steps struct {
	context.Context
	left int64
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// errSteps ends a run that went on for too long.
var errSteps = errors.New("too many steps")

// Done is closed when the steps are used up or the context has ended.
func (s *steps) Done() <-chan struct{} {
	if s.left--; s.left < 0 {
		return closed
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
