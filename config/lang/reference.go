package lang

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Reference renders the manual of a configuration struct, and of everything in it, as Markdown: one section for each
// struct, with its keys, their types, defaults and descriptions.
func Reference(root reflect.Type, opts SchemaOptions) []byte {
	r := &referenceMaker{root: root, opts: opts, seen: map[reflect.Type]string{}}
	title := opts.Title
	if title == "" {
		title = "Configuration reference"
	}
	fmt.Fprintf(&r.out, "# %s\n", title)
	r.enqueue(root, "The root")
	r.enqueueAll(opts.Root, "`%s`")
	r.drain()
	r.group("Policies", opts.Policies)
	r.group("Targets", opts.Targets)
	return r.out.Bytes()
}

// referenceMaker is one run of Reference.
type referenceMaker struct {
	root  reflect.Type
	opts  SchemaOptions
	out   bytes.Buffer
	queue []reflect.Type
	seen  map[reflect.Type]string // the titles of the sections
}

// group renders policies or targets.
func (r *referenceMaker) group(title string, types map[string]reflect.Type) {
	if len(types) == 0 {
		return
	}
	fmt.Fprintf(&r.out, "\n# %s\n", title)
	r.enqueueAll(types, "`%s`")
	r.drain()
}

// enqueueAll enqueues structs by their names.
func (r *referenceMaker) enqueueAll(types map[string]reflect.Type, format string) {
	for _, name := range slices.Sorted(maps.Keys(types)) {
		r.enqueue(types[name], fmt.Sprintf(format, name))
	}
}

// enqueue has a struct rendered later, once.
func (r *referenceMaker) enqueue(t reflect.Type, title string) {
	t = structIn(t)
	if t == nil || r.seen[t] != "" {
		return
	}
	for _, other := range r.seen {
		if other == title {
			title = t.String()
		}
	}
	r.seen[t] = title
	r.queue = append(r.queue, t)
}

// structIn is the struct that a type is or holds; nil when there is none.
func structIn(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return structIn(t.Elem())
	case reflect.Struct:
		if t != nodeType && hasTags(t) {
			return t
		}
	}
	return nil
}

// drain renders what is enqueued.
func (r *referenceMaker) drain() {
	for len(r.queue) > 0 {
		t := r.queue[0]
		r.queue = r.queue[1:]
		r.section(t)
	}
}

// section renders a struct.
func (r *referenceMaker) section(t reflect.Type) {
	info := inspect(t)
	rest := info.rest
	if t == r.root || t == r.opts.Routes {
		rest = nil // those are the policies and targets, which have sections of their own
	}
	if rest != nil {
		r.enqueueField(*rest)
	}
	for _, f := range info.fields {
		r.enqueueField(f)
	}
	fmt.Fprintf(&r.out, "\n## %s\n", r.seen[t])
	if text := plainComment(r.opts.Comments[commentKey(t, "")], "", ""); text != "" {
		fmt.Fprintf(&r.out, "\n%s\n", text)
	}
	if info.short != nil {
		fmt.Fprintf(&r.out, "\nShort form: the value of `%s`.\n", info.short.name)
	}
	if len(info.fields) == 0 && rest == nil {
		return
	}
	r.out.WriteString("\n| key | type | default | description |\n| --- | --- | --- | --- |\n")
	defaults := defaultsOf(t)
	for _, f := range info.fields {
		need := formatDefault(defaultValue(defaults.FieldByIndex(f.index)))
		if f.required {
			need = "*required*"
		}
		text := plainComment(r.opts.Comments[commentKey(f.owner, f.field.Name)], f.field.Name, "`"+f.name+"`")
		fmt.Fprintf(&r.out, "| `%s` | %s | %s | %s |\n", f.name, r.typeCell(f), need, cell(text))
	}
	if rest != nil {
		f := *rest
		f.field.Type = f.field.Type.Elem() // of one such key
		text := plainComment(r.opts.Comments[commentKey(f.owner, f.field.Name)], f.field.Name, otherKeys)
		fmt.Fprintf(&r.out, "| *other keys* | %s |  | %s |\n", r.typeCell(f), cell(text))
	}
}

// enqueueField has the struct of a field rendered later.
func (r *referenceMaker) enqueueField(f fieldInfo) {
	s := structIn(f.field.Type)
	switch {
	case s == nil:
	case s.Name() == "Config": // the name of a package's main struct, which tells nobody anything
		r.enqueue(s, "`"+f.name+"`")
	default:
		r.enqueue(s, s.Name())
	}
}

// typeCell is a field's type in words, with a link to its section.
func (r *referenceMaker) typeCell(f fieldInfo) string {
	s := structIn(f.field.Type)
	if s == nil {
		return cell(describe(f.field.Type, f.bounds))
	}
	title := r.seen[s]
	link := "[" + title + "](#" + anchorOf(title) + ")"
	t := f.field.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice:
		return link + ", or a list of them"
	case reflect.Map:
		return "names, each with " + link
	}
	return link
}

// anchorOf is the anchor that a title gets.
func anchorOf(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return -1
	}, strings.ToLower(title))
}

// cell prepares a text for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("\n\n", "<br>", "\n", " ", "|", `\|`).Replace(text)
}

// quoteAny writes a plain value.
func quoteAny(x any) string { return fmt.Sprint(x) }
