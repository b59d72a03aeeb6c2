package lang

import (
	"errors"
	"fmt"
)

// FieldError is an error about a field of a value, found by its Validate or when it was built. Node.Locate gives it
// its place.
type FieldError struct {
	Path     string // below the value: "keys[0].url"; "" for the value itself
	Err      error  // what is wrong
	Expected string // what would be right; may be empty
	Hint     string // what was probably meant; may be empty
}

// Error returns the path and what is wrong.
func (e *FieldError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

// FieldErrorf makes an error about a field of the value that is being validated or built. The path is written as in the
// configuration: "keys[0].url", `headers["x-y"]`.
func FieldErrorf(path, format string, args ...any) error {
	return &FieldError{Path: path, Err: fmt.Errorf(format, args...)}
}

// Locate gives errors that Validate or Build returned their place under this node. It takes apart errors.Join trees, keeps
// an *Error or Errors as they are, and puts anything else at the node itself. It returns nil for nil.
func (n Node) Locate(err error) Errors {
	if err == nil {
		return nil
	}
	return n.locate(err, "")
}

// locate is Locate for an error below a path.
func (n Node) locate(err error, path string) Errors {
	switch e := err.(type) {
	case *Error:
		return Errors{e}
	case Errors:
		return e
	case *FieldError:
		return n.locateField(e, path)
	case interface{ Unwrap() []error }:
		var all Errors
		for _, sub := range e.Unwrap() {
			all = append(all, n.locate(sub, path)...)
		}
		return all
	}
	if inner := positioned(err); inner != nil {
		return inner
	}
	if inner := errors.Unwrap(err); inner != nil && inner.Error() == err.Error() {
		return n.locate(inner, path) // "%w" alone: the error below knows its place
	}
	return Errors{n.errorAt(path, err.Error())}
}

// positioned finds errors that have their place already within a wrapped error.
func positioned(err error) Errors {
	var many Errors
	if errors.As(err, &many) {
		return many
	}
	var one *Error
	if errors.As(err, &one) {
		return Errors{one}
	}
	return nil
}

// locateField places an error about a field, which may itself hold several or be about a field of that field.
func (n Node) locateField(e *FieldError, path string) Errors {
	errs := n.locate(e.Err, joinPath(path, e.Path))
	for _, sub := range errs {
		if sub.Expected == "" {
			sub.Expected = e.Expected
		}
		if sub.Hint == "" {
			sub.Hint = e.Hint
		}
	}
	return errs
}

// errorAt makes an error at a path below the node, or at the nearest thing that was written.
func (n Node) errorAt(path, message string) *Error {
	at := n.At(path)
	e := at.Errorf("%s", message)
	if n.v == nil {
		e.Path = path
		return e
	}
	e.Message = n.scrub(e.Message)
	e.Path = joinPath(n.v.path(), path)
	return e
}
