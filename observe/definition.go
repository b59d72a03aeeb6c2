package observe

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Definition is what a metric is, for the manual and for the test of names.
type Definition struct {
	Name   string   `json:"name"` // with the prefix
	Kind   string   `json:"kind"` // "counter", "gauge" or "histogram"
	Help   string   `json:"help"`
	Labels []string `json:"labels,omitempty"`
}

// definition makes a Definition of a name without the prefix.
func definition(kind, name, help string, labels []string) Definition {
	return Definition{Name: prefix + "_" + name, Kind: kind, Help: help, Labels: slices.Clone(labels)}
}

// Check says what is wrong with how a metric is named: names are in snake case; counters end in _total and nothing else does; durations are
// in _seconds, sizes in _bytes; there is a help, which is a sentence.
func (d Definition) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(d.Name+": "+format, args...)) }
	snake := regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	if !snake.MatchString(d.Name) || !strings.HasPrefix(d.Name, prefix+"_") {
		wrong("the name is not in snake case with the prefix %s_", prefix)
	}
	if total := strings.HasSuffix(d.Name, "_total"); total != (d.Kind == "counter") {
		wrong("counters, and nothing else, end in _total")
	}
	for _, unit := range []string{"ms", "millis", "milliseconds", "us", "minutes", "hours", "duration", "latency"} {
		if strings.HasSuffix(d.Name, "_"+unit) || strings.HasSuffix(d.Name, "_"+unit+"_total") {
			wrong("durations are in _seconds")
		}
	}
	for _, unit := range []string{"kb", "kib", "mb", "mib", "size"} {
		if strings.HasSuffix(d.Name, "_"+unit) || strings.HasSuffix(d.Name, "_"+unit+"_total") {
			wrong("sizes are in _bytes")
		}
	}
	if !strings.HasSuffix(d.Help, ".") {
		wrong("the help is not a sentence: %q", d.Help)
	}
	for _, label := range d.Labels {
		if !snake.MatchString(label) {
			wrong("the label %q is not in snake case", label)
		}
	}
	return errors.Join(errs...)
}
