package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"
)

// measured is what came of one way.
type measured struct {
	name    string
	results []result
}

// counted is what came of some requests.
type counted struct {
	sent, good, shed, late int
	p50, p95               time.Duration // of the good
}

// count counts the requests of a class, or of all, that were sent in a stretch of time.
func (m *measured) count(class string, from, to time.Duration) (c counted) {
	var took []time.Duration
	for _, r := range m.results {
		if r.at < from || r.at >= to || class != "" && r.class != class {
			continue
		}
		c.sent++
		switch {
		case r.good:
			c.good++
			took = append(took, r.took)
		case r.shed:
			c.shed++
		default:
			c.late++
		}
	}
	if n := len(took); n > 0 {
		slices.Sort(took)
		c.p50, c.p95 = took[n/2], took[n*95/100]
	}
	return c
}

// stretch is a part of the time with a name.
type stretch struct {
	name     string
	from, to time.Duration
}

func (p phases) stretches() []stretch {
	return []stretch{
		{"whole capacity", 0, p.full}, {"half of it", p.full, p.full + p.half}, {"whole again", p.full + p.half, p.total()},
	}
}

// summary prints a line for each phase, and for each class in it.
func (m *measured) summary(w io.Writer, p phases) {
	for _, s := range p.stretches() {
		for _, class := range []string{"", "low", "normal", "high"} {
			c := m.count(class, s.from, s.to)
			name := class
			if name == "" {
				name = "all"
			}
			seconds := (s.to - s.from).Seconds()
			fmt.Fprintf(w, "%-15s %-15s %-7s sent %5.0f/s  answered %5.0f/s (%3.0f %%)  refused %5.0f/s  given up %5.0f/s  p50 %4d ms  p95 %4d ms\n",
				m.name, s.name, name, float64(c.sent)/seconds, float64(c.good)/seconds, 100*float64(c.good)/float64(max(1, c.sent)),
				float64(c.shed)/seconds, float64(c.late)/seconds, c.p50.Milliseconds(), c.p95.Milliseconds())
		}
	}
}

// table is what came of each second, as CSV.
func table(all []measured, p phases) []byte {
	var b bytes.Buffer
	b.WriteString("limit,second,class,sent,answered,refused,given_up,p50_ms,p95_ms\n")
	for _, m := range all {
		for second := time.Duration(0); second < p.total(); second += time.Second {
			for _, class := range []string{"", "low", "normal", "high"} {
				c := m.count(class, second, second+time.Second)
				name := class
				if name == "" {
					name = "all"
				}
				fmt.Fprintf(&b, "%s,%d,%s,%d,%d,%d,%d,%d,%d\n", m.name, int(second.Seconds()), name, c.sent, c.good, c.shed, c.late,
					c.p50.Milliseconds(), c.p95.Milliseconds())
			}
		}
	}
	return b.Bytes()
}
