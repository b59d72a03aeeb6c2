package lang

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a configuration. They keep a hostile or a mistaken file from taking all memory or the whole stack.
const (
	maxFile  = 16 << 20 // bytes of a file
	maxDepth = 100      // levels of objects and lists
	maxAlias = 1 << 18  // values that aliases add
	maxNest  = 300      // levels of syntax that the parser may see
	maxKeys  = 1 << 20  // keys of all objects
)

// parseText reads a text into a tree. The tree is nil when the text is no YAML at all.
func parseText(name string, text []byte, x *expander) (*value, Errors) {
	src, err := readSource(name, text)
	if err != nil {
		return nil, Errors{err}
	}
	doc, err := parseYAML(src)
	if err != nil {
		return nil, Errors{err}
	}
	if doc == nil {
		return &value{kind: NodeMap, at: place{src: src, line: 1, column: 1}}, nil
	}
	b := &builder{src: src, x: x, anchors: map[string]ast.Node{}}
	root := b.build(doc, 0)
	return root, b.errors()
}

// readSource checks a text before it is parsed, and splits it into lines.
func readSource(name string, text []byte) (*source, *Error) {
	if len(text) > maxFile {
		src := newSource(name, "")
		return nil, src.errorf(0, 0, "the file is too large: at most %dMiB are read", maxFile>>20)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	src := newSource(name, strings.ReplaceAll(string(text), "\r\n", "\n"))
	for i, line := range src.lines {
		if e := src.checkLine(i+1, line); e != nil {
			return nil, e
		}
	}
	return src, nil
}

// checkLine finds characters that YAML does not allow.
func (s *source) checkLine(number int, line string) *Error {
	if !utf8.ValidString(line) {
		column := 1
		for len(line) > 0 {
			r, size := utf8.DecodeRuneInString(line)
			if r == utf8.RuneError && size == 1 {
				break
			}
			line, column = line[size:], column+1
		}
		return s.errorf(number, column, "the file is not UTF-8 text")
	}
	column := 0
	for _, r := range line {
		column++
		if r < ' ' && r != '\t' || r == 0x7f {
			return s.errorf(number, column, "the control character U+%04X is not allowed", r)
		}
	}
	return nil
}

// errorf makes an error at a place of the source.
func (s *source) errorf(line, column int, format string, args ...any) *Error {
	e := &Error{Message: fmt.Sprintf(format, args...)}
	if line == 0 {
		e.Pos = Pos{File: s.name}
		return e
	}
	e.place(place{src: s, line: line, column: max(1, column), width: 1})
	return e
}

// parseYAML parses a source with goccy's parser, which may panic. It returns nil for an empty document.
func parseYAML(src *source) (doc ast.Node, problem *Error) {
	defer func() {
		if r := recover(); r != nil {
			doc, problem = nil, src.errorf(0, 0, "the file cannot be read as YAML")
		}
	}()
	tokens := mendColons(lexer.Tokenize(strings.Join(src.lines, "\n")))
	if e := checkNesting(src, tokens); e != nil {
		return nil, e
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntaxError(src, err)
	}
	return onlyDocument(src, file)
}

// onlyDocument returns the one document of a file.
func onlyDocument(src *source, file *ast.File) (ast.Node, *Error) {
	var body ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if body != nil {
			t := doc.Start
			if t == nil {
				t = doc.Body.GetToken()
			}
			e := src.errorf(t.Position.Line, t.Position.Column, "a second document begins here; a configuration is one document")
			e.Hint = "remove the `---`, or split the file in two and load the directory"
			return nil, e
		}
		body = doc.Body
	}
	return body, nil
}

// checkNesting refuses texts that are nested so deeply, or have so many keys, that parsing them would exhaust the stack: the parser
// goes one call deeper for each level, and for each further key of an object.
func checkNesting(src *source, tokens token.Tokens) *Error {
	var columns []int // where levels began that end with a lesser indentation, and within brackets with the next comma
	var flow []int    // for each open bracket, how many columns there were before it
	line, keys := 0, 0
	for _, t := range tokens {
		first := t.Position.Line != line
		line = t.Position.Line
		open := len(flow)
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow = append(flow, len(columns))
		case token.CollectEntryType:
			if open > 0 {
				columns = columns[:flow[open-1]]
			}
		case token.MappingEndType, token.SequenceEndType:
			if open > 0 {
				columns, flow = columns[:flow[open-1]], flow[:open-1]
			}
		case token.MappingValueType:
			keys++
		}
		if nests(t.Type) || first && len(flow) == 0 {
			for len(flow) == 0 && len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		if len(flow)+len(columns) > maxNest {
			return src.errorf(t.Position.Line, t.Position.Column, "this is nested too deeply; at most %d levels are read", maxDepth)
		}
		if keys > maxKeys {
			return src.errorf(t.Position.Line, t.Position.Column, "the file has too many keys; at most %d are read", maxKeys)
		}
	}
	return nil
}

// nests reports whether a token of this type may open a level on the same line.
func nests(t token.Type) bool {
	switch t {
	case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.AnchorType, token.TagType, token.AliasType:
		return true
	}
	return false
}
