package schema

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Dialect is what a schema means where it does not say so itself.
type Dialect int

// The dialects.
const (
	Draft202012 Dialect = iota // JSON Schema 2020-12
	Draft7                     // JSON Schema draft 7
	Draft4                     // JSON Schema draft 4
	OpenAPI30                  // the schemas of OpenAPI 3.0: draft 4 with `nullable`, readOnly, writeOnly and discriminator
	OpenAPI31                  // the schemas of OpenAPI 3.1: 2020-12 with readOnly, writeOnly and discriminator
)

// Direction is which way a value goes.
type Direction int

// The directions.
const (
	Request  Direction = iota // readOnly properties are not for it
	Response                  // writeOnly properties are not for it
)

// Options say how schemas are compiled.
type Options struct {
	Dialect      Dialect
	Direction    Direction
	Formats      bool // formats are checked, also where the draft takes them for remarks
	Strip        bool // OpenAPI: values with properties that are not for their direction pass
	SkipPatterns bool // patterns that RE2 does not know are not checked; else they are errors
}

// Set are schemas of some files, compiled with the same options. It is safe for use by several goroutines.
type Set struct {
	files *Files
	opts  Options

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	docs     map[string]any // by file; OpenAPI: copies, as they are prepared for the compiler
	prepared map[Location]bool
	done     map[Location]*Schema
	skipped  map[string]bool
}

// Schema is a compiled schema.
type Schema struct {
	compiled *jsonschema.Schema
	At       Location
}

// NewSet returns a set without a schema.
func NewSet(files *Files, opts Options) *Set {
	s := &Set{
		files: files, opts: opts, compiler: jsonschema.NewCompiler(), docs: map[string]any{}, prepared: map[Location]bool{},
		done: map[Location]*Schema{}, skipped: map[string]bool{},
	}
	c := s.compiler
	c.UseLoader(loader{s})
	c.UseRegexpEngine(s.pattern)
	c.DefaultDraft(map[Dialect]*jsonschema.Draft{
		Draft202012: jsonschema.Draft2020, Draft7: jsonschema.Draft7, Draft4: jsonschema.Draft4, OpenAPI30: jsonschema.Draft4, OpenAPI31: jsonschema.Draft2020,
	}[opts.Dialect])
	if opts.Formats {
		c.AssertFormat()
	}
	for _, f := range formats(opts) {
		c.RegisterFormat(&f)
	}
	if s.openAPI() {
		c.AssertVocabs()
		c.RegisterVocabulary(vocabulary(opts))
	}
	return s
}

func (s *Set) openAPI() bool { return s.opts.Dialect >= OpenAPI30 }

// Skipped are the patterns that are not checked.
func (s *Set) Skipped() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for p := range maps.Keys(s.skipped) {
		all = append(all, p)
	}
	return all
}

// Compile compiles the schema at a place.
func (s *Set) Compile(at Location) (compiled *Schema, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.done[at]; known != nil {
		return known, nil
	}
	defer func() {
		if p := recover(); p != nil { // the compiler takes schemas that it cannot make sense of for impossible
			err = fmt.Errorf("%s: the schema cannot be compiled: %v", at, p)
		}
	}()
	if _, err := s.files.Lookup(at); err != nil {
		return nil, err
	}
	if s.openAPI() {
		if err := s.prepare(at); err != nil {
			return nil, err
		}
	}
	found, err := s.compiler.Compile(at.URL())
	if err != nil {
		return nil, explain(at, err)
	}
	compiled = &Schema{compiled: found, At: at}
	s.done[at] = compiled
	return compiled, nil
}

// loader gives documents to the compiler.
type loader struct{ set *Set }

// Load returns the document with a URL. It is called while the set is locked.
func (l loader) Load(address string) (any, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" || u.Host != "" {
		return nil, fmt.Errorf("%s is not in a file of the folder; nothing is read from elsewhere", address)
	}
	return l.set.doc(strings.TrimPrefix(u.Path, "/"))
}

// doc returns a document, for OpenAPI a copy, which may be changed.
func (s *Set) doc(name string) (any, error) {
	if doc, ok := s.docs[name]; ok {
		return doc, nil
	}
	doc, err := s.files.Load(name)
	if err != nil {
		return nil, err
	}
	if s.openAPI() {
		doc = clone(doc)
	}
	s.docs[name] = doc
	return doc, nil
}

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		own := make(map[string]any, len(v))
		for k, child := range v {
			own[k] = clone(child)
		}
		return own
	case []any:
		own := make([]any, len(v))
		for i, child := range v {
			own[i] = clone(child)
		}
		return own
	}
	return v
}

// unchecked is a pattern that every text matches.
type unchecked string

func (u unchecked) String() string        { return string(u) }
func (unchecked) MatchString(string) bool { return true }

// pattern compiles a regular expression as RE2, which takes no more than linear time on hostile texts.
func (s *Set) pattern(source string) (jsonschema.Regexp, error) {
	re, err := regexp.Compile(fromECMA(source))
	switch {
	case err == nil:
		return re, nil
	case s.opts.SkipPatterns:
		s.skipped[source] = true
		return unchecked(source), nil
	}
	return nil, fmt.Errorf("the pattern %q has what RE2 does not know: %w", source, err)
}

// fromECMA writes what ECMA-262 and RE2 write differently: \uXXXX, \/ and \cX.
func fromECMA(source string) string {
	var b strings.Builder
	for i := 0; i < len(source); i++ {
		if source[i] != '\\' || i+1 == len(source) {
			b.WriteByte(source[i])
			continue
		}
		i++
		switch c := source[i]; {
		case c == 'u' && i+4 < len(source) && isHex(source[i+1:i+5]):
			b.WriteString(`\x{` + source[i+1:i+5] + "}")
			i += 4
		case c == 'c' && i+1 < len(source) && source[i+1] >= '@':
			fmt.Fprintf(&b, `\x%02x`, source[i+1]%32)
			i++
		default:
			b.WriteString(source[i-1 : i+1])
		}
	}
	return b.String()
}

func isHex(s string) bool {
	_, err := strconv.ParseUint(s, 16, 32)
	return err == nil
}
