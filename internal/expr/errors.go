package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"cardea.dev/cardea/config"
)

// Error says what is wrong with an expression or template, and where in it.
type Error struct {
	Source  string // as it was written
	Offset  int    // of what is wrong, in bytes
	Width   int    // of what is wrong, in bytes
	Message string // what is wrong
	Hint    string // what would be right; may be empty
}

// Error returns what is wrong and what would be right, and then the line of the source with a mark below what is wrong.
func (e *Error) Error() string {
	text := e.Message
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	line, column, width := e.line()
	if strings.TrimSpace(line) == "" {
		return text
	}
	return fmt.Sprintf("%s\n      | %s\n      | %s%s", text, line, strings.Repeat(" ", column), strings.Repeat("^", width))
}

// line returns the line in which something is wrong, and where in it, in characters.
func (e *Error) line() (line string, column, width int) {
	offset := min(max(e.Offset, 0), len(e.Source))
	begin := strings.LastIndexByte(e.Source[:offset], '\n') + 1
	end := len(e.Source)
	if i := strings.IndexByte(e.Source[offset:], '\n'); i >= 0 {
		end = offset + i
	}
	wrong := e.Source[offset:min(end, offset+max(e.Width, 0))]
	column, width = utf8.RuneCountInString(e.Source[begin:offset]), max(1, utf8.RuneCountInString(wrong))
	return cutLine(e.Source[begin:end], column, width)
}

// cutLine cuts a line to what can be read, and makes each of its characters visible.
func cutLine(line string, column, width int) (string, int, int) {
	const most = 100
	runes := []rune(strings.Map(visible, line))
	if len(runes) <= most {
		return string(runes), column, width
	}
	start := max(0, min(column-most/3, len(runes)-most))
	end := min(len(runes), start+most)
	text := string(runes[start:end])
	column -= start
	if start > 0 {
		text, column = "…"+text, column+1
	}
	if end < len(runes) {
		text += "…"
	}
	return text, column, min(width, end-start)
}

// visible replaces what would disturb a terminal.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r == utf8.RuneError, !unicode.IsPrint(r):
		return '\uFFFD'
	}
	return r
}

// within places an error about a piece of a template in the template.
func within(source string, p piece, err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	moved := *e
	moved.Source, moved.Offset = source, p.offset+e.Offset
	if moved.Hint == "" && (p.text[0] == '"' || p.text[0] == '\'') {
		moved.Hint = "write {{ and }} for braces that stand for themselves"
	}
	return &moved
}

// wholeError is an error about a source as a whole.
func wholeError(source, message, hint string) error {
	trimmed := strings.TrimSpace(source)
	return &Error{Source: source, Offset: strings.Index(source, trimmed), Width: len(trimmed), Message: message, Hint: hint}
}

// offsetOf returns where in a source CEL's line and column are.
func offsetOf(source string, line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		i := strings.IndexByte(source[offset:], '\n')
		if i < 0 {
			break
		}
		offset += i + 1
	}
	for ; column > 0 && offset < len(source); column-- {
		_, n := utf8.DecodeRuneInString(source[offset:])
		offset += n
	}
	return offset
}

// syntaxError makes an error of what the parser found first. What follows it is mostly its consequence.
func syntaxError(source string, issues *cel.Issues) error {
	errs := issues.Errors()
	if len(errs) == 0 {
		return wholeError(source, issues.Err().Error(), "")
	}
	offset := offsetOf(source, errs[0].Location.Line(), errs[0].Location.Column())
	message, _, _ := strings.Cut(strings.TrimPrefix(errs[0].Message, "Syntax error: "), " expecting ")
	if strings.Contains(message, "<EOF>") {
		end := len(strings.TrimRight(source, " \t\r\n"))
		return &Error{Source: source, Offset: end, Width: 1, Message: "the expression ends too early"}
	}
	if what, ok := unexpected(message); ok {
		message = what + " cannot stand here"
		if c := what[1:2]; c == `"` || c == "'" {
			message = "this text has no end"
		}
	}
	return &Error{Source: source, Offset: offset, Width: len(wordAt(source, offset)), Message: message, Hint: syntaxHint(source, offset)}
}

