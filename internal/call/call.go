// Package call makes requests to upstreams that a route asks for by itself: its method, upstream and path are written as in "GET users/users/{user}", with
// values of the request, and of what was answered before, in braces. It is for targets that make one answer of several; what they do with the answers is
// theirs.
package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/pathtemplate"
)

// Config is a call as it is written. The short form is Call.
type Config struct {
	// Call is the method, the upstream, and the path with its query: "GET users/users/{user}?full=1". Without a method it is GET. In braces stand
	// parameters of the route's path ("user"), parts of earlier answers ("profile.segment"), variables ("jwt.sub"), and CEL expressions; they are escaped
	// for the place where they stand, and the call fails where one that the path needs is missing.
	Call string `yaml:"call,short,required"`

	// Headers are fields of the request, by name; values are templates. An empty value takes a field away. By default those that Forward takes.
	Headers map[string]string `yaml:"headers"`

	// Forward are the fields of the client's request that go along, as far as policies have left them; "*" is all. Those about its body, conditions, and
	// ranges never do, and neither does what the client accepts. By default "*"; an empty list takes none.
	Forward []string `yaml:"forward"`

	// Body is the body of the request. It is sent as JSON, in which texts are templates; one that is nothing but a value in braces keeps its type:
	// `{user: "{profile.id}", items: "{body.items}"}`. By default there is none.
	Body config.Node `yaml:"body"`

	// ContentType is the type of Body, where that is a text rather than JSON, as in "application/xml". In forms, XML and HTML, values are escaped as texts; in
	// other types they stand as they are. By default "application/json".
	ContentType string `yaml:"content_type"`

	// When is a CEL condition: without it, or where it cannot be said, the call is not made. It sees earlier answers by their names: `profile.active`.
	When string `yaml:"when"`

	// Timeout is how long the call may take, retries included, until its answer is there, or a long one begins to be passed on. By default there is no
	// limit but that of the whole, and those of the upstream.
	Timeout config.Duration `yaml:"timeout" min:"1ms"`

	// Status are the statuses of answers that are of use; with others the call has failed. By default 2xx.
	Status []config.StatusRange `yaml:"status"`
}

// Default forwards all fields.
func (c *Config) Default() { c.Forward = []string{"*"} }

// Call is a call, ready to be made. It is immutable.
type Call struct {
	Method   string
	Upstream filter.Upstream
	Text     string // as it was written, without the method
	// Operation is that of the upstream's OpenAPI document, by its id or its method and path; "" where it is not known.
	Operation string
	Refers    []string // names of earlier answers that it needs, in the order of Scope.Names

	path, query pathtemplate.Pieces
	asks        bool // it has a query, perhaps an empty one
	forward     []string
	all         bool // fields are forwarded
	headers     []field
	body        value // nil: none
	text        filter.Template
	contentType string
	when        filter.Condition // nil: always
	condition   string           // when, as it is written
	timeout     time.Duration
	status      []config.StatusRange
}

// field is a field that is set. An empty template takes it away.
type field struct {
	name  string
	value filter.Template // nil: it is taken away
}

// Scope is what calls can refer to.
type Scope struct {
	Env   *filter.Env // its expressions know Names
	Names []string    // of earlier answers

	// Note, where it is set, is called for each expression that is compiled, with what it looks at. A variable that is no CEL, such as "header.x-tenant", has
	// no names.
	Note func(source string, names []string)
}

// New readies a call. Its errors are placed at the fields of Config.
func New(s Scope, c *Config) (*Call, error) {
	n := &Call{timeout: c.Timeout.Std(), status: accepted(c), contentType: c.ContentType}
	r := reader{scope: s}
	err := errors.Join(placed("call", n.readLine(&r, c.Call)), n.readFields(&r, c), placed("body", n.readBody(&r, c)), placed("when", n.readWhen(&r, c)), n.check(&r, c))
	if err != nil {
		return nil, err
	}
	for _, name := range s.Names {
		if r.refers[name] {
			n.Refers = append(n.Refers, name)
		}
	}
	return n, nil
}

// readLine reads method, upstream and path of a call.
func (n *Call) readLine(r *reader, line string) error {
	method, name, path, err := readLine(line)
	if err != nil {
		return err
	}
	n.Method, n.Text = method, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), method+" "))
	if n.Upstream, err = r.scope.Env.Upstream(name); err != nil {
		return fmt.Errorf("%w (a call is written as GET upstream/path)", err)
	}
	n.path, n.query, n.asks, err = pathtemplate.New(r.scope.Env, path, r.own)
	return err
}

// readWhen reads when the call is made.
func (n *Call) readWhen(r *reader, c *Config) (err error) {
	if c.When == "" {
		return nil
	}
	if n.when, err = r.scope.Env.Expr.Condition(c.When); err != nil {
		return err
	}
	r.note(c.When)
	n.condition = c.When
	return nil
}

// placed puts an error, if there is one, at a field.
func placed(field string, err error) error {
	if err == nil {
		return nil
	}
	return config.FieldErrorf(field, "%w", err)
}

