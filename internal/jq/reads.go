package jq

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/itchyny/gojq"
)

// Step is a step of a way into the input of a program: to a member, or to elements.
type Step struct {
	Name string
	List bool // one of the elements
	Each bool // each element, or each value of an object
}

// Read is a way into the input that a program goes for sure, or would if something else did not end it before.
type Read struct {
	Way    []Step
	source string
}

// Place puts an error about the last step of the way at its place in the source.
func (r Read) Place(err error) error {
	name := r.Way[len(r.Way)-1].Name
	if i := indexWord(r.source, name); i >= 0 && name != "" {
		return place(r.source, i, err.Error())
	}
	return &Error{Reason: err.Error()}
}

// Reads lists ways into the input that a program goes. It finds those that are written out, and leaves out what a program expects to be missing perhaps:
// `.a?`, `try`, the left side of `//`, what it compares with null, names that it asks for by `has`, what it asks the `type` of, and what is assigned to. A program that does not compile has none.
func Reads(source string) []Read {
	q, err := gojq.Parse(source)
	if err != nil {
		return nil
	}
	r := &readsFinder{source: source, own: map[string]bool{}, asked: map[string]bool{}}
	r.look(reflect.ValueOf(q))
	r.query(q, &way{})
	r.missing = r.ends()
	r.found = nil
	r.query(q, &way{})
	return r.found
}

// ends are the ways that are gone quietly, to their ends.
func (r *readsFinder) ends() map[string]bool {
	ends, through := map[string]bool{}, map[string]bool{}
	for _, w := range r.expected {
		for i := range w {
			through[key(w[:i])] = true
		}
		ends[key(w)] = true
	}
	maps.DeleteFunc(ends, func(w string, _ bool) bool { return through[w] })
	return ends
}

// key is a text that differs where ways do.
func key(w []Step) string {
	var b []byte
	for _, s := range w {
		switch {
		case s.Each:
			b = append(b, "[]"...)
		case s.List:
			b = append(b, "[0]"...)
		default:
			b = strconv.AppendQuote(b, s.Name)
		}
	}
	return string(b)
}

// way is where a value stands in the input. A nil one is not known.
type way struct{ steps []Step }

// readsFinder goes through a program.
type readsFinder struct {
	source string
	own    map[string]bool // functions that the program defines
	asked  map[string]bool // names that may be missing
	quiet  int             // what is found does not count
	found  []Read

	expected [][]Step        // ways that are gone quietly
	missing  map[string]bool // where it is expected that nothing is, perhaps, by key
}

// look finds the functions that a program defines, and the names that it asks for by has.
func (r *readsFinder) look(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		switch n := v.Interface().(type) {
		case *gojq.FuncDef:
			r.own[n.Name] = true
			for _, arg := range n.Args {
				r.own[arg] = true
			}
		case *gojq.Func:
			if (n.Name == "has" || n.Name == "in") && len(n.Args) == 1 {
				r.texts(reflect.ValueOf(n.Args[0]))
			}
		}
		r.look(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			r.look(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			r.look(v.Index(i))
		}
	}
}

// texts notes all texts of a query as names that may be missing.
func (r *readsFinder) texts(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.texts(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			r.texts(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			r.texts(v.Index(i))
		}
	case reflect.String:
		r.asked[v.String()] = true
	}
}

// to goes a step on, and notes that.
func (r *readsFinder) to(from *way, s Step) *way {
	if from == nil || s.Name != "" && r.asked[s.Name] {
		return nil
	}
	next := &way{append(slices.Clip(from.steps), s)}
	switch {
	case r.missing[key(next.steps)]:
		return nil
	case r.quiet > 0:
		r.expected = append(r.expected, next.steps)
	default:
		r.found = append(r.found, Read{next.steps, r.source})
	}
	return next
}

// quietly goes through what may be missing.
func (r *readsFinder) quietly(q *gojq.Query, in *way) {
	r.quiet++
	r.query(q, in)
	r.quiet--
}

// query goes through a query whose input stands at a way, and returns where its output stands.
func (r *readsFinder) query(q *gojq.Query, in *way) *way {
	switch {
	case q == nil:
		return nil
	case q.Term != nil:
		return r.term(q.Term, in)
	}
	switch q.Op {
	case gojq.OpPipe:
		out := r.query(q.Left, in)
		if q.Patterns != nil { // "… as $x | …"
			out = in
		}
		return r.query(q.Right, out)
	case gojq.OpAlt:
		r.quietly(q.Left, in)
		r.query(q.Right, in)
	case gojq.OpAssign:
		r.query(q.Right, in)
	case gojq.OpModify, gojq.OpUpdateAdd, gojq.OpUpdateSub, gojq.OpUpdateMul, gojq.OpUpdateDiv, gojq.OpUpdateMod, gojq.OpUpdateAlt:
	case gojq.OpEq, gojq.OpNe: // null is what there is not, too
		if isNull(q.Left) || isNull(q.Right) {
			r.quietly(q.Left, in)
			r.quietly(q.Right, in)
			break
		}
		r.query(q.Left, in)
		r.query(q.Right, in)
	case gojq.OpAnd, gojq.OpOr:
		r.query(q.Left, in)
		if !asksKind(reflect.ValueOf(q.Left)) {
			r.query(q.Right, in)
		}
	default:
		r.query(q.Left, in)
		r.query(q.Right, in)
	}
	return nil
}

