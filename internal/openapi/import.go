package openapi

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// Import says how a configuration is written from a document.
type Import struct {
	File string // the document
	Dir  string // the folder where the configuration will be
	Mode string // of its policies: "" or "report"
}

// Write writes a configuration with a route for each operation of the document.
func (i Import) Write() (string, error) {
	dir, name := filepath.Split(i.File)
	if dir == "" {
		dir = "."
	}
	d, err := Load(dir, name, Options{Formats: true})
	if err != nil {
		return "", err
	}
	lenient := sync.OnceValues(func() (*Document, error) { return Load(dir, name, Options{Formats: true, SkipPatterns: true}) })
	w := writer{Import: i, document: d, lenient: lenient, seen: map[string]string{}, names: map[string]bool{}}
	if w.name, err = i.relative(); err != nil {
		return "", err
	}
	return w.write(), nil
}

// relative is how the configuration names the document.
func (i Import) relative() (string, error) {
	from, err := filepath.Abs(i.Dir)
	if err != nil {
		return "", fmt.Errorf("cannot find the folder of the configuration: %w", err)
	}
	to, err := filepath.Abs(i.File)
	if err != nil {
		return "", fmt.Errorf("cannot find the document: %w", err)
	}
	if below, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(below), nil
	}
	return filepath.ToSlash(to), nil
}

// writer writes a configuration.
type writer struct {
	Import
	document  *Document
	lenient   func() (*Document, error) // where patterns that RE2 does not know are left out
	name      string
	out       strings.Builder
	upstreams []upstream
	seen      map[string]string // matches, and whose they are
	names     map[string]bool   // of routes
	routes    strings.Builder
}

// upstream is a service that the servers of a document name.
type upstream struct{ name, origin, note string }

func (w *writer) write() string {
	for _, o := range w.document.Operations() {
		w.route(o)
	}
	if len(w.document.Operations()) == 0 {
		fmt.Fprintf(&w.routes, "  # The document has no operations.\n")
	}
	fmt.Fprintf(&w.out, "# Written from %s: %s (OpenAPI %s).\n", oneLine(w.name), oneLine(w.document.Title), oneLine(w.document.Version))
	fmt.Fprintf(&w.out, "# What each key means, and what else there is, is in the manual. Check it with: cardea check FILE\n\nlisten: :8080\n")
	if len(w.upstreams) > 0 {
		w.out.WriteString("\nupstreams:\n")
	}
	for _, u := range w.upstreams {
		fmt.Fprintf(&w.out, "  %s:\n    endpoints: %s%s\n    openapi: %s\n", u.name, quoted(u.origin), u.note, quoted(w.name))
	}
	if w.routes.Len() == 0 || len(w.document.Operations()) == 0 {
		return w.out.String() + "\n" + w.routes.String() + "routes: []\n"
	}
	return w.out.String() + "\nroutes:\n" + w.routes.String()
}

// route writes the route of an operation, or why there is none.
func (w *writer) route(o *Operation) {
	to, base := w.target(o)
	path, err := matchPath(base + o.Path)
	if err == nil && strings.Contains(o.Name(), "${") {
		err = fmt.Errorf("its name has ${, which configurations take for a variable")
	}
	if err != nil {
		fmt.Fprintf(&w.routes, "  # left out: %s %s: %s\n\n", o.Method, oneLine(o.Path), oneLine(err.Error()))
		return
	}
	key := o.Method + " " + anonymous(path)
	if before, twice := w.seen[key]; twice {
		fmt.Fprintf(&w.routes, "  # left out: %s %s matches the same as %s\n\n", o.Method, oneLine(o.Path), oneLine(before))
		return
	}
	w.seen[key] = o.Method + " " + o.Path
	if s := oneLine(o.Summary); s != "" {
		fmt.Fprintf(&w.routes, "  # %s\n", s)
	}
	if strings.HasPrefix(path, "~") {
		fmt.Fprintf(&w.routes, "  - match: {method: %s, path: %s}\n", o.Method, quoted(path))
	} else {
		fmt.Fprintf(&w.routes, "  - match: %s\n", quoted(o.Method+" "+path))
	}
	if o.ID != "" && !w.names[o.ID] {
		w.names[o.ID] = true
		fmt.Fprintf(&w.routes, "    name: %s\n", quoted(o.ID))
	}
	fmt.Fprintf(&w.routes, "    to: %s\n%s\n", to, w.validate(o))
}

// validate writes the policy of an operation, or why it has none.
func (w *writer) validate(o *Operation) string {
	more := ""
	if w.Mode != "" {
		more = ", mode: " + w.Mode
	}
	if err := w.document.Compile(o); err != nil {
		if err := w.compileLenient(o); err != nil {
			return fmt.Sprintf("    # not validated: %s\n", oneLine(err.Error()))
		}
		more += ", patterns: skip"
	}
	return fmt.Sprintf("    validate: {openapi: %s, operation: %s%s}\n", quoted(w.name), quoted(o.Name()), more)
}

