package schema

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A schema that checks one value in several ways (allOf, anyOf, oneOf and the like), and comes back to itself in each of them for the parts of the value, is checked
// twice, four times, eight times and so on the deeper the parts stand: a hundred bytes suffice for years. So the checks of such schemas are counted, and come
// to an end.

// fewWays to check one value are not counted.
const fewWays = 64

// What may be done for one value: checks at places where there are several ways. Those of deep parts count for more, as what is wrong with them takes more to tell.
const (
	efforts      = 20_000
	effortsEach  = 100 // for each value in it, besides
	effortsMost  = 1_000_000
	levels       = 8 // count as one more
	effortReason = "cannot be checked: it takes too long, since its schema has alternatives within alternatives"
)

// effort is what is left for one value.
type effort struct{ left int }

// exhausted is what a check ends with.
type exhausted struct{}

// running are the efforts that are being made, by the name that the values that are checked have in the places of what is wrong.
type running struct {
	all  sync.Map
	last atomic.Uint64
}

// counting is an extension of schemas that counts.
type counting struct{ running *running }

// Validate counts.
func (c counting) Validate(ctx *jsonschema.ValidatorContext, _ any) {
	at := ctx.ValueLocation()
	if len(at) == 0 {
		return // the name of a property, which has no parts
	}
	e, ok := c.running.all.Load(at[0])
	if !ok {
		return
	}
	left := e.(*effort)
	if left.left -= 1 + len(at)/levels; left.left < 0 {
		panic(exhausted{})
	}
}

// entering is an extension that checks a value by a schema, under the name of an effort.
type entering struct {
	schema *jsonschema.Schema
	name   string
}

// Validate checks the value.
func (e entering) Validate(ctx *jsonschema.ValidatorContext, v any) {
	if err := ctx.Validate(e.schema, v, []string{e.name}); err != nil {
		ctx.AddErr(err)
	}
}

// validate checks a value with an effort that is bounded.
func (r *running) validate(s *jsonschema.Schema, v any) (err error, ended bool) { //nolint:revive // the error is what was found
	name := "\x00" + strconv.FormatUint(r.last.Add(1), 36)
	r.all.Store(name, &effort{min(efforts+effortsEach*values(v), effortsMost)})
	defer r.all.Delete(name)
	defer func() {
		switch p := recover(); p.(type) {
		case nil:
		case exhausted:
			ended = true
		default:
			panic(p)
		}
	}()
	outer := around(s)
	outer.Extensions = []jsonschema.SchemaExt{entering{s, name}}
	err = outer.Validate(v)
	if wrong, ok := err.(*jsonschema.ValidationError); ok {
		unnamed(wrong)
	}
	return err, false
}

// around is a schema for any value, in the place of another.
func around(s *jsonschema.Schema) *jsonschema.Schema {
	outer := *s // with what is not exported, which references look at
	outer.Bool, outer.Ref, outer.RecursiveRef, outer.DynamicRef, outer.Types, outer.Enum, outer.Const, outer.Format = nil, nil, nil, nil, nil, nil, nil, nil
	outer.Not, outer.If, outer.AllOf, outer.AnyOf, outer.OneOf = nil, nil, nil, nil, nil
	outer.MaxProperties, outer.MinProperties, outer.Required, outer.PropertyNames, outer.Properties, outer.PatternProperties = nil, nil, nil, nil, nil, nil
	outer.AdditionalProperties, outer.Dependencies, outer.DependentRequired, outer.DependentSchemas, outer.UnevaluatedProperties = nil, nil, nil, nil, nil
	outer.MinItems, outer.MaxItems, outer.UniqueItems, outer.Contains, outer.MinContains, outer.MaxContains = nil, nil, false, nil, nil, nil
	outer.Items, outer.AdditionalItems, outer.PrefixItems, outer.Items2020, outer.UnevaluatedItems = nil, nil, nil, nil, nil
	outer.MinLength, outer.MaxLength, outer.Pattern, outer.ContentEncoding, outer.ContentMediaType, outer.ContentSchema = nil, nil, nil, nil, nil, nil
	outer.Maximum, outer.Minimum, outer.ExclusiveMaximum, outer.ExclusiveMinimum, outer.MultipleOf = nil, nil, nil, nil, nil
	return &outer
}

// unnamed takes the name of the effort out of the places.
func unnamed(e *jsonschema.ValidationError) {
	if len(e.InstanceLocation) > 0 && e.InstanceLocation[0] != "" && e.InstanceLocation[0][0] == 0 {
		e.InstanceLocation = e.InstanceLocation[1:]
	}
	for _, cause := range e.Causes {
		unnamed(cause)
	}
}

