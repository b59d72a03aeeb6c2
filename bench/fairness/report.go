package main

import (
	"encoding/csv"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// total is how many requests were served.
func (o *outcome) total() (n int) {
	for i := range o.callers {
		n += o.callers[i].served
	}
	return n
}

// share is a caller's part of what was served.
func (o *outcome) share(c *caller) float64 { return float64(c.served) / float64(max(o.total(), 1)) }

// index is Jain's index of fairness: 1 when all callers were served alike, and 1/n when only one of n was.
func (o *outcome) index() float64 {
	sum, squares := 0.0, 0.0
	for i := range o.callers {
		x := float64(o.callers[i].served)
		sum, squares = sum+x, squares+x*x
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(o.callers)) * squares)
}

// wait is the time that this share of a caller's requests took no longer than.
func (c *caller) wait(share float64) time.Duration {
	if len(c.waits) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(c.waits))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// print tells of the greedy caller, and of the polite ones together.
func (o *outcome) print(w io.Writer) {
	greedy, polite := &o.callers[0], o.callers[1:]
	least, most, waits := polite[0].served, 0, []time.Duration{}
	for i := range polite {
		least, most, waits = min(least, polite[i].served), max(most, polite[i].served), append(waits, polite[i].waits...)
	}
	all := caller{waits: waits}
	fmt.Fprintf(w, "%s\n  %d served; index of fairness %.2f\n", o.limit, o.total(), o.index())
	fmt.Fprintf(w, "  greedy: %d served (%.0f%%), %d refused, half of them within %s\n",
		greedy.served, 100*o.share(greedy), greedy.refused, greedy.wait(0.5).Round(time.Millisecond))
	fmt.Fprintf(w, "  %d polite: %d to %d served each, half of them within %s, 99%% within %s\n\n",
		len(polite), least, most, all.wait(0.5).Round(time.Millisecond), all.wait(0.99).Round(time.Millisecond))
}

// csvOf writes a line for each caller.
func csvOf(all []outcome) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write([]string{"limit", "caller", "served", "refused", "share", "most_at_once", "p50_ms", "p99_ms"})
	for i := range all {
		for j := range all[i].callers {
			c := &all[i].callers[j]
			_ = w.Write([]string{
				all[i].limit, c.name, strconv.Itoa(c.served), strconv.Itoa(c.refused), fmt.Sprintf("%.4f", all[i].share(c)), strconv.Itoa(c.most),
				fmt.Sprintf("%.1f", millis(c.wait(0.5))), fmt.Sprintf("%.1f", millis(c.wait(0.99))),
			})
		}
	}
	w.Flush() // it writes to memory: nothing can fail
	return b.String()
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Sizes of the picture.
const (
	width  = 760
	left   = 56
	panel  = 190 // height of a limit's part
	plot   = 110 // height of the highest bar
	margin = 40  // above the bars
)

// svgOf draws a bar for each caller, a row of them for each limit, all to one scale. Bars beyond three fair shares are broken off.
func svgOf(all []outcome) string {
	var b strings.Builder
	fair := 1.0
	for i := range all {
		fair = max(fair, all[i].fair())
	}
	height := panel*len(all) + 20
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	b.WriteString("<title>Requests served of one greedy caller and of polite ones, without and with a limit</title>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	for i := range all {
		all[i].draw(&b, i*panel, 3*fair)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// fair is what each caller would have when all had the same.
func (o *outcome) fair() float64 { return float64(o.total()) / float64(len(o.callers)) }

// draw draws the row of a limit.
func (o *outcome) draw(b *strings.Builder, top int, highest float64) {
	base, n := top+margin+plot, len(o.callers)
	step := float64(width-left-20) / float64(n)
	up := func(served float64) float64 { return plot * min(served/highest, 1) }
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold" fill="#1b1f24">%s</text>`+"\n", left, top+24, html.EscapeString(o.limit))
	for i := range o.callers {
		c, colour := &o.callers[i], "#2f6fab"
		if i == 0 {
			colour = "#c2482f"
		}
		x, h := left+float64(i)*step+1, up(float64(c.served))
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s: %d</title></rect>`+"\n", x, float64(base)-h, step-3, h, colour, c.name, c.served)
		if float64(c.served) > highest {
			fmt.Fprintf(b, `<path d="M%.1f %d l%.1f -8" stroke="#ffffff" stroke-width="5"/>`+"\n", x-2, base-plot+18, step+1)
			fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s">%d</text>`+"\n", x+step, base-plot+12, colour, c.served)
		}
	}
	fair := float64(base) - up(o.fair())
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#1b1f24" stroke-dasharray="4 3"/>`+"\n", left, width-20, fair, fair)
	fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="#57606a">fair</text>`+"\n", left-6, fair+4)
	fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#8c959f"/>`+"\n", left, width-20, base, base)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#c2482f">greedy: %d</text>`+"\n", left, base+18, o.callers[0].served)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#57606a">%d served, index of fairness %.2f</text>`+"\n", (left+width-20)/2, base+18, o.total(), o.index())
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end" fill="#2f6fab">%d polite callers</text>`+"\n", width-20, base+18, n-1)
}
