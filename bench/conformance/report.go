//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"

	"cardea.dev/cardea/bench/conformance/suite"
)

// report is what all caches did, side by side.
type report struct{ columns []column }

type column struct {
	name, version string
	results       []suite.Result
}

// tally counts outcomes of one kind of scenario.
type tally [3]int

func (c *column) count(kind suite.Kind) (t tally) {
	for _, r := range c.results {
		if r.Scenario.Kind == kind {
			t[r.Outcome]++
		}
	}
	return t
}

// print writes how many scenarios passed, as Markdown, and if it is to say more, which did not, and why.
func (r *report) print(w io.Writer, verbose bool) {
	fmt.Fprintf(w, "| cache | required: passed, failed, untested | recommended | optional | version |\n|---|---|---|---|---|\n")
	for i := range r.columns {
		c := &r.columns[i]
		fmt.Fprintf(w, "| %s |", c.name)
		for _, kind := range []suite.Kind{suite.Required, suite.Recommended, suite.Optional} {
			t := c.count(kind)
			fmt.Fprintf(w, " **%d**, %d, %d |", t[suite.Passed], t[suite.Failed], t[suite.Untested])
		}
		fmt.Fprintf(w, " %s |\n", c.version)
	}
	r.areas(w)
	if !verbose {
		return
	}
	for _, kind := range []suite.Kind{suite.Required, suite.Recommended, suite.Optional} {
		r.differences(w, kind)
	}
	r.reasons(w)
}

// areas counts, for each area of the table, what is required or recommended and passed.
func (r *report) areas(w io.Writer) {
	fmt.Fprintf(w, "\n| area | required, recommended |")
	for _, c := range r.columns {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(r.columns)))
	var areas []string
	all, passed := map[string]int{}, map[string][]int{}
	for i := range r.columns[0].results {
		s := r.columns[0].results[i].Scenario
		if s.Kind == suite.Optional {
			continue
		}
		area, _, _ := strings.Cut(s.ID, "-")
		if all[area]++; all[area] == 1 {
			areas, passed[area] = append(areas, area), make([]int, len(r.columns))
		}
		for j, c := range r.columns {
			if c.results[i].Outcome == suite.Passed {
				passed[area][j]++
			}
		}
	}
	for _, area := range areas {
		fmt.Fprintf(w, "| %s | %d |", area, all[area])
		for _, n := range passed[area] {
			fmt.Fprintf(w, " %d |", n)
		}
		fmt.Fprintln(w)
	}
}

// differences lists the scenarios of one kind that not all passed.
func (r *report) differences(w io.Writer, kind suite.Kind) {
	fmt.Fprintf(w, "\n%s: where not all pass (F failed, - untested)\n\n| scenario | RFC |", kind)
	for _, c := range r.columns {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(r.columns)))
	for i := range r.columns[0].results {
		s := r.columns[0].results[i].Scenario
		cells, all := "", true
		for _, c := range r.columns {
			outcome := c.results[i].Outcome
			all = all && outcome == suite.Passed
			cells += [...]string{" |", " F |", " - |"}[outcome]
		}
		if s.Kind == kind && !all {
			fmt.Fprintf(w, "| %s | %s |%s\n", s.ID, s.Section, cells)
		}
	}
}

// reasons lists why scenarios did not pass.
func (r *report) reasons(w io.Writer) {
	for _, c := range r.columns {
		fmt.Fprintf(w, "\n%s\n\n", c.name)
		for _, result := range c.results {
			if result.Outcome != suite.Passed {
				s := result.Scenario
				fmt.Fprintf(w, "%s %s %s (RFC %s: %s): %s\n", result.Outcome, s.Kind, s.ID, s.Section, s.About, result.Reason)
			}
		}
	}
}
