package openapi

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"cardea.dev/cardea/internal/schema"
)

// Options say how a document is compiled.
type Options struct {
	Formats      bool // formats are checked
	Strip        bool // properties that are not for a direction pass
	SkipPatterns bool // patterns that RE2 does not know are not checked
}

// Document is an OpenAPI document. It is safe for use by several goroutines.
type Document struct {
	Version string // as it is written: "3.0.3"
	Title   string
	Servers []string // URLs, as they are written

	files      *schema.Files
	root       schema.Location
	requests   *schema.Set
	responses  *schema.Set
	operations []*Operation // by path and method
	ids        map[string]*Operation
	names      map[string]*Operation // by method and path: as they are, and in lower case
	paths      tree
	bases      map[string]bool // of the operations' servers
	longest    int             // of the bases
	mu         sync.Mutex      // of compiling
	shapes     map[shaped]*shape
}

// Load reads a document, which is named as schema.Open names it. Its operations are compiled once they are asked for.
func Load(dir, name string, o Options) (*Document, error) {
	files, name, err := schema.Open(dir, name)
	if err != nil {
		return nil, err
	}
	return Open(files, name, o)
}

// Open is Load for a document among files.
func Open(files *schema.Files, name string, o Options) (*Document, error) {
	d := &Document{
		files: files, root: schema.Location{File: name}, shapes: map[shaped]*shape{},
		ids: map[string]*Operation{}, names: map[string]*Operation{}, bases: map[string]bool{},
	}
	doc, err := files.Load(name)
	if err != nil {
		return nil, err
	}
	top, ok := doc.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: expected an OpenAPI document, which is an object", name)
	}
	dialect, err := d.version(top)
	if err != nil {
		return nil, err
	}
	set := func(to schema.Direction) *schema.Set {
		return schema.NewSet(files, schema.Options{Dialect: dialect, Direction: to, Formats: o.Formats, Strip: o.Strip, SkipPatterns: o.SkipPatterns})
	}
	d.requests, d.responses = set(schema.Request), set(schema.Response)
	d.Title = text(object(top, "info"), "title")
	d.Servers = serverURLs(top)
	return d, d.readPaths(top)
}

// version says which version of OpenAPI a document is of.
func (d *Document) version(top map[string]any) (schema.Dialect, error) {
	d.Version = fmt.Sprint(top["openapi"])
	switch {
	case strings.HasPrefix(d.Version, "3.0"):
		return schema.OpenAPI30, nil
	case strings.HasPrefix(d.Version, "3.1"):
		return schema.OpenAPI31, nil
	case top["swagger"] != nil:
		return 0, fmt.Errorf("%s is of Swagger %v; expected OpenAPI 3.0 or 3.1 (converters to 3.0 are around)", d.root.File, top["swagger"])
	case top["openapi"] == nil:
		return 0, fmt.Errorf("%s is no OpenAPI document: it has no key `openapi` with a version", d.root.File)
	}
	return 0, fmt.Errorf("%s is of OpenAPI %s; expected 3.0 or 3.1", d.root.File, d.Version)
}

// Current says whether the document's files still hold what was read.
func (d *Document) Current() bool { return d.files.Current() }

// Files are the absolute names of the files that the document is in, as far as they were asked for.
func (d *Document) Files() []string { return d.files.Names() }

// Skipped are the patterns that are not checked.
func (d *Document) Skipped() []string {
	all := append(d.requests.Skipped(), d.responses.Skipped()...)
	slices.Sort(all)
	return slices.Compact(all)
}

// Operations are all operations, by path and method.
func (d *Document) Operations() []*Operation { return d.operations }

// methods are those that a path item may have, in their usual order.
var methods = [...]string{"get", "head", "post", "put", "patch", "delete", "options", "trace"}

// readPaths reads the paths, whose operations are not compiled yet.
func (d *Document) readPaths(top map[string]any) error {
	if v, has := top["paths"]; has && v != nil {
		if _, ok := v.(map[string]any); !ok {
			return fmt.Errorf("%s: expected an object", d.root.At("paths"))
		}
	}
	paths := object(top, "paths")
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.HasPrefix(path, "x-") {
			continue
		}
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%s: the path %q does not begin with a slash", d.root.At("paths", path), path)
		}
		if err := d.readPath(top, path); err != nil {
			return err
		}
	}
	return nil
}

