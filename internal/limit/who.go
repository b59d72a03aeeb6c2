package limit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Who says which requests something else holds for, such as another limit. All that is written must fit. Policies have it inline.
type Who struct {
	// Consumers are consumers of which the caller must be one. By default any.
	Consumers []string `yaml:"consumers"`

	// Groups are groups of which the caller must be in one. By default any.
	Groups []string `yaml:"groups"`

	// Tags are tags that the caller's consumer must have, such as {plan: gold}. By default any.
	Tags map[string]string `yaml:"tags"`

	// When is a CEL expression that must be true. One that cannot be evaluated is not. By default none.
	When string `yaml:"when"`

	when filter.Condition
}

// Check refuses what says nothing.
func (w *Who) Check() error {
	if len(w.Consumers)+len(w.Groups)+len(w.Tags) == 0 && strings.TrimSpace(w.When) == "" {
		return errors.New("it does not say for whom: write `consumers`, `groups`, `tags` or `when`")
	}
	return nil
}

// Compile readies it for Fits. Its errors are config.FieldErrorf's.
func (w *Who) Compile(env *filter.Env) error {
	var errs []error
	for i, name := range w.Consumers {
		if env.Consumers.Named(name) == nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("consumers[%d]", i), "there is no consumer %q", name))
		}
	}
	if w.When == "" {
		return errors.Join(errs...)
	}
	when, err := env.Expr.Condition(w.When)
	if err == nil {
		err = notYet(env, w.When)
	}
	if err != nil {
		errs = append(errs, config.FieldErrorf("when", "%w", err))
	}
	w.when = when
	return errors.Join(errs...)
}

// Fits says whether a request is one of those.
func (w *Who) Fits(ex *filter.Exchange) bool {
	id := ex.Identity
	if id == nil && len(w.Consumers)+len(w.Groups)+len(w.Tags) > 0 {
		return false
	}
	if len(w.Consumers) > 0 && !slices.Contains(w.Consumers, id.Consumer) {
		return false
	}
	if len(w.Groups) > 0 && !slices.ContainsFunc(w.Groups, func(group string) bool { return slices.Contains(id.Groups, group) }) {
		return false
	}
	for name, want := range w.Tags {
		if got, ok := id.Tags[name]; !ok || got != want {
			return false
		}
	}
	if w.when == nil {
		return true
	}
	holds, err := w.when(ex)
	return err == nil && holds
}

// String says for whom it is.
func (w *Who) String() string {
	var parts []string
	if len(w.Consumers) > 0 {
		parts = append(parts, "consumers "+strings.Join(w.Consumers, ", "))
	}
	if len(w.Groups) > 0 {
		parts = append(parts, "groups "+strings.Join(w.Groups, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Tags)) {
		parts = append(parts, "tag "+name+" "+w.Tags[name])
	}
	if w.When != "" {
		parts = append(parts, "when "+w.When)
	}
	return "for " + strings.Join(parts, "; ")
}
