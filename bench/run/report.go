//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"cardea.dev/cardea/bench/run/load"
)

// Report is all that a run has to say. Times are in microseconds.
type Report struct {
	Machine     string         `json:"machine"`
	Versions    []string       `json:"versions"`
	Rounds      int            `json:"rounds"`
	Seconds     float64        `json:"seconds_each"`
	Connections int            `json:"connections"`
	Cases       []CaseReport   `json:"cases"`
	Idle        *IdleReport    `json:"idle,omitempty"`
	Attacks     []AttackReport `json:"attacks,omitempty"`
}

// CaseReport is a case.
type CaseReport struct {
	Name      string          `json:"name"`
	About     string          `json:"about"`
	Cores     int             `json:"cores"`
	Reference string          `json:"reference"` // what ratios compare with
	Rate      float64         `json:"rate"`      // of the open loop, requests per second
	Direct    Percentiles     `json:"direct"`    // latency without a gateway
	Gateways  []GatewayReport `json:"gateways"`
}

// GatewayReport is a gateway in a case. All numbers are medians of the rounds.
type GatewayReport struct {
	Name   string      `json:"name"`
	CPU    float64     `json:"cpu_us"`     // processor time for a request
	Ratio  float64     `json:"cpu_ratio"`  // CPU by that of the reference in the same round
	Spread [2]float64  `json:"cpu_spread"` // the lowest and highest ratio of a round
	System float64     `json:"system"`     // the share of CPU that is system time
	Rate   float64     `json:"requests_per_second"`
	Busy   float64     `json:"busy"`  // the share of its cores that it used for that
	Added  Percentiles `json:"added"` // latency at the fixed rate beyond direct
}

// Percentiles are of latencies.
type Percentiles struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
}

// caseReport sums up the rounds of a case. Ratios are made in each round, of gateways that worked right after each other, and
// only then is the median taken: whatever else the machine did in that moment touched both.
func (m *measured) caseReport() CaseReport {
	c := &m.benchCase
	r := CaseReport{Name: c.name, About: c.about, Cores: m.cores, Rate: m.rate, Direct: percentilesOf(m.open[direct], nil)}
	for i, one := range c.contenders {
		label := one.called()
		if i == 0 {
			r.Reference = label
		}
		r.Gateways = append(r.Gateways, m.gatewayReport(label, r.Reference))
	}
	return r
}

func (m *measured) gatewayReport(label, reference string) GatewayReport {
	rounds, compared := m.closed[label], m.closed[reference]
	ratios := make([]float64, len(rounds))
	for i := range rounds {
		ratios[i] = cost(rounds[i]) / cost(compared[i])
	}
	return GatewayReport{
		Name: label, Ratio: median(ratios), Spread: [2]float64{slices.Min(ratios), slices.Max(ratios)},
		CPU:    medianOf(rounds, cost),
		System: medianOf(rounds, func(r load.Result) float64 { return float64(r.System) / float64(r.CPU) }),
		Rate:   medianOf(rounds, perSecond),
		Busy:   medianOf(rounds, func(r load.Result) float64 { return float64(r.CPU) / float64(r.Elapsed) / float64(m.cores) }),
		Added:  percentilesOf(m.open[label], m.open[direct]),
	}
}

// cost is the processor time for a request, in microseconds.
func cost(r load.Result) float64 { return micros(r.CPU) / float64(r.Requests) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// percentilesOf are the medians of the rounds' percentiles, less those of the same rounds without a gateway, where given.
func percentilesOf(rounds, without []load.Result) Percentiles {
	of := func(pick func(load.Latency) time.Duration) float64 {
		values := make([]float64, len(rounds))
		for i := range rounds {
			values[i] = micros(pick(rounds[i].Latency))
			if without != nil {
				values[i] -= micros(pick(without[i].Latency))
			}
		}
		return median(values)
	}
	return Percentiles{
		P50:  of(func(l load.Latency) time.Duration { return l.P50 }),
		P99:  of(func(l load.Latency) time.Duration { return l.P99 }),
		P999: of(func(l load.Latency) time.Duration { return l.P999 }),
	}
}

func medianOf(rounds []load.Result, value func(load.Result) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return median(values)
}

// median is the middle value, or the mean of the two in the middle. It leaves values as they are.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// writeJSON writes the report for programs.
func (r *Report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// writeText writes the report for people.
func (r *Report) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%d connections, medians of %d rounds of %gs each\n", r.Machine, strings.Join(r.Versions, "\n"),
		r.Connections, r.Rounds, r.Seconds)
	for i := range r.Cases {
		r.Cases[i].writeText(&b)
	}
	if r.Idle != nil {
		r.Idle.writeText(&b)
	}
	if len(r.Attacks) > 0 {
		writeAttacks(&b, r.Attacks)
	}
	if len(r.Cases) > 0 {
		b.WriteString(legend)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const legend = "\nCPU is user and system time of all processes of a gateway for one request, ratio is that by the first gateway's in the\n" +
	"same round, busy is the share of its cores in use: a gateway well below 100% could do more requests than were made.\n" +
	"Latency is what a gateway adds at the given fixed rate, counted from when a request was due.\n"

func (c *CaseReport) writeText(b *strings.Builder) {
	cores := "core"
	if c.Cores > 1 {
		cores = "cores"
	}
	fmt.Fprintf(b, "\n%s: %s (%d %s)\n", c.Name, c.About, c.Cores, cores)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "gateway\tCPU µs\tratio\t(min–max)\tsystem\treq/s\tbusy\tp50 µs\tp99 µs\tp99.9 µs\t\n")
	for _, g := range c.Gateways {
		fmt.Fprintf(t, "%s\t%.1f\t%.2f\t%.2f–%.2f\t%.0f%%\t%.0f\t%.0f%%\t%+.0f\t%+.0f\t%+.0f\t\n",
			g.Name, g.CPU, g.Ratio, g.Spread[0], g.Spread[1], 100*g.System, g.Rate, 100*g.Busy, g.Added.P50, g.Added.P99, g.Added.P999)
	}
	fmt.Fprintf(t, "%s at %.0f/s\t\t\t\t\t\t\t%.0f\t%.0f\t%.0f\t\n", direct, c.Rate, c.Direct.P50, c.Direct.P99, c.Direct.P999)
	_ = t.Flush()
}