// unexpected returns, in quotes, what the parser did not expect.
func unexpected(message string) (string, bool) {
	for _, prefix := range []string{"token recognition error at: ", "extraneous input ", "mismatched input ", "no viable alternative at input "} {
		if rest, ok := strings.CutPrefix(message, prefix); ok && len(rest) > 2 && rest[0] == '\'' {
			return "'" + strings.TrimSpace(strings.Trim(rest, "'")) + "'", true
		}
	}
	return "", false
}

// syntaxHint says what was probably meant where the syntax is wrong.
func syntaxHint(source string, offset int) string {
	switch strings.ToLower(wordAt(source, offset)) {
	case "and":
		return "write && for and"
	case "or":
		return "write || for or"
	case "=":
		return "write == to compare"
	}
	if before := strings.Fields(source[:offset]); len(before) > 0 && strings.EqualFold(before[len(before)-1], "not") {
		return "write ! for not"
	}
	return ""
}

// wordAt returns the word that begins at an offset, or else the character there.
func wordAt(source string, offset int) string {
	if offset >= len(source) {
		return ""
	}
	end := offset
	for end < len(source) && isWord(source[end]) {
		end++
	}
	if end == offset {
		_, n := utf8.DecodeRuneInString(source[offset:])
		end += n
	}
	return source[offset:end]
}

// typeError makes an error of what the checker found first; a name that is not known goes before what follows from it.
func (e *Expressions) typeError(source string, parsed *ast.AST, issues *cel.Issues) error {
	errs := issues.Errors()
	if len(errs) == 0 {
		return wholeError(source, issues.Err().Error(), "")
	}
	for _, issue := range errs {
		if name, offset, ok := unknownName(source, parsed, issue.ExprID, issue.Message); ok {
			return e.nameError(source, offset, name)
		}
	}
	offset := offsetOf(source, errs[0].Location.Line(), errs[0].Location.Column())
	wrong := &Error{Source: source, Offset: offset, Width: len(wordAt(source, offset)), Message: errs[0].Message}
	if rest, ok := strings.CutPrefix(wrong.Message, "undeclared reference to "); ok {
		name, _, _ := strings.Cut(rest, " (in container")
		wrong.Message = "there is no function " + name
	}
	if rest, ok := strings.CutPrefix(wrong.Message, "found no matching overload for "); ok {
		wrong.Message, wrong.Hint = mismatch(source, rest)
	}
	return wrong
}

// mismatch says that an operator or function does not go with what it is given.
func mismatch(source, rest string) (message, hint string) {
	function, given, _ := strings.Cut(rest, " applied to ")
	function, given = strings.Trim(function, "'"), strings.Trim(given, "'")
	if operator := strings.Trim(function, "_"); operator != "" && !isWord(operator[0]) {
		function = operator // CEL calls them _==_ and !_
	}
	if strings.HasPrefix(strings.TrimPrefix(given, "("), "map(string, string)") && strings.Contains(source, "path") {
		hint = "in an expression, path holds the parameters of the path, and request.path is the path"
	}
	return fmt.Sprintf("%q does not go with %s", function, given), hint
}

// unknownName finds the whole name, "request.methd", that an error of the checker is about, and where it begins.
func unknownName(source string, parsed *ast.AST, id int64, message string) (name string, offset int, ok bool) {
	undeclared := strings.HasPrefix(message, "undeclared reference to '")
	if !undeclared && !strings.Contains(message, "does not support field selection") && !strings.HasPrefix(message, "undefined field") {
		return "", 0, false
	}
	found := ast.MatchDescendants(ast.NavigateAST(parsed), func(e ast.NavigableExpr) bool { return e.ID() == id })
	if len(found) == 0 {
		return "", 0, false
	}
	e := found[0]
	for parent, has := e.Parent(); undeclared && has && parent.Kind() == ast.SelectKind; parent, has = e.Parent() {
		e = parent
	}
	name, root, ok := dotted(e)
	if !ok {
		return "", 0, false
	}
	location := parsed.SourceInfo().GetStartLocation(root.ID())
	return name, offsetOf(source, location.Line(), location.Column()), true
}

