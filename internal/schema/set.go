package schema

import (
	"cmp"
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
	docs     map[string]document
	parts    map[Location]*part // OpenAPI
	waiting  []Location         // parts that are referred to, and not prepared yet
	done     map[Location]*Schema
	failed   map[Location]error
	skipped  map[string]bool
	ready    map[string]bool // documents that are compiled as a whole, and whose components are
	explorer *explorer
}

// document is a document as the compiler gets it: for OpenAPI a copy, which is changed by and by.
type document struct {
	doc   any
	whole bool // its schemas are compiled as parts of it, and not each as a document of its own
}

// Schema is a compiled schema.
type Schema struct {
	compiled *jsonschema.Schema
	counted  *running // nil: its checks end soon
	At       Location
}

// NewSet returns a set without a schema.
func NewSet(files *Files, opts Options) *Set {
	s := &Set{
		files: files, opts: opts, compiler: jsonschema.NewCompiler(), docs: map[string]document{}, parts: map[Location]*part{},
		done: map[Location]*Schema{}, failed: map[Location]error{}, skipped: map[string]bool{}, ready: map[string]bool{},
		explorer: newExplorer(),
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
	if opts.Dialect == OpenAPI31 {
		files.useNames()
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
	if _, err := s.files.Lookup(at); err != nil {
		return nil, err
	}
	if s.openAPI() {
		s.prepare(at)
		s.compileWhole(at.File)
		if err := s.compileParts(at); err != nil {
			return nil, err
		}
	}
	return s.compile(at)
}

// compileWhole compiles the components of a document whose schemas are compiled as parts of it. The first time the compiler gets to know their anchors. What
// is wrong is said where it is referred to.
func (s *Set) compileWhole(name string) {
	if !s.docs[name].whole || s.ready[name] {
		return
	}
	s.ready[name] = true
	all := s.components(name)
	for _, one := range all {
		_, _ = s.compile(one)
	}
	for _, one := range all {
		_ = s.compileParts(one)
	}
}

// compile compiles one schema, and what it refers to and is not compiled yet.
func (s *Set) compile(at Location) (compiled *Schema, err error) {
	if known := s.done[at]; known != nil {
		return known, nil
	}
	defer func() {
		if p := recover(); p != nil { // the compiler takes schemas that it cannot make sense of for impossible
			err = fmt.Errorf("%s: the schema cannot be compiled: %v", at, p)
		}
	}()
	found, err := s.compiler.Compile(s.address(at))
	if err != nil {
		return nil, explain(at, err)
	}
	compiled = &Schema{compiled: found, At: at}
	if s.explorer.explore(found) {
		compiled.counted = s.explorer.counting.running
	}
	s.done[at] = compiled
	return compiled, nil
}

// compileParts compiles what a part refers to before the part itself, so that each is compiled once, whatever fails. It does not call itself: chains of
// references may be long.
func (s *Set) compileParts(at Location) error {
	type step struct {
		at   Location
		refs []Location // that are left
	}
	seen := map[Location]bool{at: true}
	steps := []step{{at, s.references(at)}}
	fail := func(err error) error {
		for _, on := range steps { // each needs what fails
			s.failed[on.at] = err
		}
		return err
	}
	for len(steps) > 0 {
		last := &steps[len(steps)-1]
		if err := cmp.Or(s.failed[last.at], s.wrong(last.at)); err != nil {
			return fail(err)
		}
		if len(last.refs) > 0 && s.done[last.at] == nil {
			next := last.refs[0]
			last.refs = last.refs[1:]
			if !seen[next] {
				seen[next] = true
				steps = append(steps, step{next, s.references(next)})
			}
			continue
		}
		if _, err := s.compile(last.at); err != nil {
			return fail(err)
		}
		steps = steps[:len(steps)-1]
	}
	return nil
}

// wrong is why a part could not be prepared.
func (s *Set) wrong(at Location) error {
	if p := s.parts[at]; p != nil {
		return p.err
	}
	return nil
}

// references are the parts that a part refers to.
func (s *Set) references(at Location) []Location {
	if p := s.parts[at]; p != nil {
		return p.refs
	}
	return nil
}

// address is the URL that the compiler has for a schema. Each schema of OpenAPI is a document of its own to it: the work that the compiler has with
// a document grows with each of the schemas that it compiles in it.
func (s *Set) address(at Location) string {
	if !s.openAPI() || at.Pointer == "" || s.docs[at.File].whole {
		return at.URL()
	}
	return (&url.URL{Scheme: "file", Path: "/" + at.File, RawQuery: url.QueryEscape(at.Pointer)}).String()
}

// loader gives documents to the compiler.
type loader struct{ set *Set }

// Load returns the document with a URL. It is called while the set is locked.
func (l loader) Load(address string) (any, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "file" || u.Host != "" {
		return nil, fmt.Errorf("%s is not in a file of the folder; nothing is read from elsewhere", address)
	}
	at := Location{File: strings.TrimPrefix(u.Path, "/")}
	if u.RawQuery == "" {
		d, err := l.set.doc(at.File)
		return d.doc, err
	}
	if at.Pointer, err = url.QueryUnescape(u.RawQuery); err == nil {
		if p := l.set.parts[at]; p != nil {
			return p.v, nil
		}
	}
	return nil, fmt.Errorf("there is no schema at %s", at)
}

// doc returns a document.
func (s *Set) doc(name string) (document, error) {
	if d, ok := s.docs[name]; ok {
		return d, nil
	}
	doc, err := s.files.Load(name)
	if err != nil {
		return document{}, err
	}
	d := document{doc: doc}
	if s.openAPI() {
		d = document{clone(doc), s.opts.Dialect == OpenAPI31 && (ownDialect(doc) || !s.files.identifiers(name).static())}
	}
	s.docs[name] = d
	return d, nil
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
