package main

import (
	"bytes"
	"fmt"
	"time"
)

// Sizes of the picture, in its units.
const (
	width  = 720
	left   = 60
	right  = 20
	panelH = 150
	gap    = 62
	top    = 46
)

// curve is a line in a panel.
type curve struct {
	name, color string
	values      []float64 // by second
}

// panel is one diagram.
type panel struct {
	title string
	most  float64
	ticks []float64
	unit  string
	lines []curve
}

// picture draws what came of it. It is readable on light and on dark pages: it brings its own background.
func picture(all []measured, p phases) []byte {
	panels := panelsOf(all, p)
	height := top + len(panels)*(panelH+gap)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img" aria-labelledby="t">
<title id="t">Answered requests and their latency while a service has half of its capacity, by kind of limit, and by class</title>
<style>
.b{fill:#fff;stroke:#ccc}.g{stroke:#ddd}.t{fill:#222}.s{fill:#8884;stroke:none}
@media (prefers-color-scheme: dark){.b{fill:#161b22;stroke:#444}.g{stroke:#333}.t{fill:#ddd}}
</style>
<rect class="b" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>
<text class="t" x="%d" y="24">400 requests/s to a service for 500/s, which loses half of it in the grey time</text>
`, width, height, width-1, height-1, left)
	for i, panel := range panels {
		panel.draw(&b, top+i*(panelH+gap)+20, p)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// panelsOf are the diagrams: answers, latency, and what each class got with the last of the ways.
func panelsOf(all []measured, p phases) []panel {
	colors := []string{"#d1495b", "#b8860b", "#2a9d5c"}
	answered := panel{title: "answered requests per second", most: 500, ticks: []float64{0, 250, 500}}
	latency := panel{title: "95th percentile of their latency", most: 1000, ticks: []float64{0, 500, 1000}, unit: " ms"}
	for i := range all {
		good, p95 := curve{all[i].name, colors[i], nil}, curve{all[i].name, colors[i], nil}
		for second := time.Duration(0); second < p.total(); second += time.Second {
			c := all[i].count("", second, second+time.Second)
			good.values = append(good.values, float64(c.good))
			p95.values = append(p95.values, float64(c.p95.Milliseconds()))
		}
		answered.lines, latency.lines = append(answered.lines, good), append(latency.lines, p95)
	}
	last := all[len(all)-1]
	byClass := panel{title: "share of each class that is answered, " + last.name, most: 100, ticks: []float64{0, 50, 100}, unit: " %"}
	for i, class := range classes() {
		line := curve{class.name, []string{"#8d99ae", "#3a86c8", "#9b5de5"}[i], nil}
		for second := time.Duration(0); second < p.total(); second += time.Second {
			c := last.count(class.name, second, second+time.Second)
			line.values = append(line.values, 100*float64(c.good)/float64(max(1, c.sent)))
		}
		byClass.lines = append(byClass.lines, line)
	}
	return []panel{answered, latency, byClass}
}

// draw draws a diagram from a height on.
func (d *panel) draw(b *bytes.Buffer, y int, p phases) {
	inner := float64(width - left - right)
	x := func(t time.Duration) float64 { return left + inner*t.Seconds()/p.total().Seconds() }
	up := func(v float64) float64 { return float64(y+panelH) - panelH*min(v, d.most)/d.most }
	fmt.Fprintf(b, "<text class=\"t\" x=\"%d\" y=\"%d\" font-weight=\"bold\">%s</text>\n", left, y-8, d.title)
	fmt.Fprintf(b, "<rect class=\"s\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", x(p.full), y, x(p.full+p.half)-x(p.full), panelH)
	for _, tick := range d.ticks {
		fmt.Fprintf(b, "<line class=\"g\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>\n", left, width-right, up(tick), up(tick))
		fmt.Fprintf(b, "<text class=\"t\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f%s</text>\n", left-6, up(tick)+4, tick, d.unit)
	}
	legend := width - right
	for i := len(d.lines) - 1; i >= 0; i-- {
		line := d.lines[i]
		legend -= 14 + 7*len(line.name)
		fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" fill=\"%s\" font-weight=\"bold\">%s</text>\n", legend, y-8, line.color, line.name)
	}
	for _, line := range d.lines {
		fmt.Fprintf(b, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", line.color)
		for second, v := range line.values {
			fmt.Fprintf(b, "%.1f,%.1f ", x(time.Duration(second)*time.Second+time.Second/2), up(v))
		}
		b.WriteString("\"/>\n")
	}
	for t := time.Duration(0); t <= p.total(); t += p.full {
		fmt.Fprintf(b, "<text class=\"t\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f s</text>\n", x(t), y+panelH+16, t.Seconds())
	}
}