// dotted returns the name that a chain of selections is, and its first part.
func dotted(e ast.Expr) (name string, root ast.Expr, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		return e.AsIdent(), e, true
	case ast.SelectKind:
		s := e.AsSelect()
		name, root, ok = dotted(s.Operand())
		return name + "." + s.FieldName(), root, ok
	}
	return "", nil, false
}

// nameError says that an expression does not know a name, and which it knows.
func (e *Expressions) nameError(source string, offset int, name string) error {
	if hyphened, begin, hint := hyphenHint(source, offset); hint != "" {
		return &Error{Source: source, Offset: begin, Width: len(hyphened), Message: fmt.Sprintf("%q is a subtraction here", hyphened), Hint: hint}
	}
	var known, siblings []string
	namespace, _, _ := strings.Cut(name, ".")
	for _, n := range e.names() {
		known = append(known, n.name)
		if strings.HasPrefix(n.name, namespace+".") {
			siblings = append(siblings, n.name)
		}
	}
	if len(siblings) > 0 {
		known = siblings
	}
	return &Error{Source: source, Offset: offset, Width: len(name), Message: fmt.Sprintf("unknown name %q", name), Hint: suggestion(name, known)}
}

// hyphenHint finds a name with a hyphen around an offset, such as header.x-user, which CEL reads as a subtraction.
func hyphenHint(source string, offset int) (name string, begin int, hint string) {
	inName := func(c byte) bool { return isWord(c) || c == '.' || c == '-' }
	begin, end := offset, offset
	for begin > 0 && inName(source[begin-1]) {
		begin--
	}
	for end < len(source) && inName(source[end]) {
		end++
	}
	name = source[begin:end]
	for _, family := range []string{"response.header", "identity.tags", "header", "query", "cookie", "path", "jwt"} {
		if rest, ok := strings.CutPrefix(name, family+"."); ok && isName(rest, "-") && strings.Contains(rest, "-") {
			return name, begin, fmt.Sprintf("write %s[%q]", family, rest)
		}
	}
	return "", 0, ""
}

// suggestion names the nearest of what is known, or else all of it.
func suggestion(name string, known []string) string {
	near := config.Suggest(name, known)
	root, rest, _ := strings.Cut(name, ".")
	if rest != "" && !strings.Contains(near, ".") {
		var roots []string
		for _, k := range known {
			k, _, _ = strings.Cut(k, ".")
			roots = append(roots, k)
		}
		if near = config.Suggest(root, roots); near != "" {
			near += "." + rest
		}
	}
	if near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known are: " + strings.Join(known, ", ")
}

// unknownVariable returns an error when a source looks like a variable and there is none of that name.
func (e *Expressions) unknownVariable(source, name string) error {
	if !isName(name, "-.") || name[0] >= '0' && name[0] <= '9' {
		return nil
	}
	root, rest, _ := strings.Cut(name, ".")
	switch root {
	case "true", "false", "null":
		return nil
	case "header", "query", "cookie":
		if rest == "" {
			return wholeError(source, fmt.Sprintf("%q needs a name", root), "as in "+root+".x")
		}
		return nil
	}
	for _, n := range e.names() {
		if known, _, _ := strings.Cut(n.name, "."); known == root {
			return nil
		}
	}
	var names []string
	for _, v := range Variables() {
		names = append(names, v.Name)
	}
	names = slices.AppendSeq(names, maps.Keys(e.more))
	return wholeError(source, fmt.Sprintf("unknown variable %q", name), suggestion(name, names))
}

// typeName is how a type is called in a message.
func typeName(t *cel.Type) string {
	switch t.Kind() {
	case cel.StringKind:
		return "a text"
	case cel.IntKind, cel.UintKind, cel.DoubleKind:
		return "a number"
	case cel.ListKind:
		return "a list"
	case cel.MapKind:
		return "an object"
	case cel.TimestampKind:
		return "a time"
	case cel.DurationKind:
		return "a duration"
	case cel.NullTypeKind:
		return "nothing"
	}
	return "of type " + t.String()
}
