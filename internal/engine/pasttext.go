package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cardea.dev/cardea/filter"
)

// Text writes what is remembered of a request for people.
func (p *Past) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "request %s from %s at %s\n", p.RequestID, p.Client, p.Time.Format("2006-01-02 15:04:05.000 -07:00"))
	fmt.Fprintf(&b, "        %s %s\n", p.Method, p.URL)
	if p.Route != "" {
		fmt.Fprintf(&b, "route   %s\n        at %s\n", p.Route, p.Where)
	} else {
		b.WriteString("route   none\n")
	}
	if p.Upstream != "" && len(p.Attempts) == 0 && len(p.Calls) == 0 {
		fmt.Fprintf(&b, "target  upstream %s: nothing was sent\n", p.Upstream)
	}
	p.writeAnswer(&b)
	for _, line := range []string{p.Detail, p.Cause} {
		if line != "" {
			fmt.Fprintf(&b, "        %s\n", strings.ReplaceAll(line, "\n", "\n        "))
		}
	}
	if p.Limit != "" {
		fmt.Fprintf(&b, "limit   %s, which counted it for %q\n", p.Limit, p.LimitKey)
	}
	if p.Cache != "" {
		fmt.Fprintf(&b, "cache   %s\n", strings.TrimSpace(p.Cache+" "+p.CacheWhy))
	}
	if p.Fallback != "" {
		fmt.Fprintf(&b, "instead %s\n", p.Fallback)
	}
	for i := range p.Attempts {
		fmt.Fprintf(&b, "try %d   %s\n", i+1, p.Attempts[i].text(p.Attempts[i].Upstream+" "))
	}
	if len(p.Calls) > 0 {
		p.writeCalls(&b)
	}
	return printable(b.String())
}

// printable is a text without what terminals would take for orders: upstreams, and those who ask, may have had words in it.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if unprintable(c) {
			quoted := strconv.QuoteRuneToASCII(c)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// unprintable says whether a character is one that controls, or turns the direction of those around it.
func unprintable(c rune) bool {
	return c != '\n' && (unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == utf8.RuneError)
}

// writeAnswer says what the client got, and when.
func (p *Past) writeAnswer(b *strings.Builder) {
	fmt.Fprintf(b, "answer  %d", p.Status)
	if p.Code != "" {
		fmt.Fprintf(b, " %s, caused by the %s", p.Code, p.Source)
	}
	if p.TookMS > 0 {
		fmt.Fprintf(b, ", after %.1f ms", p.TookMS)
		if p.FirstMS > 0 && p.TookMS-p.FirstMS >= 1 {
			fmt.Fprintf(b, ", its head after %.1f ms", p.FirstMS)
		}
	}
	if p.Aborted {
		b.WriteString(", and was cut")
	}
	b.WriteString("\n")
}

// text is an attempt in words.
func (a *AttemptOut) text(where string) string {
	text := strings.TrimSpace(where + a.Endpoint)
	if a.ConnectMS > 0 {
		text += fmt.Sprintf(" connected in %.1f ms,", a.ConnectMS)
	}
	if a.Status != 0 {
		text += fmt.Sprintf(" answered %d after %.1f ms", a.Status, a.FirstMS)
	}
	text = strings.TrimSuffix(text, ",")
	if a.Error != "" {
		text += ": " + strings.ReplaceAll(a.Error, "\n", "; ")
	}
	return text
}

// chartWidth is how many columns the time has.
const chartWidth = 40

// chart draws calls against time.
type chart struct {
	b     *strings.Builder
	total float64
	name  int // width of names
}

// writeCalls draws the calls against time, and says of each what came of it.
func (p *Past) writeCalls(b *strings.Builder) {
	c := chart{b: b, total: p.TookMS, name: 4}
	for i := range p.Calls {
		call := &p.Calls[i]
		c.name = max(c.name, utf8.RuneCountInString(call.Call))
		if call.Time != nil {
			c.total = max(c.total, call.Time.last())
		}
	}
	c.total = max(c.total, .001)
	p.writePath(b)
	end := fmt.Sprintf("%.1f ms", c.total)
	fmt.Fprintf(b, "\n    %-*s %9s %9s  0%*s\n", c.name, "", "began at", "took", chartWidth, end)
	for i := range p.Calls {
		c.draw(&p.Calls[i])
	}
}

