package filter

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// Error is the one error of the request path: why the gateway itself answers.
type Error struct {
	Code   Code        // stable, for machines
	Detail string      // one sentence that the client may see; empty: the code's own
	Cause  error       // for operators only
	Header http.Header // fields for the answer, such as Retry-After; may be nil
	Status int         // overrides the code's status; 0: the code's

	// Violations are what is wrong with the request, one by one, where the error has such. The client may see them.
	Violations []Violation
}

// Violation is one way in which a request, or the answer to it, is not as it should be. It quotes no values.
type Violation struct {
	In        string `json:"in"`                  // path, query, header, cookie, body
	Parameter string `json:"parameter,omitempty"` // the name, of all but bodies
	Pointer   string `json:"pointer"`             // a JSON pointer (RFC 6901) to the part of the value; "": the whole
	Reason    string `json:"reason"`
}

// String tells people.
func (v Violation) String() string {
	s := v.In
	if v.Parameter != "" {
		s += " " + v.Parameter
	}
	if v.Pointer != "" {
		s += " " + v.Pointer
	}
	return s + ": " + v.Reason
}

// Reject returns an Error with a code. Detail is a format of what the client may see; "" leaves the code's own.
func Reject(code Code, detail string, args ...any) *Error {
	if len(args) > 0 {
		detail = fmt.Sprintf(detail, args...)
	}
	return &Error{Code: code, Detail: detail}
}

// Because adds a cause, which operators see and clients do not.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// With adds a field to the answer.
func (e *Error) With(name, value string) *Error {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Add(name, value)
	return e
}

// Error tells operators what happened.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Public is what the client may see.
func (e *Error) Public() string {
	if e.Detail != "" {
		return e.Detail
	}
	return e.Code.Info().Detail
}

// HTTPStatus is the status of the answer.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.Info().Status
}

// Info returns what follows from the error: what follows from its code, or, for a code of a policy's own, from its status.
func (e *Error) Info() CodeInfo {
	info := e.Code.Info()
	if info.known || e.Status == 0 {
		return info
	}
	info.Status, info.Title = e.Status, http.StatusText(e.Status)
	if e.Status < http.StatusInternalServerError {
		info.Source, info.Level = FromClient, slog.LevelInfo
	}
	return info
}

// AsError makes an *Error of any error: itself where it is one, else an internal error with it as the cause.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: InternalError, Cause: err}
}
