package schema

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Violation is one way in which a value is not as its schema says. It quotes names that the value has, and what the schema says, but no values.
type Violation struct {
	Pointer string // a JSON pointer to the part of the value; "" is the whole
	Reason  string
}

// Check returns what is wrong with a value that Decode or the like has made, at most so many violations, and whether there are more.
func (s *Schema) Check(v any, most int) (found []Violation, more bool) {
	if quick(s.compiled, v) == fits {
		return nil, false
	}
	err, ended := s.validate(v)
	if ended {
		return []Violation{{Reason: effortReason}}, false
	}
	if err == nil {
		return nil, false
	}
	var wrong *jsonschema.ValidationError
	if !errors.As(err, &wrong) {
		return []Violation{{Reason: "cannot be checked"}}, false
	}
	l := list{most: most}
	l.add(wrong)
	slices.SortFunc(l.found, func(a, b Violation) int {
		return cmp.Or(strings.Compare(a.Pointer, b.Pointer), strings.Compare(a.Reason, b.Reason))
	})
	return l.found, l.more
}

func (s *Schema) validate(v any) (err error, ended bool) { //nolint:revive // the error is what was found
	if s.counted != nil {
		return s.counted.validate(s.compiled, v)
	}
	return s.compiled.Validate(v), false
}

// list gathers violations from the tree that the compiler's checks return.
type list struct {
	found []Violation
	most  int
	more  bool
}

func (l *list) add(e *jsonschema.ValidationError) {
	if l.more {
		return
	}
	switch k := e.ErrorKind.(type) {
	case *kind.AnyOf:
		l.addAlternatives(e)
		return
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			l.addAlternatives(e)
			return
		}
	case *kind.Not, *kind.Contains, *kind.PropertyNames:
	default:
		if len(e.Causes) > 0 {
			for _, cause := range e.Causes {
				l.add(cause)
			}
			return
		}
	}
	l.put(e, reason(e.ErrorKind))
}

// addAlternatives tells of the one alternative that the value was meant for, where only one has its type; else that none fits.
func (l *list) addAlternatives(e *jsonschema.ValidationError) {
	var meant []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		if !unlike(cause, len(e.InstanceLocation)) {
			meant = append(meant, cause)
		}
	}
	if len(meant) == 1 {
		l.add(meant[0])
		return
	}
	l.put(e, fmt.Sprintf("fits none of the %d alternatives", len(e.Causes)))
}

// unlike says whether a value fails an alternative by being of another kind altogether.
func unlike(e *jsonschema.ValidationError, depth int) bool {
	if len(e.InstanceLocation) != depth {
		return false
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Type, *kind.FalseSchema:
		return true
	case *kind.Const:
		return true
	case *kind.Enum:
		return len(k.Want) == 1
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			if unlike(cause, depth) {
				return true
			}
		}
	}
	return false
}

// put adds a violation. That the whole value is not for the direction is none: it is said of properties.
func (l *list) put(e *jsonschema.ValidationError, reason string) {
	if _, is := e.ErrorKind.(*wrongWayError); is && len(e.InstanceLocation) == 0 {
		return
	}
	if len(l.found) == l.most {
		l.more = true
		return
	}
	l.found = append(l.found, Violation{Pointer: pointer(e.InstanceLocation), Reason: reason})
}

func pointer(tokens []string) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteByte('/')
		b.WriteString(Escape(t))
		if b.Len() > 500 {
			return cut(b.String(), 500)
		}
	}
	return b.String()
}