// writePath says which calls the request has waited for.
func (p *Past) writePath(b *strings.Builder) {
	var way []*CallOut
	for i := range p.Calls {
		if p.Calls[i].Critical {
			way = append(way, &p.Calls[i])
		}
	}
	if len(way) == 0 {
		b.WriteString("calls   none was made\n")
		return
	}
	slices.SortFunc(way, func(a, b *CallOut) int { return cmp.Compare(a.Time.BeginMS, b.Time.BeginMS) })
	b.WriteString("calls   its time is that of ")
	for i, c := range way {
		if i > 0 {
			b.WriteString(", then ")
		}
		fmt.Fprintf(b, "%s (%.1f ms)", c.Call, c.Time.last()-c.Time.BeginMS)
	}
	b.WriteString(", marked with *\n")
	first, last := way[0].Time.BeginMS, way[len(way)-1].Time.last()
	if first >= 10 && first >= p.TookMS/10 {
		fmt.Fprintf(b, "        before them %.1f ms passed: policies, and the body of the request\n", first)
	}
	if after := p.TookMS - last; after >= 10 && after >= p.TookMS/10 {
		fmt.Fprintf(b, "        after them %.1f ms passed: policies, and the pace at which the client took the answer\n", after)
	}
}

// draw draws a call.
func (c *chart) draw(o *CallOut) {
	mark := " "
	if o.Critical {
		mark = "*"
	}
	pad := strings.Repeat(" ", c.name-utf8.RuneCountInString(o.Call))
	if o.Time == nil {
		fmt.Fprintf(c.b, "  %s %s%s %9s %9s  %s  %s\n", mark, o.Call, pad, "-", "-", strings.Repeat(" ", chartWidth+1), o.outcome())
		return
	}
	t := o.Time
	fmt.Fprintf(c.b, "  %s %s%s %9.1f %9.1f  %s  %s\n", mark, o.Call, pad, t.BeginMS, t.EndMS-t.BeginMS, c.bar(t), o.outcome())
	for _, line := range o.details() {
		fmt.Fprintf(c.b, "      %s\n", line)
	}
}

// bar is the time of a call: dots while it waited for its turn, a block for each column in which it was under way, and lines while its answer was passed on.
func (c *chart) bar(t *CallTime) string {
	column := func(at float64) int { return min(int(at/c.total*(chartWidth+1)), chartWidth) }
	var b strings.Builder
	for k := range chartWidth + 1 {
		switch {
		case k >= column(t.BeginMS) && k <= column(t.EndMS):
			b.WriteString("█")
		case k > column(t.EndMS) && k <= column(t.PassedMS):
			b.WriteString("─")
		case t.QueuedMS > 0 && k < column(t.BeginMS) && k >= column(t.BeginMS-t.QueuedMS):
			b.WriteString("·")
		default:
			b.WriteString(" ")
		}
	}
	return b.String()
}

// outcome is what came of the call, and what it had waited for.
func (c *CallOut) outcome() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch c.Outcome {
	case filter.CallOK:
		if c.Status > 0 {
			add("%d", c.Status)
		} else {
			add("ok")
		}
	case filter.CallSkipped:
		add("not made: `when` did not hold")
	case filter.CallWaiting:
		add("not made: all was over before")
	case filter.CallDefault:
		add("failed%s, its default stands in", c.statusAfter(" with "))
	case filter.CallFails:
		add("failed%s", c.statusAfter(" with "))
		if c.Optional {
			add("it is missing")
		}
	case filter.CallUnknown:
		add("nobody knows whether it was done%s", c.statusAfter(", answered "))
	case filter.CallKept:
		add("kept, though nobody knows whether it was done%s", c.statusAfter(", answered "))
	case filter.CallStuck:
		add("could not be undone")
	default:
		add("%s%s", c.Outcome, c.statusAfter(", answered "))
	}
	if l := c.Loop; l != nil {
		add("%d of %d made", l.Made, l.Times)
		if l.Failed > 0 {
			add("%d failed", l.Failed)
		}
		if l.Shared > 0 {
			add("%d had the answer of another", l.Shared)
		}
	}
	if c.SameAs != "" && c.Loop == nil {
		add("the answer of %s, for the request is the same", c.SameAs)
	}
	if len(c.After) > 0 {
		add("after %s", strings.Join(c.After, " and "))
	}
	return strings.Join(parts, ", ")
}