func isNull(q *gojq.Query) bool {
	return q != nil && q.Term != nil && q.Term.Type == gojq.TermTypeNull && len(q.Term.SuffixList) == 0
}

// asksKind says whether a query asks what kind something is of. What depends on that may be for others than those that are known.
func asksKind(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return false
		}
		if f, is := v.Interface().(*gojq.Func); is && f.Name == "type" && len(f.Args) == 0 {
			return true
		}
		return asksKind(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if asksKind(v.Field(i)) {
				return true
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if asksKind(v.Index(i)) {
				return true
			}
		}
	}
	return false
}

// term goes through a term with all that follows it.
func (r *readsFinder) term(t *gojq.Term, in *way) *way {
	optional := slices.ContainsFunc(t.SuffixList, func(s *gojq.Suffix) bool { return s.Optional })
	if optional {
		r.quiet++
		defer func() { r.quiet-- }()
	}
	at := r.head(t, in)
	for _, s := range t.SuffixList {
		switch {
		case s.Iter:
			at = r.to(at, Step{Each: true})
		case s.Index != nil:
			at = r.index(s.Index, at, in)
		}
	}
	if optional {
		return nil
	}
	return at
}

// head goes through a term without what follows it.
func (r *readsFinder) head(t *gojq.Term, in *way) *way {
	switch t.Type {
	case gojq.TermTypeIdentity:
		return in
	case gojq.TermTypeIndex:
		return r.index(t.Index, in, in)
	case gojq.TermTypeFunc:
		return r.function(t.Func, in)
	case gojq.TermTypeQuery:
		return r.query(t.Query, in)
	case gojq.TermTypeArray:
		r.query(t.Array.Query, in)
	case gojq.TermTypeUnary:
		r.term(t.Unary.Term, in)
	case gojq.TermTypeObject:
		r.object(t.Object, in)
	case gojq.TermTypeString, gojq.TermTypeFormat:
		if t.Str != nil {
			for _, q := range t.Str.Queries {
				r.query(q, in)
			}
		}
	case gojq.TermTypeIf:
		r.conditional(t.If, in)
	case gojq.TermTypeReduce:
		r.query(t.Reduce.Query, in)
	case gojq.TermTypeForeach:
		r.query(t.Foreach.Query, in)
	}
	return nil
}

// conditional goes through the branches of a condition, up to the first that asks for a kind.
func (r *readsFinder) conditional(c *gojq.If, in *way) {
	r.query(c.Cond, in)
	if asksKind(reflect.ValueOf(c.Cond)) {
		return
	}
	r.query(c.Then, in)
	for _, one := range c.Elif {
		r.query(one.Cond, in)
		if asksKind(reflect.ValueOf(one.Cond)) {
			return
		}
		r.query(one.Then, in)
	}
	r.query(c.Else, in)
}

// index goes to what is named in brackets or after a point. The brackets see the input of the whole term.
func (r *readsFinder) index(x *gojq.Index, at, in *way) *way {
	switch {
	case x.Name != "":
		return r.to(at, Step{Name: x.Name})
	case x.Str != nil && len(x.Str.Queries) == 0:
		return r.to(at, Step{Name: x.Str.Str})
	case x.IsSlice || x.Start == nil:
		return nil
	}
	if t := x.Start.Term; t != nil && len(t.SuffixList) == 0 {
		switch {
		case t.Type == gojq.TermTypeString && len(t.Str.Queries) == 0:
			return r.to(at, Step{Name: t.Str.Str})
		case t.Type == gojq.TermTypeNumber, t.Type == gojq.TermTypeUnary && t.Unary.Term.Type == gojq.TermTypeNumber:
			return r.to(at, Step{List: true})
		}
	}
	r.query(x.Start, in)
	return nil
}

func (r *readsFinder) object(o *gojq.Object, in *way) {
	for _, kv := range o.KeyVals {
		r.query(kv.KeyQuery, in)
		switch {
		case kv.Val != nil:
			r.query(kv.Val, in)
		case kv.Key != "" && !strings.HasPrefix(kv.Key, "$"):
			r.to(in, Step{Name: kv.Key})
		case kv.KeyString != nil && len(kv.KeyString.Queries) == 0:
			r.to(in, Step{Name: kv.KeyString.Str})
		}
	}
}

// function goes through the call of a function whose arguments are asked of the input, or of its elements.
func (r *readsFinder) function(f *gojq.Func, in *way) *way {
	if r.own[f.Name] {
		return nil
	}
	switch f.Name + "/" + strconv.Itoa(len(f.Args)) {
	case "map/1", "any/1", "all/1", "group_by/1", "min_by/1", "max_by/1":
		r.query(f.Args[0], r.to(in, Step{Each: true}))
	case "sort_by/1", "unique_by/1":
		r.query(f.Args[0], r.to(in, Step{Each: true}))
		return in
	case "sort/0", "unique/0", "reverse/0":
		return in
	case "select/1":
		r.query(f.Args[0], in)
		if asksKind(reflect.ValueOf(f.Args[0])) {
			return nil
		}
		return in
	case "first/0", "last/0":
		return r.to(in, Step{List: true})
	case "first/1", "last/1":
		return r.query(f.Args[0], in)
	}
	return nil
}
