package call

import (
	"fmt"
	"iter"

	"cardea.dev/cardea/config"
)

// Declared are calls by name, in the order in which they are written: first those below a key, where names may be those of settings, and then those
// beside the settings, which are More.
func Declared(self config.Node, key string, more map[string]config.Node) iter.Seq2[string, config.Node] {
	return func(yield func(string, config.Node) bool) {
		for name, node := range self.Field(key).Fields() {
			if !yield(name, node) {
				return
			}
		}
		for name := range self.Fields() {
			if node, is := more[name]; is && !yield(name, node) {
				return
			}
		}
	}
}

// CheckDeclared checks that there is a call, and none twice. Noun is what calls are called, and example how one is written.
func CheckDeclared(key, noun, example string, below, more map[string]config.Node) (errs []error) {
	if len(below)+len(more) == 0 {
		errs = append(errs, config.FieldErrorf("", "there is no %s; write one as in `%s`", noun, example))
	}
	for name := range below {
		if !more[name].IsZero() {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%q]", key, name), "there is a %s %q beside `%s`, too", noun, name, key))
		}
	}
	return errs
}