// compileLenient compiles an operation without the patterns that RE2 does not know.
func (w *writer) compileLenient(o *Operation) error {
	d, err := w.lenient()
	if err != nil {
		return err
	}
	same, err := d.Operation(o.Method + " " + o.Path)
	if err != nil {
		return err
	}
	return d.Compile(same)
}

// target is the upstream of an operation, and the path that its first server has.
func (w *writer) target(o *Operation) (name, base string) {
	origin, note := "http://localhost:9000", " # the document names no host: put the service's address here"
	if len(o.Servers) > 0 {
		if u, err := url.Parse(o.Servers[0]); err == nil {
			base = strings.TrimSuffix("/"+strings.Trim(u.EscapedPath(), "/."), "/")
			if (u.Scheme == "http" || u.Scheme == "https") && usable(u) {
				origin, note = u.Scheme+"://"+u.Host, ""
			}
		}
		if strings.ContainsAny(base, "{}$") {
			base = ""
		}
	}
	for _, known := range w.upstreams {
		if known.origin == origin {
			return known.name, base
		}
	}
	name = "api"
	if len(w.upstreams) > 0 {
		name = fmt.Sprintf("api-%d", len(w.upstreams)+1)
	}
	w.upstreams = append(w.upstreams, upstream{name, origin, note})
	return name, base
}

// host is what may be the host of an upstream.
var host = regexp.MustCompile(`^([A-Za-z0-9._-]+|[0-9A-Fa-f:.]+)$`)

// usable says whether a URL has a host, and a port if any, that an upstream may have.
func usable(u *url.URL) bool {
	port, err := strconv.Atoi(u.Port())
	return host.MatchString(u.Hostname()) && (u.Port() == "" || err == nil && port > 0 && port < 1<<16)
}

// paramName is a name that a parameter of a route may have.
var (
	paramName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	notInParam = regexp.MustCompile(`[^A-Za-z0-9_-]`)
	braces     = regexp.MustCompile(`\{[^}]*\}`)
)

// matchPath writes a path template as a route's path.
func matchPath(path string) (string, error) {
	switch {
	case strings.ContainsAny(path, "?#"):
		return "", fmt.Errorf("the path has a query or a fragment")
	case strings.Contains(path, "${"):
		return "", fmt.Errorf("the path has ${, which configurations take for a variable")
	case strings.ContainsFunc(unescapedPath(path), unicode.IsControl):
		return "", fmt.Errorf("the path has a control character")
	case strings.Contains(path, "//"):
		return "", fmt.Errorf("the path has an empty segment")
	}
	t, err := parseTemplate(path)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(t.segments, complicated) {
		return expression(t), nil
	}
	var b strings.Builder
	used := map[string]bool{}
	for _, pieces := range t.segments {
		b.WriteByte('/')
		for _, p := range pieces {
			if !p.param {
				b.WriteString(escapedText(p.text))
				continue
			}
			name := p.text
			if !paramName.MatchString(name) {
				name = "p" + notInParam.ReplaceAllString(name, "_")
			}
			for used[name] {
				name += "_"
			}
			used[name] = true
			b.WriteString("{" + name + "}")
		}
	}
	return b.String(), nil
}

// complicated says whether a segment cannot be written in a route's path but as a regular expression.
func complicated(pieces []piece) bool {
	parameters := 0
	for _, p := range pieces {
		if p.param {
			parameters++
		} else if strings.ContainsAny(p.text, "*}~") || p.text == "." || p.text == ".." {
			return true
		}
	}
	return parameters > 1
}

// expression writes a template as a regular expression.
func expression(t *template) string {
	var b strings.Builder
	b.WriteString("~^")
	for _, pieces := range t.segments {
		b.WriteByte('/')
		for _, p := range pieces {
			if p.param {
				b.WriteString("[^/]+")
			} else {
				b.WriteString(regexp.QuoteMeta(escapedText(p.text)))
			}
		}
	}
	return b.String() + "$"
}

// escapedText writes a text as it stands in the path of a request.
func escapedText(s string) string {
	return (&url.URL{Path: unescapedPath(s)}).EscapedPath()
}

// anonymous is a path without the names of its parameters.
func anonymous(path string) string {
	return braces.ReplaceAllString(path, "{}")
}

// plain are texts that YAML takes for themselves.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9 _./-]*$`)

// quoted writes a text in YAML.
func quoted(s string) string {
	if plain.MatchString(s) && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, strings.ToLower(s)) && !strings.HasSuffix(s, " ") {
		return s
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text: it cannot fail
	return strings.TrimSpace(b.String())
}

// oneLine makes a text fit for a comment.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == ' ' }), " ")
	if len(s) > 160 {
		s = strings.ToValidUTF8(s[:160], "") + "…"
	}
	return s
}
