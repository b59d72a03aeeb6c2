package schema

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// verdict is what a quick look at a value says of it.
type verdict int8

const (
	unsure verdict = iota // the compiler's own check must be asked
	fits
	fails
)

// is says that a value fits or fails.
func is(ok bool) verdict {
	if ok {
		return fits
	}
	return fails
}

// What a quick look goes to, before it leaves the value to the check whose effort is bounded.
const (
	maxQuick = 500     // how deep schemas and values are looked into
	maxLooks = 500_000 // at values by schemas; with alternatives within alternatives there can be any number
)

// quick says whether a value fits a schema, by the keywords that most schemas are made of. Unlike the compiler's own check it says nothing of what is wrong,
// and so has no places to keep, and it takes small integers for what they are.
func quick(s *jsonschema.Schema, v any) verdict {
	l := look{left: maxQuick, looks: maxLooks}
	return l.at(s, v)
}

// look is a quick look at a value.
type look struct {
	left  int  // how much deeper it may go
	looks int  // how many more there may be
	ended bool // it was too much: a schema may refer to itself, so that there is no end to what could be tried
}

// at looks at a value by a schema.
func (l *look) at(s *jsonschema.Schema, v any) verdict {
	if s.Bool != nil {
		return is(*s.Bool)
	}
	if l.ended = l.ended || l.left == 0 || l.looks == 0; l.ended || isRare(s) {
		return unsure
	}
	l.left--
	l.looks--
	found := l.all(s, v)
	l.left++
	return found
}

// all looks at all keywords of a schema.
func (l *look) all(s *jsonschema.Schema, v any) verdict {
	found := self(s, v)
	if found != fits {
		return found
	}
	if s.Ref != nil {
		if found = l.at(s.Ref, v); s.DraftVersion < 2019 || found != fits {
			return found
		}
	}
	switch v := v.(type) {
	case map[string]any:
		found = l.object(s, v)
	case []any:
		found = l.array(s, v)
	case string:
		found = is(isLike(s, v))
	case json.Number:
		found = is(inRange(s, string(v)))
	case nil, bool:
	default: // it is not of the reader
		return unsure
	}
	if found != fits {
		return found
	}
	if found = l.combined(s, v); found != fits {
		return found
	}
	return l.extensions(s, v)
}

// isRare says whether a schema has keywords that are not looked at.
func isRare(s *jsonschema.Schema) bool {
	return s.DynamicRef != nil || s.RecursiveRef != nil || s.UnevaluatedProperties != nil || s.UnevaluatedItems != nil || s.Contains != nil ||
		s.PropertyNames != nil || s.Dependencies != nil || s.DependentRequired != nil || s.DependentSchemas != nil ||
		s.ContentEncoding != nil || s.ContentMediaType != nil || s.ContentSchema != nil
}

// The types that schemas may name.
var (
	isNull    = typed("null")
	isBoolean = typed("boolean")
	isNumber  = typed("number")
	isInteger = typed("integer")
	isString  = typed("string")
	isArray   = typed("array")
	isObject  = typed("object")
)

func typed(name string) (t jsonschema.Types) {
	t.Add(name)
	return t
}

// self looks at the keywords that are for values of any type.
func self(s *jsonschema.Schema, v any) verdict {
	if s.Types != nil && !s.Types.IsEmpty() {
		if found := typeOf(*s.Types, v); found != fits {
			return found
		}
	}
	if s.Const != nil {
		if found := same(v, *s.Const); found != fits {
			return found
		}
	}
	if s.Enum != nil {
		if found := oneOf(v, s.Enum.Values); found != fits {
			return found
		}
	}
	return is(s.Format == nil || s.Format.Validate(v) == nil)
}

func typeOf(allowed jsonschema.Types, v any) verdict {
	var own jsonschema.Types
	switch v := v.(type) {
	case nil:
		own = isNull
	case bool:
		own = isBoolean
	case string:
		own = isString
	case []any:
		own = isArray
	case map[string]any:
		own = isObject
	case json.Number:
		own = isNumber
		if allowed&isNumber == 0 && allowed&isInteger != 0 && isWhole(string(v)) {
			own = isInteger
		}
	default:
		return unsure
	}
	return is(allowed&own != 0)
}

// oneOf says whether a value is one of those that are listed.
func oneOf(v any, all []any) verdict {
	found := fails
	for _, one := range all {
		switch same(v, one) {
		case fits:
			return fits
		case unsure:
			found = unsure
		}
	}
	return found
}