// values is how many values there are in one.
func values(v any) int {
	n := 1
	switch v := v.(type) {
	case map[string]any:
		for _, child := range v {
			n += values(child)
		}
	case []any:
		for _, child := range v {
			n += values(child)
		}
	}
	return n
}

// explorer finds the schemas whose checks are to be counted.
type explorer struct {
	counting counting
	ways     map[*jsonschema.Schema]int // to check one value, of schemas that are known; 0: they are on the path
	index    map[*jsonschema.Schema]int
	low      map[*jsonschema.Schema]int
	path     []*jsonschema.Schema
	dynamic  *jsonschema.Schema // where dynamic references may lead
}

func newExplorer() *explorer {
	return &explorer{
		counting: counting{&running{}}, ways: map[*jsonschema.Schema]int{}, index: map[*jsonschema.Schema]int{}, low: map[*jsonschema.Schema]int{},
	}
}

// explore says whether the checks of a schema are to be counted, and has those at all places with several ways count. It is Tarjan's way to find circles.
func (x *explorer) explore(s *jsonschema.Schema) (counted bool) {
	if _, known := x.ways[s]; !known {
		x.dynamic = s
		x.visit(s)
	}
	return x.ways[s] > fewWays
}

func (x *explorer) visit(s *jsonschema.Schema) {
	x.index[s] = len(x.index) + 1
	x.low[s] = x.index[s]
	x.ways[s] = 0
	x.path = append(x.path, s)
	nameWell(s)
	for _, group := range x.groups(s) {
		for _, next := range group {
			if x.index[next] == 0 {
				x.visit(next)
				x.low[s] = min(x.low[s], x.low[next])
			} else if x.ways[next] == 0 {
				x.low[s] = min(x.low[s], x.index[next])
			}
		}
	}
	if x.low[s] == x.index[s] {
		i := slices.Index(x.path, s)
		x.circle(x.path[i:])
		x.path = x.path[:i]
	}
}

// circle reckons for schemas that lead to each other.
func (x *explorer) circle(all []*jsonschema.Schema) {
	in := make(map[*jsonschema.Schema]bool, len(all))
	for _, s := range all {
		in[s] = true
	}
	ways := 0
	for _, s := range all {
		back := 0
		for _, group := range x.groups(s) {
			out, again := 0, false
			for _, next := range group {
				if again = again || in[next]; !in[next] {
					out = max(out, x.ways[next])
				}
			}
			if ways += out; again {
				back++
			}
		}
		if ways++; back > 1 {
			ways = fewWays + 1
		}
		ways = min(ways, fewWays+1)
	}
	for _, s := range all {
		x.ways[s] = ways
		if ways > fewWays && len(x.groups(s)) > 1 {
			probe := &jsonschema.Schema{DraftVersion: s.DraftVersion, Location: s.Location, Extensions: []jsonschema.SchemaExt{x.counting}}
			s.AllOf = append([]*jsonschema.Schema{probe}, s.AllOf...)
		}
	}
}

// groups are the schemas that a schema leads to, in groups: of each, one is for any one value. A schema for the value itself is a group of its own.
func (x *explorer) groups(s *jsonschema.Schema) (all [][]*jsonschema.Schema) {
	add := func(group ...*jsonschema.Schema) {
		group = slices.DeleteFunc(group, func(s *jsonschema.Schema) bool { return s == nil })
		if len(group) > 0 {
			all = append(all, group)
		}
	}
	schema := func(v any) *jsonschema.Schema { s, _ := v.(*jsonschema.Schema); return s }
	for _, list := range [...][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, {s.Ref, s.RecursiveRef, s.Not, s.If, s.Contains}} {
		for _, one := range list {
			add(one)
		}
	}
	add(s.Then, s.Else)
	if s.DynamicRef != nil {
		add(s.DynamicRef.Ref, x.dynamic)
	} else if s.RecursiveRef != nil {
		add(x.dynamic)
	}
	for _, one := range s.DependentSchemas {
		add(one)
	}
	for _, v := range s.Dependencies {
		add(schema(v))
	}
	for _, one := range s.PatternProperties {
		add(one)
	}
	members := []*jsonschema.Schema{schema(s.AdditionalProperties), s.UnevaluatedProperties, s.Items2020, schema(s.Items), schema(s.AdditionalItems), s.UnevaluatedItems}
	for _, one := range s.Properties {
		members = append(members, one)
	}
	if list, ok := s.Items.([]*jsonschema.Schema); ok {
		members = append(members, list...)
	}
	add(append(members, s.PrefixItems...)...)
	for _, ext := range s.Extensions {
		if several, ok := ext.(extensions); ok {
			for _, one := range several {
				if d, ok := one.(*discriminator); ok {
					var chosen []*jsonschema.Schema
					for _, to := range d.schemas {
						chosen = append(chosen, to)
					}
					add(chosen...)
				}
			}
		}
	}
	return all
}
