package config

import (
	"fmt"
	"strconv"
	"strings"
)

// HedgeAfter is a time, or a percentile of times: "200ms", "p95".
type HedgeAfter struct {
	Time       Duration // 0: it is the percentile
	Percentile float64  // from 50 on, below 100
}

// String returns what is written.
func (h HedgeAfter) String() string {
	if h.Time > 0 {
		return h.Time.String()
	}
	return "p" + strconv.FormatFloat(h.Percentile, 'g', -1, 64)
}

// Expected says what may be written.
func (HedgeAfter) Expected() string { return "a percentile such as p95, or a duration such as 200ms" }

// MarshalText renders String.
func (h HedgeAfter) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads a time or a percentile.
func (h *HedgeAfter) UnmarshalText(text []byte) error {
	if number, ok := strings.CutPrefix(string(text), "p"); ok {
		p, err := strconv.ParseFloat(number, 64)
		if err != nil || !(p >= 50 && p < 100) {
			return fmt.Errorf("%q is no percentile to hedge after; it is from p50 on, and below p100", text)
		}
		*h = HedgeAfter{Percentile: p}
		return nil
	}
	var d Duration
	if err := d.UnmarshalText(text); err != nil {
		return err
	}
	if d <= 0 {
		return fmt.Errorf("%q is no time to hedge after: every request would be sent twice", text)
	}
	*h = HedgeAfter{Time: d}
	return nil
}
