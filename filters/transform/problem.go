package transform

import (
	"errors"
	"fmt"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/convert"
	"cardea.dev/cardea/internal/convert/xml/soap"
	"cardea.dev/cardea/internal/document"
	"cardea.dev/cardea/internal/jq"
)

// problemKind says what is wrong with a body.
type problemKind int

// The kinds of problems.
const (
	unfit     problemKind = iota // it is not what it should be, or cannot become it
	wrongType                    // its media type, charset or content coding is none that is taken
	tooLarge
)

// problem says why a body cannot be transformed.
type problem struct {
	kind   problemKind
	reason string
	cause  error // nil: the reason says all
	shown  bool  // the cause, or the reason where there is none, speaks of the body as the client sent it
}

// Error says why.
func (p *problem) Error() string {
	if p.cause != nil {
		return p.reason + ": " + p.cause.Error()
	}
	return p.reason
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

// told is what the client is told of its body; "": nothing.
func (p *problem) told() string {
	switch {
	case !p.shown:
		return ""
	case p.cause == nil:
		return p.reason
	}
	return p.cause.Error()
}

func tooLong(max int64) *problem {
	return &problem{kind: tooLarge, reason: "the body is held in memory, up to `max_body`", cause: fmt.Errorf("it is longer than %s", config.Size(max)), shown: true}
}

// problemOf makes a problem of what a step says. What reading the body failed with is none: it is returned as it is.
func problemOf(step string, err error, first bool) error {
	if err == nil {
		return nil
	}
	p := &problem{reason: step, cause: err, shown: first}
	var ours *problem
	var doc *document.Error
	var conv *convert.Error
	var run *jq.RunError
	var fault *soap.Fault
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.As(err, &fault):
		return err
	case errors.As(err, &doc):
		if doc.Kind == document.TooLarge {
			p.kind, p.reason = tooLarge, step+", since no more of it than `max_body` is held"
		}
	case errors.As(err, &conv):
		switch conv.Kind {
		case convert.TooLarge:
			p.kind = tooLarge
		case convert.Unsupported:
			p.kind = wrongType
		}
	case errors.As(err, &run):
		p.shown = false
	default:
		return err
	}
	return p
}

// ofRequest is the answer to a request whose body cannot be transformed.
func ofRequest(err error) error {
	var p *problem
	var fault *soap.Fault
	switch {
	case errors.As(err, &fault):
		return filter.Reject(filter.BodyInvalid, "%s", fault.Reason).Because(err)
	case !errors.As(err, &p):
		return asRead(err, filter.ClientClosed) // the engine knows whether it was rather late
	}
	e := filter.Reject([...]filter.Code{unfit: filter.BodyInvalid, wrongType: filter.MediaTypeUnsupported, tooLarge: filter.BodyTooLarge}[p.kind], "")
	if told := p.told(); told != "" {
		e.Detail = "The body of the request cannot be used: " + told + "."
	}
	return e.Because(err)
}

// ofResponse is the answer where the upstream's cannot be transformed.
func ofResponse(err error) error {
	if p := (*problem)(nil); !errors.As(err, &p) {
		return asRead(err, filter.TransformFailed)
	}
	return filter.Reject(filter.TransformFailed, "").Because(err)
}

// asRead is what a body could not be read for.
func asRead(err error, code filter.Code) error {
	if e := (*filter.Error)(nil); errors.As(err, &e) {
		return e
	}
	return filter.Reject(code, "").Because(fmt.Errorf("cannot read the body: %w", err))
}
