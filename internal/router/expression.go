package router

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// expression is a regular expression over a whole path.
type expression struct {
	source string // as written, without the ~
	re     *regexp.Regexp
	prefix string   // of the first segment that is not wholly literal: what each match has there, without slash
	names  []string // of the groups, in order
	groups []int    // their numbers
}

// parseExpression parses what comes after the ~ of a pattern.
func parseExpression(source string) (Path, error) {
	for i := range len(source) {
		if source[i] >= 0x80 {
			return Path{}, fmt.Errorf("a regular expression is matched against the escaped path: write é as %%C3%%A9")
		}
	}
	re, err := regexp.Compile(`\A(?:` + source + `)\z`)
	if err != nil {
		return Path{}, fmt.Errorf("%w", checkExpression(source, err))
	}
	e := &expression{source: source, re: re}
	for i, name := range re.SubexpNames() {
		if name != "" {
			e.names, e.groups = append(e.names, name), append(e.groups, i)
		}
	}
	p := Path{regex: e}
	p.captures = newCaptures(&p)
	prefix := literalPrefix(source)
	if prefix == "" {
		return p, nil
	}
	if prefix[0] != '/' {
		return Path{}, fmt.Errorf("it can never match: a path starts with /, the expression with %s", prefix)
	}
	parts := strings.Split(prefix[1:], "/")
	for _, part := range parts[:len(parts)-1] {
		p.segments = append(p.segments, segment{text: part, source: part})
	}
	e.prefix = parts[len(parts)-1]
	return p, nil
}

// checkExpression returns the error of the expression itself rather than of its anchored form.
func checkExpression(source string, anchored error) error {
	if _, err := regexp.Compile(source); err != nil {
		return err
	}
	return anchored
}

// literalPrefix returns the text that every match of the whole expression starts with, as far as it is plain to see.
func literalPrefix(source string) string {
	tree, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return ""
	}
	prefix, _ := leadingText(tree.Simplify())
	return prefix
}

// leadingText returns the text that tree starts with, and whether that text is all there is to it.
func leadingText(tree *syntax.Regexp) (text string, whole bool) {
	switch tree.Op {
	case syntax.OpBeginText, syntax.OpEmptyMatch:
		return "", true
	case syntax.OpLiteral:
		if tree.Flags&syntax.FoldCase != 0 {
			return "", false
		}
		return string(tree.Rune), true
	case syntax.OpCapture:
		return leadingText(tree.Sub[0])
	case syntax.OpConcat:
		for _, sub := range tree.Sub {
			more, whole := leadingText(sub)
			text += more
			if !whole {
				return text, false
			}
		}
		return text, true
	}
	return "", false
}

// fill adds the named groups of the match on path.
func (e *expression) fill(p *Params, path string) {
	at := e.re.FindStringSubmatchIndex(path)
	for i, group := range e.groups {
		value := ""
		if start := at[2*group]; start >= 0 {
			value = path[start:at[2*group+1]]
		}
		p.add(e.names[i], value)
	}
}
