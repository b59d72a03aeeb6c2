package lang

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// expander replaces `${…}` in scalars.
type expander struct {
	env      func(string) (string, bool)
	readFile func(string) ([]byte, error)
	dir      string
}

var (
	// variableName is what a variable may be called.
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// referencePattern is a text that is one `${…}` without a default and nothing else.
	referencePattern = regexp.MustCompile(`^\$\{(?:file:[^{}]+|[A-Za-z_][A-Za-z0-9_]*)\}$`)
)

// wholeReference reports whether a text is a reference and holds no secret itself.
func wholeReference(s string) bool { return referencePattern.MatchString(s) }

// expand fills in a scalar's expanded text, its pieces and what is wrong with them.
func (x *expander) expand(v *value) {
	v.expanded = v.text
	if !strings.Contains(v.text, "${") {
		return
	}
	var b strings.Builder
	rest := v.text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' { // $${ stands for ${
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		b.WriteString(rest[:i])
		inner, after, ok := strings.Cut(rest[i+2:], "}")
		if !ok {
			v.bad = interpolationError(v, "`${` has no closing `}`", "write `$${` for a literal `${`")
			return
		}
		text, problem, hint := x.lookup(inner)
		if problem != "" {
			v.bad = interpolationError(v, problem, hint)
			return
		}
		v.pieces = append(v.pieces, piece{written: "${" + inner + "}", text: text})
		b.WriteString(text)
		rest = after
	}
	b.WriteString(rest)
	v.expanded = b.String()
}

// interpolationError is an error at a scalar whose path is not known yet.
func interpolationError(v *value, message, hint string) *Error {
	e := &Error{Message: message, Hint: hint}
	e.place(v.at)
	return e
}

// lookup finds the text for what stands between `${` and `}`.
func (x *expander) lookup(inner string) (text, problem, hint string) {
	if file, ok := strings.CutPrefix(inner, "file:"); ok {
		return x.file(file)
	}
	name, fallback, hasFallback := strings.Cut(inner, ":-")
	if !variableName.MatchString(name) {
		return "", fmt.Sprintf("`${%s}` names no variable", inner), "write `${NAME}`, `${NAME:-default}` or `${file:/path}`; `$${` is a literal `${`"
	}
	if text, ok := x.env(name); ok && (text != "" || !hasFallback) {
		return text, "", ""
	}
	if hasFallback {
		return fallback, "", ""
	}
	return "", fmt.Sprintf("the environment variable %s is not set", name), fmt.Sprintf("set it, or give a default: ${%s:-…}", name)
}

// file reads a file that a scalar names.
func (x *expander) file(name string) (text, problem, hint string) {
	if name == "" {
		return "", "`${file:}` names no file", ""
	}
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(x.dir, path)
	}
	data, err := x.readFile(path)
	if err != nil {
		return "", fmt.Sprintf("cannot read the file %s: %s", name, reason(err)), ""
	}
	if len(data) > maxSecretFile {
		return "", fmt.Sprintf("the file %s is larger than %dMiB", name, maxSecretFile>>20), ""
	}
	text = strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), "", ""
}

// maxSecretFile bounds what `${file:…}` reads.
const maxSecretFile = 1 << 20

// scrub takes secrets out of a message about this node: texts that came from variables and files become their references again, what
// was decoded into a Secret and the passwords of URLs become "***".
func (n Node) scrub(message string) string {
	if n.v == nil {
		return maskURL(message)
	}
	pieces := n.v.hidden(nil)
	slices.SortStableFunc(pieces, func(a, b piece) int { return len(b.text) - len(a.text) })
	for _, p := range pieces {
		message = replaceText(message, p)
	}
	return maskURL(message)
}

// hidden collects what must not be shown in a value and below it, with what is shown instead.
func (v *value) hidden(pieces []piece) []piece {
	switch {
	case v.kind == NodeScalar && len(v.pieces) == 0 && v.isSecret():
		pieces = append(pieces, piece{written: secretMask, text: v.text})
	case len(v.pieces) > 0:
		pieces = append(pieces, piece{written: v.text, text: v.expanded})
		pieces = append(pieces, v.pieces...)
	}
	for _, e := range v.entries {
		pieces = e.value.hidden(pieces)
	}
	for _, item := range v.items {
		pieces = item.hidden(pieces)
	}
	return pieces
}

// replaceText replaces a piece's text in a message: anywhere when it is long, else where it stands as a word of its own.
func replaceText(message string, p piece) string {
	if p.text == "" || p.text == p.written {
		return message
	}
	quoted := strings.Trim(fmt.Sprintf("%q", p.text), `"`)
	if len(p.text) >= 4 {
		return strings.ReplaceAll(strings.ReplaceAll(message, p.text, p.written), quoted, p.written)
	}
	word, err := regexp.Compile(`(^|[^A-Za-z0-9])` + regexp.QuoteMeta(p.text) + `($|[^A-Za-z0-9])`)
	if err != nil {
		return message
	}
	return word.ReplaceAllString(message, "${1}"+strings.ReplaceAll(p.written, "$", "$$")+"${2}")
}
