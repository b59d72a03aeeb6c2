package schema

import (
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// identifiers are how the schemas of one document are found otherwise than by a pointer (JSON Schema 2020-12, sections 8.2 and 9.1).
type identifiers struct {
	bases   map[string]string // by pointer, of schemas with an $id: what references in them are relative to
	dynamic map[string]bool   // what stands in a $dynamicAnchor or $dynamicRef; true: in one $dynamicAnchor and no other
	alone   bool              // it refers to no other document, and is the first one
}

// static says whether each $dynamicRef of a document leads to one place, wherever it is come from.
func (n *identifiers) static() bool {
	for _, one := range n.dynamic {
		if !one || !n.alone {
			return false
		}
	}
	return true
}

// twice stands for what a name leads to that several schemas have.
var twice = Location{Pointer: "twice"}

// identifiers returns those of a document. Its schemas are known by them from then on.
func (f *Files) identifiers(name string) *identifiers {
	doc, err := f.Load(name)
	f.naming.Lock()
	defer f.naming.Unlock()
	if known := f.named[name]; known != nil {
		return known
	}
	n := &identifiers{bases: map[string]string{}, dynamic: map[string]bool{}, alone: len(f.named) == 0}
	f.named[name] = n
	if err == nil {
		f.collect(n, Location{File: name}, doc, Location{File: name}.URL(), false)
	}
	return n
}

// collect takes in the names of a schema or another part of a document, and of those in it. Members says that its keys are names that somebody gave, and
// no keywords.
func (f *Files) collect(n *identifiers, at Location, v any, base string, members bool) {
	list, _ := v.([]any)
	for i, one := range list {
		f.collect(n, at.At(itoa(i)), one, base, false)
	}
	o, _ := v.(map[string]any)
	if !members {
		base = f.collectOwn(n, at, o, base)
	}
	for key, child := range o {
		switch {
		case members:
			f.collect(n, at.At(key), child, base, false)
		case slices.Contains(examples, key) || strings.HasPrefix(key, "x-"):
		default:
			f.collect(n, at.At(key), child, base, key == "schemas" || slices.Contains(named, key))
		}
	}
}

// examples are keywords whose values are no schemas, whatever they look like.
var examples = []string{"enum", "const", "default", "example", "examples"}

// collectOwn takes in the names that a schema has itself, and returns what its references are relative to.
func (f *Files) collectOwn(n *identifiers, at Location, o map[string]any, base string) string {
	if ref, is := o["$ref"].(string); is && !strings.HasPrefix(ref, "#") {
		n.alone = false
	}
	if id, is := o["$id"].(string); is {
		if own, err := join(base, id); err == nil {
			own.Fragment = ""
			base = own.String()
			n.bases[at.Pointer] = base
			f.name(base, at)
		}
	}
	for _, key := range []string{"$anchor", "$dynamicAnchor"} {
		if anchor, is := o[key].(string); is {
			f.name(base+"#"+anchor, at)
		}
	}
	if anchor, is := o["$dynamicAnchor"].(string); is {
		_, before := n.dynamic[anchor]
		n.dynamic[anchor] = !before
	}
	if ref, is := o["$dynamicRef"].(string); is && !strings.HasPrefix(ref, "#") {
		n.dynamic[ref] = false
	}
	return base
}

// name has a schema be known by a URI.
func (f *Files) name(uri string, at Location) {
	if before, known := f.known[uri]; known && before != at {
		at = twice
	}
	f.known[uri] = at
}

func join(base, ref string) (*url.URL, error) {
	from, err := url.Parse(base)
	if err != nil {
		return nil, err
	}
	return from.Parse(ref)
}

// base is what references at a place are relative to, where an $id says so.
func (n *identifiers) base(at Location) string {
	for p := at.Pointer; len(n.bases) > 0; {
		if base, has := n.bases[p]; has {
			return base
		}
		slash := strings.LastIndexByte(p, '/')
		if slash < 0 {
			break
		}
		p = p[:slash]
	}
	return ""
}

// useNames has references be followed by $id and anchors, too.
func (f *Files) useNames() {
	f.naming.Lock()
	defer f.naming.Unlock()
	if f.named == nil {
		f.named, f.known = map[string]*identifiers{}, map[string]Location{}
	}
}

// usesNames says whether they are.
func (f *Files) usesNames() bool {
	f.naming.Lock()
	defer f.naming.Unlock()
	return f.named != nil
}

// Resolve returns where a $ref in a document leads.
func (f *Files) Resolve(at Location, ref string) (Location, error) {
	if !f.usesNames() {
		return at.Resolve(ref)
	}
	base := f.identifiers(at.File).base(at)
	if base == "" {
		to, err := at.Resolve(ref)
		if err != nil {
			return f.find(at, ref, ref, err)
		}
		if to.Pointer == "" || to.Pointer[0] == '/' {
			return to, nil
		}
		f.identifiers(to.File)
		return f.find(at, ref, Location{File: to.File}.URL()+"#"+to.Pointer, nil)
	}
	full, err := join(base, ref)
	if err != nil {
		return Location{}, fmt.Errorf("%s: the $ref %q is no URI reference", at, ref)
	}
	return f.find(at, ref, full.String(), nil)
}

// find returns what is known by a URI. Otherwise is the error where there is nothing.
func (f *Files) find(at Location, ref, uri string, otherwise error) (Location, error) {
	name, fragment, _ := strings.Cut(uri, "#")
	if plain, err := url.PathUnescape(fragment); err == nil {
		fragment = plain
	}
	if file, is := strings.CutPrefix(name, base); is && filepath.IsLocal(filepath.FromSlash(file)) {
		f.identifiers(file)
	}
	f.naming.Lock()
	defer f.naming.Unlock()
	if fragment != "" && fragment[0] != '/' {
		name, fragment = name+"#"+fragment, ""
	}
	to, known := f.known[name]
	if file, is := strings.CutPrefix(name, base); is && !known && !strings.Contains(file, "#") && filepath.IsLocal(filepath.FromSlash(file)) {
		to, known = Location{File: file}, true
	}
	switch {
	case to == twice:
		return to, fmt.Errorf("%s: the $ref %q is for several schemas: %s stands twice", at, ref, name)
	case known:
		to.Pointer += fragment
		return to, nil
	case otherwise != nil:
		return to, otherwise
	}
	return to, fmt.Errorf("%s: the $ref %q leads nowhere: no schema is known as %s", at, ref, strings.TrimPrefix(name, base))
}

// ownDialect says whether a document is to be read as its own $schema says, and not as schemas of OpenAPI 3.1 are.
func ownDialect(doc any) bool {
	dialect, is := object(doc)["$schema"].(string)
	return is && !slices.Contains([]string{"https://json-schema.org/draft/2020-12/schema", "https://spec.openapis.org/oas/3.1/dialect/base"}, strings.TrimSuffix(dialect, "#"))
}

// plain writes a $dynamicRef that leads to one place as what it is then, and leaves out the names of a schema, which is found by its address.
func plain(o map[string]any) {
	if ref, is := o["$dynamicRef"].(string); is {
		if _, both := o["$ref"]; both {
			all, _ := o["allOf"].([]any)
			o["allOf"] = append(slices.Clone(all), map[string]any{"$ref": ref})
		} else {
			o["$ref"] = ref
		}
	}
	maps.DeleteFunc(o, func(key string, v any) bool {
		_, is := v.(string)
		return is && slices.Contains([]string{"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"}, key)
	})
}