// readLine takes a line apart.
func readLine(line string) (method, name, path string, err error) {
	method, text := http.MethodGet, strings.TrimSpace(line)
	if first, rest, found := strings.Cut(text, " "); found && !strings.ContainsAny(first, "/{") {
		method, text = first, strings.TrimSpace(rest)
	}
	if method != strings.ToUpper(method) || !httpguts.ValidHeaderFieldName(method) {
		return "", "", "", fmt.Errorf("%q is no method; a call is written as GET upstream/path", method)
	}
	if method == http.MethodConnect || method == http.MethodTrace {
		return "", "", "", fmt.Errorf("%s cannot be called", method)
	}
	name, path = text, "/"
	if end := strings.IndexAny(text, "/?"); end >= 0 {
		name, path = text[:end], text[end:]
	}
	if path[0] == '?' {
		path = "/" + path
	}
	if strings.Contains(name, "{") {
		return "", "", "", fmt.Errorf("the upstream must be a name, and is %q; a call is written as GET upstream/path", name)
	}
	return method, name, path, nil
}

// readFields reads which fields requests have.
func (n *Call) readFields(r *reader, c *Config) error {
	for i, name := range c.Forward {
		switch {
		case name == "*":
			n.all = true
		case !httpguts.ValidHeaderFieldName(name):
			return config.FieldErrorf(fmt.Sprintf("forward[%d]", i), "%q cannot be the name of a field", name)
		default:
			n.forward = append(n.forward, http.CanonicalHeaderKey(name))
		}
	}
	for name, source := range c.Headers {
		where := fmt.Sprintf("headers[%q]", name)
		if !httpguts.ValidHeaderFieldName(name) {
			return config.FieldErrorf(where, "%q cannot be the name of a field", name)
		}
		canonical := http.CanonicalHeaderKey(name)
		if IsFraming(canonical) || canonical == "Host" {
			return config.FieldErrorf(where, "%s is the gateway's own business", name)
		}
		f := field{name: canonical}
		if source != "" {
			parts, err := r.parts(source)
			if err != nil {
				return config.FieldErrorf(where, "%w", err)
			}
			f.value = parts.Template()
		}
		n.headers = append(n.headers, f)
	}
	return nil
}

// Line is the call as it was written, for logs: without its query, which may have a secret.
func (n *Call) Line() string {
	text, _, _ := strings.Cut(n.Text, "?")
	return n.Method + " " + text
}

// MayEqual says whether two calls may ask for the same: not where their paths begin otherwise, before the first value.
func (n *Call) MayEqual(o *Call) bool {
	a, b := n.path.Literal(), o.path.Literal()
	return n.Method == o.Method && n.Upstream.Name() == o.Upstream.Name() && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// Wanted says whether the call is to be made: not where that cannot be said.
func (n *Call) Wanted(ex *filter.Exchange) bool {
	holds, err := n.Holds(ex)
	return holds && err == nil
}

// Holds says whether the condition of the call holds, or why that cannot be said.
func (n *Call) Holds(ex *filter.Exchange) (bool, error) {
	if n.when == nil {
		return true, nil
	}
	return n.when(ex)
}

// Accepts says whether an answer with a status is of use.
func (n *Call) Accepts(status int) bool {
	return slices.ContainsFunc(n.status, func(r config.StatusRange) bool { return r.Has(status) })
}

// reader reads templates, and notes what they refer to.
type reader struct {
	scope  Scope
	refers map[string]bool
}

// note notes which earlier answers an expression needs.
func (r *reader) note(source string) {
	names := r.scope.Env.Expr.Names(source)
	if r.scope.Note != nil {
		r.scope.Note(source, names)
	}
	for _, name := range names {
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		if slices.Contains(r.scope.Names, name) {
			if r.refers == nil {
				r.refers = map[string]bool{}
			}
			r.refers[name] = true
		}
	}
}

// own compiles what stands in braces: a plain word is a parameter of the path, if that has it. It notes what is needed.
func (r *reader) own(source string) (filter.Value, error) {
	r.note(source)
	if isWord(source) && !slices.Contains(r.scope.Names, source) {
		v, err := r.scope.Env.Expr.Value("path." + source)
		if err == nil {
			return v, nil
		}
		if _, other := r.scope.Env.Expr.Value(source); other != nil {
			return nil, err // it says which parameters there are
		}
	}
	return nil, nil
}

// parts compiles a template.
func (r *reader) parts(source string) (filter.Parts, error) {
	return r.scope.Env.Expr.Parts(source, r.own)
}

// isWord says whether a text is a single word.
func isWord(s string) bool {
	return s != "" && strings.IndexFunc(s, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) < 0
}

// Limited is the context of a call.
type Limited struct {
	context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer // nil: there is no limit
}

// Limit returns the context of the call. It ends when the time of the call is over, or that of all together, due, for a cause of late. A zero due is none.
// End must be called once the call has ended.
func (n *Call) Limit(ctx context.Context, due time.Time, late error) *Limited {
	l := &Limited{}
	l.Context, l.cancel = context.WithCancelCause(ctx)
	left := n.timeout
	if n.timeout > 0 {
		own := filter.Reject(filter.UpstreamTimeout, "").Because(fmt.Errorf("%s took longer than %s", n.Line(), n.timeout))
		if due.IsZero() || n.timeout < time.Until(due) {
			due, late = time.Time{}, own
		}
	}
	if !due.IsZero() {
		left = max(time.Until(due), 1)
	}
	if left > 0 {
		cancel := l.cancel
		l.timer = time.AfterFunc(left, func() { cancel(late) })
	}
	return l
}

// Lift takes the limit away, for an answer that is passed on while it comes.
func (l *Limited) Lift() {
	if l.timer != nil {
		l.timer.Stop()
	}
}

// End ends the context.
func (l *Limited) End() {
	l.Lift()
	l.cancel(nil)
}
