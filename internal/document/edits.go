package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
)

// Edits are operations on the fields of a document. They are done in the order in which they stand here, whatever the order in which they
// are written; each sees what the one before left. Places are written as paths: `profile.name`, `items[0]` for one element of a list,
// `items[].price` for each, `["odd name"]` for names with other characters than letters, digits, `_`, `-`, `$` and `@`.
type Edits struct {
	// Makes the value at this path the whole document; all other operations work on that. With `[]` in the path, it is the list of all
	// values that are found. A document without the path is an error. By default the document stays whole.
	Select string `yaml:"select"`
	// Keeps only what is at these paths, and the objects and lists that lead there. A path that is not there is left out. By default
	// everything is kept.
	Pick []string `yaml:"pick"`
	// Leaves out what is at these paths. In documents that come as XML, SOAP or a form, `item` and `item[]` mean the same here and in mask.
	Drop []string `yaml:"drop"`
	// Hides texts and numbers, by path, but for the characters that are shown. In an object or a list, all of them are hidden. `null`
	// stays.
	Mask map[string]Mask `yaml:"mask"`
	// Gives fields new names: path to new name, which is a name and no path. A name that another field of the object has already is an
	// error.
	Rename map[string]string `yaml:"rename"`
	// Lifts the fields of the objects at these paths into the object that they are in. What is no object stays as it is. A field that
	// is there already is an error.
	Flatten []string `yaml:"flatten"`
	// Sets values: path to value, which may be a text, a number, `true`, `false`, `null`, an object or a list. The value that is there
	// keeps its place; one that is not there comes last. Objects that lead there are made where nothing or `null` is; lists never grow,
	// and where something else is in the way, the document is an error. For an element, its own path (`[0]`) comes before `[]`.
	Set map[string]any `yaml:"set"`
}

// Mask says how much of a text is shown.
type Mask struct {
	// How many characters are shown at the end; 0 means none. The hidden ones become `***`, however many they are. A text of which less
	// than half would be hidden is hidden whole.
	Last int `yaml:"last,short" min:"0" max:"64"`
	// How many characters are shown at the beginning; 0 means none.
	First int `yaml:"first" min:"0" max:"64"`
}

// IsZero says whether there is nothing to do.
func (e *Edits) IsZero() bool {
	return e.Select == "" && len(e.Pick)+len(e.Drop)+len(e.Mask)+len(e.Rename)+len(e.Flatten)+len(e.Set) == 0
}

// Validate checks the paths, and that none is in the way of another.
func (e *Edits) Validate() error {
	_, err := Compile(e)
	return err
}

// compiled are the paths of Edits, as trees.
type compiled struct {
	selected                               *node
	pick, drop, mask, rename, flatten, set *node
	many                                   bool // select gathers a list
	texts                                  []string
}

func (e *Edits) compile() (*compiled, error) {
	c := &compiled{}
	var errs []error
	add := func(field string, i any, err error) {
		if err != nil {
			errs = append(errs, config.FieldErrorf(fieldPath(field, i), "%w", err))
		}
	}
	if e.Select != "" {
		p, err := ParsePath(e.Select)
		add("select", nil, err)
		if err == nil {
			c.selected, c.many = &node{}, p.many()
			c.selected.at(p).keep = true
		}
	}
	c.pick = e.list("pick", e.Pick, add, func(n *node, _ Path) error { n.keep = true; return nil })
	c.drop = e.list("drop", e.Drop, add, func(n *node, _ Path) error { n.keep = true; return nil })
	c.flatten = e.list("flatten", e.Flatten, add, func(n *node, p Path) error {
		if p[len(p)-1].List {
			return fmt.Errorf("it must end with the name of a field: the elements of a list have no fields to be lifted into")
		}
		n.keep = true
		return nil
	})
	c.mask = tree("mask", e.Mask, add, func(n *node, _ Path, m Mask) error { n.mask = &m; return nil })
	c.rename = tree("rename", e.Rename, add, renameNode)
	c.set = tree("set", e.Set, add, func(n *node, _ Path, v any) error { return c.setNode(n, v) })
	for _, n := range []*node{c.selected, c.pick, c.drop, c.mask, c.rename, c.flatten, c.set} {
		n.finish()
	}
	if len(errs) == 0 {
		add("set", nil, c.set.conflict(nil))
		add("rename", nil, c.rename.sameNames())
	}
	return c, errors.Join(errs...)
}

func fieldPath(field string, i any) string {
	switch i := i.(type) {
	case int:
		return fmt.Sprintf("%s[%d]", field, i)
	case string:
		return fmt.Sprintf("%s[%q]", field, i)
	}
	return field
}

func (e *Edits) list(field string, paths []string, add func(string, any, error), edit func(*node, Path) error) *node {
	if len(paths) == 0 {
		return nil
	}
	root := &node{}
	for i, s := range paths {
		p, err := ParsePath(s)
		if err == nil {
			err = edit(root.at(p), p)
		}
		add(field, i, err)
	}
	return root
}

func tree[V any](field string, byPath map[string]V, add func(string, any, error), edit func(*node, Path, V) error) *node {
	if len(byPath) == 0 {
		return nil
	}
	root := &node{}
	for _, s := range slices.Sorted(maps.Keys(byPath)) {
		p, err := ParsePath(s)
		if err == nil {
			err = edit(root.at(p), p, byPath[s])
		}
		add(field, s, err)
	}
	return root
}

func renameNode(n *node, p Path, name string) error {
	if p[len(p)-1].List {
		return fmt.Errorf("only fields have names: the path must end with one")
	}
	if name == "" {
		return fmt.Errorf("the new name is missing")
	}
	if n.rename != nil {
		return fmt.Errorf("it is renamed twice")
	}
	quoted, err := appendText(nil, name)
	n.rename = quoted
	return err
}

// setNode notes a value, and the texts in it, which the caller may take for templates.
func (c *compiled) setNode(n *node, v any) error {
	if n.set != nil {
		return fmt.Errorf("it is set twice")
	}
	if _, err := Append(nil, v); err != nil {
		return err
	}
	n.set = &setting{value: c.template(v)}
	return nil
}

// reference stands in a value for the text that is resolved for each document.
type reference int

func (c *compiled) template(v any) any {
	switch v := v.(type) {
	case string:
		c.texts = append(c.texts, v)
		return reference(len(c.texts) - 1)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = c.template(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			out[name] = c.template(v[name])
		}
		return out
	}
	return v
}

// conflict finds a value that is set within another that is set, and a place that would have to be an object and a list.
func (n *node) conflict(at Path) error {
	if n == nil {
		return nil
	}
	where := strings.TrimSpace(at.String())
	if n.set != nil && n.inner() {
		return fmt.Errorf("%q is set as a whole, and something in it as well", where)
	}
	if len(n.names) > 0 && (n.each != nil || len(n.index) > 0) {
		return fmt.Errorf("%q would have to be both an object and a list", where)
	}
	for step, child := range n.children() {
		if err := child.conflict(append(slices.Clip(at), step)); err != nil {
			return err
		}
	}
	return nil
}

// sameNames finds two fields of one object that get the same name.
func (n *node) sameNames() error {
	if n == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, child := range n.children() {
		if name := string(child.rename); name != "" {
			if seen[name] {
				return fmt.Errorf("two fields of one object get the name %s", name)
			}
			seen[name] = true
		}
		if err := child.sameNames(); err != nil {
			return err
		}
	}
	return nil
}