func (d *Document) readPath(top map[string]any, path string) error {
	at, v, err := d.files.Deref(d.root.At("paths", path))
	if err != nil {
		return err
	}
	item, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: expected an object with operations", at)
	}
	t, err := parseTemplate(path)
	if err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	for _, method := range methods {
		if _, has := item[method]; !has {
			continue
		}
		own, ok := item[method].(map[string]any)
		if !ok {
			return fmt.Errorf("%s: expected an operation, which is an object", at.At(method))
		}
		o := &Operation{
			ID: text(own, "operationId"), Method: strings.ToUpper(method), Path: path, Summary: text(own, "summary"),
			at: at.At(method), item: at, template: t, document: d,
		}
		for _, level := range []map[string]any{own, item, top} {
			if o.Servers = serverURLs(level); len(o.Servers) > 0 {
				o.bases = serverPaths(level)
				break
			}
		}
		if len(o.bases) == 0 {
			o.bases = []string{""}
		}
		_, o.HasBody = own["requestBody"]
		if err := d.add(o); err != nil {
			return err
		}
	}
	return nil
}

// add takes an operation into the document.
func (d *Document) add(o *Operation) error {
	if o.ID != "" {
		if before := d.ids[o.ID]; before != nil {
			return fmt.Errorf("%s: the operationId %q is that of %s too", o.at, o.ID, before.at)
		}
		d.ids[o.ID] = o
	}
	name := o.Method + " " + o.Path
	d.names[name] = o
	if folded := strings.ToLower(name); d.names[folded] == nil {
		d.names[folded] = o
	}
	for _, base := range o.bases {
		d.bases[base] = true
		d.longest = max(d.longest, len(base))
	}
	o.place = len(d.operations)
	d.operations = append(d.operations, o)
	d.paths.add(o)
	return nil
}

// Operation finds an operation by its operationId, or by method and path: "GET /users/{id}". The error says which is meant, perhaps.
func (d *Document) Operation(name string) (*Operation, error) {
	if o := d.ids[name]; o != nil {
		return o, nil
	}
	if o := cmp.Or(d.names[name], d.names[strings.ToLower(name)]); o != nil {
		return o, nil
	}
	return nil, &UnknownOperationError{Name: name, File: d.root.File}
}

// UnknownOperationError says that a document has no such operation.
type UnknownOperationError struct{ Name, File string }

func (e *UnknownOperationError) Error() string {
	return fmt.Sprintf("%s has no operation %q", e.File, e.Name)
}

// Names are how all operations may be called.
func (d *Document) Names() []string {
	var names []string
	for _, o := range d.operations {
		if o.ID != "" {
			names = append(names, o.ID)
		}
		names = append(names, o.Method+" "+o.Path)
	}
	return names
}

// Compile compiles operations, all where none is named. The error is all that is wrong with them.
func (d *Document) Compile(only *Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if only != nil {
		return only.compile()
	}
	var wrong []string
	for _, o := range d.operations {
		if err := o.compile(); err != nil && !slices.Contains(wrong, err.Error()) {
			wrong = append(wrong, err.Error())
		}
	}
	switch {
	case len(wrong) > 10:
		return fmt.Errorf("%s\nand %d more", strings.Join(wrong[:10], "\n"), len(wrong)-10)
	case len(wrong) > 0:
		return fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return nil
}

// Found is what a request asks for by a document.
type Found struct {
	Operation *Operation // nil: none
	Values    []string   // of the path's parameters, as they came
	Allow     []string   // where the path is known and the method is not: those that are
}

// Find finds the operation of a method and an escaped path. Bases are what the path has before the document's own; nil: those of the servers.
func (d *Document) Find(method, path string, bases []string) Found {
	f := finder{method: method, any: bases != nil}
	if bases != nil {
		for _, base := range bases {
			if rest, ok := strings.CutPrefix(path, base+"/"); ok {
				f.find(&d.paths, rest)
			}
		}
		return f.found()
	}
	for i := 0; i < len(path) && i <= d.longest; i++ {
		if path[i] == '/' && d.bases[path[:i]] {
			f.base = path[:i]
			f.find(&d.paths, path[i+1:])
		}
	}
	return f.found()
}

// member is the object that is the value of a key of an object at a place, or nil where there is none.
func member(at schema.Location, o map[string]any, key string) (map[string]any, error) {
	v, ok := o[key].(map[string]any)
	if o[key] != nil && !ok {
		return nil, fmt.Errorf("%s: expected an object", at.At(key))
	}
	return v, nil
}

// object is an object in an object, or nil.
func object(o map[string]any, key string) map[string]any {
	v, _ := o[key].(map[string]any)
	return v
}

// text is a text in an object, or "".
func text(o map[string]any, key string) string {
	s, _ := o[key].(string)
	return s
}
