package openapi

import (
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
)

// Hole stands in paths and queries for a value that is not known yet. In a path it stays within its segment.
const Hole = "\x00"

// fit says whether a path is one of an operation.
type fit int

const (
	none fit = iota
	perhaps
	sure
)

// Asked finds the operation that a call is for: of its path some values are not known yet. It is nil where it cannot be said for sure which it is. The
// error is that there is none, and which is meant, perhaps.
func (d *Document) Asked(method, path string) (*Operation, error) {
	o, allow, there := d.asked(method, segmentsOf(path))
	if !there {
		return nil, d.notAsked(method, path, allow)
	}
	return o, nil
}

// asked finds the operation as Asked does. It is false where there is none for sure: then there are those of other methods.
func (d *Document) asked(method string, segments []string) (o *Operation, allow []string, there bool) {
	if !slices.Contains(methods[:], strings.ToLower(method)) || len(d.operations) == 0 {
		return nil, nil, true
	}
	for _, based := range []bool{true, false} { // the service may be reached without the path of its servers
		a := asked{method: method}
		for _, o := range d.operations {
			a.take(o, o.fits(segments, based))
		}
		if a.best != nil || a.perhaps {
			return a.operation(), nil, true
		}
		allow = append(allow, a.allow...)
	}
	return nil, allow, false
}

// Served are the operations that requests with a method and a path may be for, of which some values are not known: the one that Asked finds, and those that a
// value would have to be a certain word for. There are none where the document tells of none. It is false where it cannot be said which they are.
func (d *Document) Served(method, path string) (all []*Operation, ok bool) {
	segments := segmentsOf(path)
	o, _, there := d.asked(method, segments)
	if o == nil {
		return nil, !there
	}
	all = append(all, o)
	for _, other := range d.operations {
		if other != o && other.Method == o.Method && (other.fits(segments, true) == perhaps || other.fits(segments, false) == perhaps) {
			all = append(all, other)
		}
	}
	return all, true
}

// asked gathers the operations that a call may be for.
type asked struct {
	method  string
	best    *Operation
	twice   bool // another one fits as well as the best
	perhaps bool // another one may be meant
	allow   []string
}

func (a *asked) take(o *Operation, f fit) {
	switch {
	case f == none:
	case o.Method != a.method && (a.method != "HEAD" || o.Method != "GET"):
		if f == sure {
			a.allow = append(a.allow, o.Method+" "+o.Path)
		}
	case f == perhaps:
		a.perhaps = true
	case a.best == nil:
		a.best = o
	case o.Method == a.best.Method && o.template.literals == a.best.template.literals:
		a.twice = true
	case (&finder{method: a.method}).better(o, a.best):
		a.best, a.twice = o, false
	}
}

func (a *asked) operation() *Operation {
	if a.twice {
		return nil
	}
	return a.best
}