// isLike looks at the keywords for texts.
func isLike(s *jsonschema.Schema, v string) bool {
	if (s.MinLength != nil || s.MaxLength != nil) && !within(utf8.RuneCountInString(v), s.MinLength, s.MaxLength) {
		return false
	}
	return s.Pattern == nil || s.Pattern.MatchString(v)
}

func within(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}

func (l *look) object(s *jsonschema.Schema, o map[string]any) verdict {
	if !within(len(o), s.MinProperties, s.MaxProperties) {
		return fails
	}
	for _, name := range s.Required {
		if _, has := o[name]; !has {
			return fails
		}
	}
	for name, v := range o {
		if found := l.property(s, name, v); found != fits {
			return found
		}
	}
	return fits
}

func (l *look) property(s *jsonschema.Schema, name string, v any) verdict {
	own, known := s.Properties[name]
	if known {
		if found := l.at(own, v); found != fits {
			return found
		}
	}
	for pattern, one := range s.PatternProperties {
		if !pattern.MatchString(name) {
			continue
		}
		known = true
		if found := l.at(one, v); found != fits {
			return found
		}
	}
	if known {
		return fits
	}
	return l.other(s.AdditionalProperties, v)
}

// other looks at what a keyword says of what others do not speak of: nothing, yes or no, or a schema.
func (l *look) other(rule, v any) verdict {
	switch rule := rule.(type) {
	case nil:
		return fits
	case bool:
		return is(rule)
	case *jsonschema.Schema:
		return l.at(rule, v)
	}
	return unsure
}

func (l *look) array(s *jsonschema.Schema, a []any) verdict {
	if !within(len(a), s.MinItems, s.MaxItems) {
		return fails
	}
	if s.UniqueItems {
		if found := unique(a); found != fits {
			return found
		}
	}
	first, rest := s.PrefixItems, any(nil)
	if s.Items2020 != nil {
		rest = s.Items2020
	}
	if s.DraftVersion < 2020 {
		first, rest = nil, s.AdditionalItems
		switch items := s.Items.(type) {
		case *jsonschema.Schema:
			rest = items
		case []*jsonschema.Schema:
			first = items
		}
	}
	for i, v := range a {
		var found verdict
		if i < len(first) {
			found = l.at(first[i], v)
		} else {
			found = l.other(rest, v)
		}
		if found != fits {
			return found
		}
	}
	return fits
}

// unique says whether no item stands twice. It is unsure of long lists, where each with each would take too long.
func unique(a []any) verdict {
	if len(a) > 20 {
		return unsure
	}
	for i, v := range a {
		switch oneOf(v, a[:i]) {
		case fits:
			return fails
		case unsure:
			return unsure
		}
	}
	return fits
}

// combined looks at the keywords that combine schemas.
func (l *look) combined(s *jsonschema.Schema, v any) verdict {
	if s.Not != nil {
		if found := l.at(s.Not, v); found != fails {
			return opposite(found)
		}
	}
	for _, one := range s.AllOf {
		if found := l.at(one, v); found != fits {
			return found
		}
	}
	if len(s.AnyOf) > 0 {
		if found := l.choice(s.AnyOf, v, false); found != fits {
			return found
		}
	}
	if len(s.OneOf) > 0 {
		if found := l.choice(s.OneOf, v, true); found != fits {
			return found
		}
	}
	if s.If == nil {
		return fits
	}
	then := s.Then
	switch l.at(s.If, v) {
	case unsure:
		return unsure
	case fails:
		then = s.Else
	}
	if then == nil {
		return fits
	}
	return l.at(then, v)
}

func opposite(v verdict) verdict {
	switch v {
	case fits:
		return fails
	case fails:
		return fits
	}
	return unsure
}

// choice says whether a value fits one of several schemas, and no other one where it may fit one only.
func (l *look) choice(all []*jsonschema.Schema, v any, one bool) verdict {
	n, sure := 0, true
	for _, s := range all {
		switch l.at(s, v) {
		case fits:
			n++
		case unsure:
			sure = false
		}
		if n == 1 && !one {
			return fits
		}
	}
	switch {
	case n > 1:
		return fails
	case !sure:
		return unsure
	}
	return is(n == 1)
}

// extensions looks at what OpenAPI adds.
func (l *look) extensions(s *jsonschema.Schema, v any) verdict {
	for _, list := range s.Extensions {
		all, known := list.(extensions)
		if !known {
			return unsure
		}
		for _, one := range all {
			found := unsure
			switch one := one.(type) {
			case wrongWay:
				found = fails
			case *discriminator:
				if _, is := v.(map[string]any); is {
					found = fails
				}
				if to := one.chosen(v); to != nil {
					found = l.at(to, v)
				}
			}
			if found != fits {
				return found
			}
		}
	}
	return fits
}
