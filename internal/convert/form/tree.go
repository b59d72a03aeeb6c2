package form

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is a value of a form: text, a list or an object.
type tree struct {
	kind  byte // 0 nothing yet, '"' text, '[' list, '{' object
	text  string
	keys  []string
	below map[string]*tree
	list  []*tree
}

// steps are the parts of a name; "" is the next entry of a list.
func (o *Options) steps(name string) ([]string, string) {
	switch {
	case o.Nesting == "dots":
		return strings.Split(name, "."), ""
	case o.Nesting == "brackets" && name == "":
		return nil, "is empty"
	case o.Nesting != "brackets" || !strings.Contains(name, "["):
		return []string{name}, ""
	}
	first, rest, _ := strings.Cut(name, "[")
	if first == "" {
		return nil, "has brackets before a name"
	}
	steps := []string{first}
	for rest = "[" + rest; rest != ""; {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 || strings.IndexByte(rest[1:end], '[') >= 0 {
			return nil, "has brackets that do not match"
		}
		steps = append(steps, rest[1:end])
		rest = rest[end+1:]
	}
	return steps, ""
}

// put adds text at a place below t. It returns what is wrong with the place, if anything.
func (t *tree) put(steps []string, text string, o *Options) string {
	if len(steps) == 0 {
		return t.add(text)
	}
	step := steps[0]
	if o.Nesting == "brackets" && t.kind != '{' && isIndex(step) {
		return t.entry(step, steps[1:], text, o)
	}
	if t.kind != 0 && t.kind != '{' {
		return "is both a value and an object"
	}
	if step == "" && o.Nesting == "brackets" {
		return "is both an object and a list"
	}
	if t.kind = '{'; t.below == nil {
		t.below = map[string]*tree{}
	}
	below := t.below[step]
	if below == nil {
		below = &tree{}
		t.below[step] = below
		t.keys = append(t.keys, step)
	}
	return below.put(steps[1:], text, o)
}

// isIndex says whether a step is an entry of a list: the next, or one by its number.
func isIndex(step string) bool {
	n, err := strconv.Atoi(step)
	return step == "" || err == nil && n >= 0 && strconv.Itoa(n) == step
}

func (t *tree) entry(step string, rest []string, text string, o *Options) string {
	if t.kind != 0 && t.kind != '[' {
		return "is both a value and a list"
	}
	t.kind = '['
	n := len(t.list)
	at := n
	if step != "" {
		at, _ = strconv.Atoi(step)
	}
	switch {
	case at > n:
		return "has entries of a list that do not follow each other from 0"
	case at == n:
		t.list = append(t.list, &tree{})
	}
	if len(rest) == 0 && at < n {
		return "has an entry of a list twice"
	}
	return t.list[at].put(rest, text, o)
}

// add adds text where there may be some: names that repeat are lists.
func (t *tree) add(text string) string {
	switch t.kind {
	case 0:
		t.kind, t.text = '"', text
	case '"':
		t.list = []*tree{{kind: '"', text: t.text}, {kind: '"', text: text}}
		t.kind = '['
	case '[':
		t.list = append(t.list, &tree{kind: '"', text: text})
	default:
		return "is both a value and an object"
	}
	return ""
}

// write writes the value as JSON.
func (t *tree) write(enc *jsontext.Encoder, path string, o *Options) error {
	switch t.kind {
	case '[':
		return t.writeList(enc, path, o)
	case '"':
		if o.isList(path) {
			one := &tree{kind: '[', list: []*tree{t}}
			return one.writeList(enc, path+"[]", o)
		}
		return enc.WriteToken(jsontext.String(t.text))
	}
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, key := range t.keys {
		if err := enc.WriteToken(jsontext.String(key)); err != nil {
			return err
		}
		below := key
		if path != "" {
			below = path + "." + key
		}
		if err := t.below[key].write(enc, below, o); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

func (t *tree) writeList(enc *jsontext.Encoder, path string, o *Options) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, e := range t.list {
		if err := e.write(enc, path+"[]", o); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

func (o *Options) isList(path string) bool {
	for _, l := range o.Lists {
		if l == path {
			return true
		}
	}
	return false
}
