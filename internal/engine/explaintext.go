package engine

import (
	"fmt"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// Text writes the explanation for people.
func (e *Explanation) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s from %s\n\n", e.Method, e.URL, e.Client)
	if e.Error != "" {
		fmt.Fprintf(&b, "refused before it is routed: %s\n", e.Error)
		return b.String()
	}
	e.writeRoute(&b)
	e.writeNearer(&b)
	e.writePolicies(&b)
	if e.Target != nil {
		e.Target.writeTo(&b)
	} else {
		fmt.Fprintf(&b, "outcome %s\n", e.Outcome)
	}
	return b.String()
}

func (e *Explanation) writeRoute(b *strings.Builder) {
	if e.Route == nil {
		b.WriteString("route   none matches\n")
		if len(e.Methods) > 0 {
			fmt.Fprintf(b, "        only the method is wrong: %s would match\n", strings.Join(e.Methods, ", "))
		}
		return
	}
	fmt.Fprintf(b, "route   %s\n        matches %s\n        at %s\n", e.Route.Name, e.Route.Match, e.Route.Where)
	names := make([]string, 0, len(e.Params))
	for name := range e.Params {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(b, "        path.%s = %q\n", name, e.Params[name])
	}
}

func (e *Explanation) writeNearer(b *strings.Builder) {
	if len(e.Nearer) == 0 {
		b.WriteString("\n")
		return
	}
	if e.Route == nil {
		b.WriteString("\nnearest, and why they do not match:\n")
	} else {
		b.WriteString("\nmore specific, but not matching:\n")
	}
	for _, c := range e.Nearer {
		what := c.Condition
		if c.Of != "" {
			what += " " + c.Of
		}
		got := c.Got
		if got == "" {
			got = "nothing"
		}
		fmt.Fprintf(b, "  - %s\n    %s: wanted %s, got %s\n", c.Match, what, c.Wanted, got)
		if c.Hint != "" {
			fmt.Fprintf(b, "    %s\n", c.Hint)
		}
		fmt.Fprintf(b, "    at %s\n", c.Where)
	}
	b.WriteString("\n")
}

func (e *Explanation) writePolicies(b *strings.Builder) {
	if len(e.Policies) == 0 {
		b.WriteString("no policies\n\n")
		return
	}
	b.WriteString("policies, in order:\n")
	width := 14
	for _, p := range e.Policies {
		width = max(width, len(p.Policy))
	}
	for _, p := range e.Policies {
		mark := map[filter.Action]string{filter.Answers: "←", filter.Rejects: "✗", NotReached: "·", filter.Unknown: "?"}[p.Action]
		if mark == "" {
			mark = "✓"
		}
		fmt.Fprintf(b, "  %s %-*s %-14s %s", mark, width, p.Policy, p.Stage, p.Action)
		if p.Note != "" {
			fmt.Fprintf(b, ": %s", p.Note)
		}
		fmt.Fprintf(b, "\n    at %s\n", p.Where)
	}
	b.WriteString("\n")
}