// statusAfter is the status that was answered, after some words, or "".
func (c *CallOut) statusAfter(words string) string {
	if c.Status == 0 {
		return ""
	}
	return fmt.Sprintf("%s%d", words, c.Status)
}

// details are what operators want to know of a call that failed, was tried again, or that the whole has waited for.
func (c *CallOut) details() (lines []string) {
	if c.Outcome == filter.CallSkipped {
		if c.When != "" {
			lines = append(lines, "when "+strings.Join(strings.Fields(c.When), " "))
		}
		return lines
	}
	if !c.failing() && !c.Critical && c.Tries < 2 {
		return nil
	}
	line := c.Method + " " + c.Upstream + c.Path
	if l := c.Loop; l != nil {
		if l.Element != l.Slowest {
			lines = append(lines, fmt.Sprintf("the slowest was element %d: %.1f ms", l.Slowest, l.SlowestMS))
			line = fmt.Sprintf("element %d: %s", l.Element, line)
		} else {
			line = fmt.Sprintf("element %d, the slowest: %.1f ms: %s", l.Element, l.SlowestMS, line)
		}
	}
	lines = append(lines, line)
	if last := len(c.Attempts) - 1; c.Why != "" && (last < 0 || !strings.HasSuffix(c.Attempts[last].Error, c.Why)) {
		lines = append(lines, strings.TrimPrefix(fmt.Sprintf("%s: %s", c.Code, strings.ReplaceAll(c.Why, "\n", "; ")), ": "))
	}
	if t := c.Time; t != nil && t.QueuedMS >= 1 {
		lines = append(lines, fmt.Sprintf("waited %.1f ms for its turn", t.QueuedMS))
	}
	if t := c.Time; t != nil && t.PassedMS > 0 {
		lines = append(lines, fmt.Sprintf("its answer is a long one, the rest of which was passed on until %.1f ms", t.PassedMS))
	}
	for i := range c.Attempts {
		n := i + 1
		if i == len(c.Attempts)-1 {
			n = c.Tries
		}
		lines = append(lines, fmt.Sprintf("try %d at %.1f ms: %s", n, c.Attempts[i].StartMS, c.Attempts[i].text("")))
	}
	return lines
}

// writeTo writes what answers, and the calls that it would make.
func (t *TargetOut) writeTo(b *strings.Builder) {
	if len(t.Calls) == 0 {
		fmt.Fprintf(b, "target  %s: %s\n", t.Kind, t.Note)
		return
	}
	fmt.Fprintf(b, "target  %s: %d calls", t.Kind, len(t.Calls))
	if t.Rest != "" {
		fmt.Fprintf(b, "; %s", t.Rest)
	}
	b.WriteString("\n")
	width := 0
	for i := range t.Calls {
		width = max(width, utf8.RuneCountInString(t.Calls[i].Call))
	}
	order := slices.Clone(t.Calls)
	slices.SortStableFunc(order, func(a, b CallOut) int { return cmp.Compare(level(&a), level(&b)) })
	last := 0
	for i := range order {
		c := &order[i]
		head := "  "
		if c.Level > 0 && c.Level != last {
			head = fmt.Sprintf("%2d", c.Level)
		}
		last = c.Level
		fmt.Fprintf(b, "  %s  %s%s  %s\n", head, c.Call, strings.Repeat(" ", width-utf8.RuneCountInString(c.Call)), c.planned())
	}
}

// level is the place of a call in a plan: those that undo come last.
func level(c *CallOut) int {
	if c.Level == 0 {
		return filter.MaxCalls + 1
	}
	return c.Level
}

// planned says what a call would do, and when.
func (c *CallOut) planned() string {
	text := c.Method + " " + c.Upstream + c.Path
	if c.Operation != "" {
		text += ", which is " + c.Operation
	}
	if c.Each != "" {
		text += ", for each of " + c.Each
	}
	if len(c.After) > 0 {
		text += ", after " + strings.Join(c.After, " and ")
	}
	if c.When != "" {
		text += ", when " + strings.Join(strings.Fields(c.When), " ")
	}
	if c.Optional {
		text += ", optional"
	}
	if c.Note != "" {
		text += ", " + c.Note
	}
	if c.Role == filter.Undoes {
		text += ", undoes " + c.Of
	}
	return text
}