// segmentsOf takes a path apart. A slash at the end makes no difference.
func segmentsOf(path string) []string {
	if path = strings.Trim(path, "/"); path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// fits says whether a path of which some values are not known is one of the operation.
func (o *Operation) fits(path []string, based bool) fit {
	t, doubt := o.template, false
	if end := strings.IndexAny(o.Path, "?#"); end >= 0 { // operations that differ by their query
		var err error
		if t, err = parseTemplate(o.Path[:end]); err != nil {
			return perhaps
		}
		doubt = true
	}
	bases := []string{""}
	if based {
		bases = o.bases
	}
	best := none
	for _, base := range bases {
		best = max(best, t.fits(path, base, o))
		doubt = doubt || strings.ContainsAny(base, "{}%") // it is not known
	}
	if doubt {
		return min(best, perhaps)
	}
	return best
}

// fits says whether a path is one of the template, below a base.
func (t *template) fits(path []string, base string, o *Operation) fit {
	segments, n := t.segments, strings.Count(base, "/")
	if last := len(segments) - 1; len(segments[last]) == 0 {
		segments = segments[:last]
	}
	if len(path) < n+len(segments) || len(path) > n+len(segments) && len(segments) == 0 {
		return none
	}
	best := sure
	for i, pieces := range segments {
		if best = min(best, fitsSegment(pieces, path[n+i])); best == none {
			return none
		}
	}
	for i := range n {
		_, base, _ = strings.Cut(base, "/")
		text, _, _ := strings.Cut(base, "/")
		if strings.Contains(unescapedPath(text), "{") { // a variable that the document gives no value
			best = min(best, perhaps)
			continue
		}
		best = min(best, fitsSegment([]piece{{text: text}}, path[i]))
	}
	if len(path) == n+len(segments) {
		return best
	}
	if o.long(segments[len(segments)-1]) {
		return min(best, perhaps)
	}
	return none
}

// long says whether the last segment of a template is a parameter that may have slashes, as many documents mean it.
func (o *Operation) long(pieces []piece) bool {
	if len(pieces) == 0 || !pieces[len(pieces)-1].param {
		return false
	}
	name := pieces[len(pieces)-1].text
	plain := strings.ToLower(strings.Trim(name, "*+"))
	if plain != strings.ToLower(name) || strings.HasSuffix(plain, "path") || slices.Contains([]string{"file", "key", "ref", "proxy", "rest", "splat"}, plain) {
		return true
	}
	for _, w := range o.written() {
		if w.own["in"] == "path" && w.own["name"] == name {
			return w.own["x-multi-segment"] == true || w.own["allowReserved"] == true
		}
	}
	return false
}

// fitsSegment says whether a segment is one of a template. A value does not count as a text that stands there.
func fitsSegment(pieces []piece, segment string) fit {
	if strings.IndexByte(segment, Hole[0]) < 0 {
		if len(pieces) == 1 && !pieces[0].param && segment != pieces[0].text && strings.IndexByte(segment, '%') < 0 && strings.IndexByte(pieces[0].text, '%') < 0 {
			return none
		}
		if _, ok := matchSegment(pieces, segment, nil); ok {
			return sure
		}
		return none
	}
	before, _, _ := strings.Cut(segment, Hole)
	after := segment[strings.LastIndex(segment, Hole)+1:]
	var first, last string
	if literal, is := literalOf(pieces); is {
		if len(literal) > len(before)+len(after) && strings.HasPrefix(literal, before) && strings.HasSuffix(literal, after) {
			return perhaps
		}
		return none
	}
	if !pieces[0].param {
		first = pieces[0].text
	}
	if end := pieces[len(pieces)-1]; !end.param {
		last = end.text
	}
	if !strings.HasPrefix(before, first) && !strings.HasPrefix(first, before) || !strings.HasSuffix(after, last) && !strings.HasSuffix(last, after) {
		return none
	}
	for _, p := range pieces {
		if _, rest, there := strings.Cut(segment, p.text); there && !p.param {
			segment = rest
		} else if !p.param {
			return perhaps // the value may have it
		}
	}
	return sure
}

// maxNamed is how many operations an error names.
const maxNamed = 5

// notAsked says that there is no such operation, and which there are.
func (d *Document) notAsked(method, path string, allow []string) error {
	wanted := method + " " + strings.ReplaceAll(path, Hole, "{}")
	if len(allow) > 0 {
		return fmt.Errorf("%s has no operation %s; there %s %s", d.root.File, shown(wanted), are(allow), listed(allow))
	}
	names := map[string]string{}
	var known, all []string
	for _, o := range d.operations {
		all = append(all, o.Method+" "+o.Path)
		for _, base := range append([]string{""}, o.bases...) {
			name := anonymous(o.Method + " " + base + o.Path)
			if names[name] == "" {
				known = append(known, name)
			}
			names[name] = o.Method + " " + base + o.Path
		}
	}
	if near := config.Suggest(wanted, known); near != "" {
		return fmt.Errorf("%s has no operation %s; did you mean %s?", d.root.File, shown(wanted), names[near])
	}
	return fmt.Errorf("%s has no operation %s; there %s %s", d.root.File, shown(wanted), are(all), listed(all))
}

// shown writes values that are not known so that it is seen what they are.
func shown(path string) string { return strings.ReplaceAll(path, "{}", "{…}") }

func are(names []string) string {
	if len(names) == 1 {
		return "is"
	}
	return "are"
}

// listed lists some of several names.
func listed(names []string) string {
	if len(names) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
	}
	return strings.Join(names, ", ")
}