// reason says what is wrong, without the value.
func reason(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "expected " + strings.Join(k.Want, " or ") + ", got " + k.Got
	case *kind.Enum:
		return "is none of the values that are allowed"
	case *kind.Const:
		return "is not the one value that is allowed"
	case *kind.Format:
		return "is no valid " + k.Want
	case *kind.Pattern:
		return "does not match the pattern " + cut(k.Want, 200)
	case *kind.Required:
		return "lacks " + names(k.Missing)
	case *kind.AdditionalProperties:
		return "has " + names(k.Properties) + ", which it must not have"
	case *kind.MinLength:
		return fmt.Sprintf("has %d characters, fewer than %d", k.Got, k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("has %d characters, more than %d", k.Got, k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has %d items, fewer than %d", k.Got, k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has %d items, more than %d", k.Got, k.Want)
	case *kind.MinProperties:
		return fmt.Sprintf("has %d properties, fewer than %d", k.Got, k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has %d properties, more than %d", k.Got, k.Want)
	case *kind.Minimum:
		return "is less than " + number(k.Want)
	case *kind.Maximum:
		return "is more than " + number(k.Want)
	case *kind.ExclusiveMinimum:
		return "is not more than " + number(k.Want)
	case *kind.ExclusiveMaximum:
		return "is not less than " + number(k.Want)
	case *kind.MultipleOf:
		return "is no multiple of " + number(k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same item at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *kind.OneOf:
		return "fits more than one alternative"
	case *kind.Not:
		return "is what is not allowed"
	case *kind.FalseSchema:
		return "must not be there"
	case *kind.PropertyNames:
		return "has a name that is not allowed: " + cut(k.Property, 100)
	case *kind.Contains:
		return "has no item of those that it must have"
	case *kind.Dependency:
		return "lacks " + names(k.Missing) + ", which " + cut(k.Prop, 100) + " needs"
	case *kind.DependentRequired:
		return "lacks " + names(k.Missing) + ", which " + cut(k.Prop, 100) + " needs"
	case *kind.MinContains:
		return fmt.Sprintf("has fewer than %d items of those that it must have", k.Want)
	case *kind.MaxContains:
		return fmt.Sprintf("has more than %d items of those that it may have", k.Want)
	case *kind.AdditionalItems:
		return fmt.Sprintf("has %d items too many", k.Count)
	case *kind.RefCycle:
		return "cannot be checked: its schema refers to itself"
	case *wrongWayError:
		return k.reason()
	case *notChosenError:
		return k.why + " (" + cut(k.property, 100) + ")"
	}
	return "fails " + strings.Join(k.KeywordPath(), "/")
}

// names lists names, not too many and not too long.
func names(all []string) string {
	var b strings.Builder
	for i, name := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 10 {
			fmt.Fprintf(&b, "and %d more", len(all)-i)
			break
		}
		fmt.Fprintf(&b, "%q", cut(name, 100))
	}
	return b.String()
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return cut(r.Num().String(), 100)
	}
	f, _ := r.Float64()
	return fmt.Sprint(f)
}

// explain says where and why a schema cannot be compiled.
func explain(at Location, err error) error {
	text := err.Error()
	var invalid *jsonschema.SchemaValidationError
	if errors.As(err, &invalid) {
		var wrong *jsonschema.ValidationError
		if errors.As(invalid.Err, &wrong) {
			deep := wrong
			for len(deep.Causes) > 0 {
				deep = deepest(deep.Causes)
			}
			text = fmt.Sprintf("%s%s: %s", invalid.URL, pointer(deep.InstanceLocation), deep.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
			if !strings.Contains(invalid.URL, "#") {
				text = strings.Replace(text, invalid.URL, invalid.URL+"#", 1)
			}
		}
	}
	text = strings.ReplaceAll(ofParts(text), base, "")
	if at.File == inline {
		text = strings.ReplaceAll(text, inline, "the schema")
	}
	return fmt.Errorf("cannot compile the schema at %s: %s", strings.Replace(at.String(), inline, "the schema", 1), text)
}

// ofParts writes the URLs of parts as those of places in their documents.
func ofParts(text string) string {
	return partURL.ReplaceAllStringFunc(text, func(found string) string {
		name, pointer, _ := strings.Cut(found, "?")
		pointer = strings.TrimSuffix(pointer, "#")
		if plain, err := url.QueryUnescape(pointer); err == nil {
			pointer = plain
		}
		return name + "#" + pointer
	})
}

var partURL = regexp.MustCompile(`file:///[^\s?#"]*\?[^\s#"]*#?`)

// deepest is the cause that leads the furthest down.
func deepest(causes []*jsonschema.ValidationError) *jsonschema.ValidationError {
	deep := causes[0]
	for _, c := range causes {
		if len(c.InstanceLocation) > len(deep.InstanceLocation) {
			deep = c
		}
	}
	return deep
}

// inline is the name of documents that stand in a configuration.
const inline = "inline.json"

// Inline is the place of a schema that stands in a configuration. It is added to the files.
func Inline(files *Files, doc any) Location {
	files.Add(inline, doc)
	return Location{File: inline}
}
