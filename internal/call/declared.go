package call

import (
	"fmt"

	"cardea.dev/cardea/config"
)

// Declaration is a call as a configuration declares it. T is its type there.
type Declaration[T any] struct {
	Name string
	Node config.Node // as it is written
	Call T
}

// Declared are calls by name, in the order in which they are written: first those below a key, where names may be those of settings, and then those
// beside the settings, which are more. Self is where all of them stand.
func Declared[T any](self config.Node, key string, below, more map[string]T) (all []Declaration[T]) {
	for name, node := range self.Field(key).Fields() {
		if c, is := below[name]; is {
			all = append(all, Declaration[T]{name, node, c})
		}
	}
	for name, node := range self.Fields() {
		if c, is := more[name]; is {
			all = append(all, Declaration[T]{name, node, c})
		}
	}
	return all
}

// CheckDeclared checks that there is a call, and none twice. Noun is what calls are called, and example how one is written.
func CheckDeclared[T any](key, noun, example string, below, more map[string]T) (errs []error) {
	if len(below)+len(more) == 0 {
		errs = append(errs, config.FieldErrorf("", "there is no %s; write one as in `%s`", noun, example))
	}
	for name := range below {
		if _, twice := more[name]; twice {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%q]", key, name), "there is a %s %q beside `%s`, too", noun, name, key))
		}
	}
	return errs
}
