package lang

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong with a configuration: what, where, and what would be right.
type Error struct {
	Pos      Pos       // where
	Path     string    // which value: "routes[2].rate_limit"
	Message  string    // what is wrong
	Expected string    // what would be right: "a duration such as 300ms"
	Hint     string    // what was probably meant: `did you mean "rate_limit"?`
	Line     string    // the line as written, with secrets masked
	Warning  bool      // it is not wrong, but probably not meant
	Related  []Related // other places that have to do with it

	at place
}

// Related is another place that an Error has to do with.
type Related struct {
	Pos     Pos    `json:"pos"`
	Message string `json:"message"`

	at place
}

// Error returns the whole message, over several lines: place, path and what is wrong; the line with a mark; what was
// expected; what was probably meant.
func (e *Error) Error() string { return renderError(e) }

// MarshalJSON renders the error for tools.
func (e *Error) MarshalJSON() ([]byte, error) {
	line, _ := e.snippet()
	return json.Marshal(struct {
		File     string    `json:"file,omitempty"`
		Line     int       `json:"line,omitempty"`
		Column   int       `json:"column,omitempty"`
		Path     string    `json:"path,omitempty"`
		Severity string    `json:"severity"`
		Message  string    `json:"message"`
		Expected string    `json:"expected,omitempty"`
		Hint     string    `json:"hint,omitempty"`
		Source   string    `json:"source,omitempty"`
		Related  []Related `json:"related,omitempty"`
	}{e.Pos.File, e.Pos.Line, e.Pos.Column, e.Path, e.severity(), e.Message, e.Expected, e.Hint, line, e.Related})
}

// severity is "error" or "warning".
func (e *Error) severity() string {
	if e.Warning {
		return "warning"
	}
	return "error"
}

// RelatedAt adds a node as another place that the error has to do with, and returns the error.
func (e *Error) RelatedAt(n Node, format string, args ...any) *Error {
	if n.v != nil {
		e.Related = append(e.Related, Related{Pos: n.Pos(), Message: fmt.Sprintf(format, args...), at: n.v.at})
	}
	return e
}

// Errors are all the things that are wrong, by file and line.
type Errors []*Error

// Error returns all messages, one after the other.
func (es Errors) Error() string {
	texts := make([]string, len(es))
	for i, e := range es {
		texts[i] = e.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives the single errors to errors.As.
func (es Errors) Unwrap() []error {
	all := make([]error, len(es))
	for i, e := range es {
		all[i] = e
	}
	return all
}

// Sorted returns the errors by place, each said once.
func (es Errors) Sorted() Errors {
	type identity struct {
		pos     Pos
		message string
	}
	seen := make(map[identity]bool, len(es))
	var out Errors
	for _, e := range es {
		id := identity{e.Pos, e.Message}
		if e.Pos == (Pos{}) {
			id.message = e.Path + "\x00" + e.Message
		}
		if !seen[id] {
			seen[id] = true
			out = append(out, e)
		}
	}
	slices.SortStableFunc(out, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return out
}

// Err returns the errors in order as one error, or nil when there are none. Warnings alone are no error.
func (es Errors) Err() error {
	if !slices.ContainsFunc(es, func(e *Error) bool { return !e.Warning }) {
		return nil
	}
	return es.Sorted()
}

// Errorf makes an error at this node.
func (n Node) Errorf(format string, args ...any) *Error {
	e := &Error{Message: fmt.Sprintf(format, args...)}
	if n.v != nil {
		e.place(n.v.at)
		e.Path = n.v.path()
		e.Message = n.scrub(e.Message)
	}
	return e
}

// place sets where the error is.
func (e *Error) place(at place) {
	e.at, e.Pos = at, at.pos()
	e.Line, _ = e.snippet()
}
