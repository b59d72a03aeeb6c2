package limit

import (
	"math"
	"math/bits"
	"time"
)

// Times are counted in ticks. Costs and times are whole numbers, so that nothing is lost by rounding, however often a key is looked at.
const tick = time.Microsecond

// windowParts is into how many parts the period of a sliding window is divided. What was counted counts for at least the period, and for
// at most a part longer.
const windowParts = 10

// Bounds on what is remembered, which keep sums from overflowing.
const (
	maxLevel = 1 << 61
	maxPart  = 1 << 58
)

// meter computes a rule. Of each key it has words of state: the level of GCRA, which a cost raises and time lowers, or the parts of a
// sliding window, as a ring. State is settled to the present before anything is asked of it.
type meter struct {
	most int64 // how much may come at once

	// of GCRA, which has one word
	unit  int64 // what a cost of 1 raises the level by
	drain int64 // what a tick lowers it by
	full  int64 // the highest level that requests may reach

	width int64 // of a part of a sliding window, in ticks; 0: GCRA
}

// newMeter returns the meter of a rule. Where the numbers are so large that they do not fit, the rate is a little lower than what the rule
// says, by less than a five thousandth.
func newMeter(r Rule) meter {
	per := int64((r.Per + tick - 1) / tick)
	m := meter{most: r.Most()}
	if r.Algorithm == SlidingWindow {
		m.width = (per + windowParts - 1) / windowParts
		return m
	}
	g := gcd(per, r.Count)
	m.unit, m.drain = per/g, r.Count/g
	for m.drain > 1 && float64(m.unit)*float64(m.most) > maxLevel/2 {
		m.unit, m.drain = (m.unit+1)/2, m.drain/2
	}
	m.full = m.unit * m.most
	return m
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// words is how many words of state there are.
func (m *meter) words() int {
	if m.width > 0 {
		return windowParts + 1
	}
	return 1
}

// settle brings state from the time at which it was left to the present.
func (m *meter) settle(w []int64, last, now int64) {
	if m.width == 0 {
		hi, lo := bits.Mul64(uint64(now-last), uint64(m.drain))
		if hi != 0 || lo >= uint64(w[0]) {
			w[0] = 0
			return
		}
		w[0] -= int64(lo)
		return
	}
	from, to := last/m.width, now/m.width
	if to-from > windowParts {
		clear(w)
		return
	}
	for part := from + 1; part <= to; part++ {
		w[part%(windowParts+1)] = 0
	}
}

// used is how much is counted, rounded up.
func (m *meter) used(w []int64) int64 {
	if m.width == 0 {
		return ceilDiv(w[0], m.unit)
	}
	var sum int64
	for _, n := range w {
		sum += n
	}
	return sum
}

// share is how much of what may come at once is used up. It is above 1 for who is in debt.
func (m *meter) share(w []int64) float64 {
	if m.width == 0 {
		return float64(w[0]) / float64(m.full)
	}
	return float64(m.used(w)) / float64(m.most)
}

// allows says whether a cost may pass.
func (m *meter) allows(w []int64, cost int64) bool {
	switch {
	case cost > m.most:
		return false
	case m.width == 0:
		return w[0] <= m.full-cost*m.unit
	}
	return m.used(w) <= m.most-cost
}

// remaining is how much may still come at once.
func (m *meter) remaining(w []int64) int64 {
	if m.width == 0 {
		return max(0, (m.full-w[0])/m.unit)
	}
	return max(0, m.most-m.used(w))
}

// add counts a cost. One below 0 is given back.
func (m *meter) add(w []int64, now, cost int64) {
	switch {
	case m.width == 0:
		w[0] = min(max(0, w[0]+mulBounded(cost, m.unit)), maxLevel)
	case cost >= 0:
		part := &w[now/m.width%(windowParts+1)]
		*part = min(*part+min(cost, maxPart), maxPart)
	default:
		m.giveBack(w, now, -max(cost, -math.MaxInt64))
	}
}

// giveBack takes what was counted off a sliding window, the latest first, since it is given back at once. Where a new part has begun in
// between, as much of that part counts for a part less.
func (m *meter) giveBack(w []int64, now, cost int64) {
	for part := now / m.width; part >= 0 && part >= now/m.width-windowParts && cost > 0; part-- {
		n := &w[part%(windowParts+1)]
		taken := min(*n, cost)
		*n -= taken
		cost -= taken
	}
}

// reset is how many ticks pass until nothing is counted any more.
func (m *meter) reset(w []int64, now int64) int64 {
	if m.width == 0 {
		return ceilDiv(w[0], m.drain)
	}
	for part := now / m.width; part >= 0 && part >= now/m.width-windowParts; part-- {
		if w[part%(windowParts+1)] > 0 {
			return m.forgotten(part) - now
		}
	}
	return 0
}

// resetAfter is reset as it will be after a cost, which may pass, is counted.
func (m *meter) resetAfter(w []int64, now, cost int64) int64 {
	switch {
	case cost == 0:
		return m.reset(w, now)
	case m.width == 0:
		return ceilDiv(w[0]+cost*m.unit, m.drain)
	}
	return m.forgotten(now/m.width) - now
}

// retry is how many ticks pass until a cost may pass, if nothing else comes; -1: it never may.
func (m *meter) retry(w []int64, now, cost int64) int64 {
	switch {
	case cost > m.most:
		return -1
	case m.width == 0:
		return max(0, ceilDiv(w[0]-(m.full-cost*m.unit), m.drain))
	}
	sum, wait := m.used(w), int64(0)
	for part := max(0, now/m.width-windowParts); part <= now/m.width && sum > m.most-cost; part++ {
		sum -= w[part%(windowParts+1)]
		wait = m.forgotten(part) - now
	}
	return wait
}

// forgotten is when a part does not count any more: when the whole period has passed since its end.
func (m *meter) forgotten(part int64) int64 { return (part + windowParts + 1) * m.width }

// mulBounded multiplies, within ±maxLevel.
func mulBounded(cost, unit int64) int64 {
	if cost < 0 {
		return -mulBounded(-max(cost, -math.MaxInt64), unit)
	}
	hi, lo := bits.Mul64(uint64(cost), uint64(unit))
	if hi != 0 || lo > maxLevel {
		return maxLevel
	}
	return int64(lo)
}

// longest is the longest wait that is told, of 146 years: a debt may take longer than a time.Duration holds, and who is told rounds up.
const longest = math.MaxInt64 / 2

// duration is a time of so many ticks.
func duration(ticks int64) time.Duration {
	return time.Duration(min(ticks, longest/int64(tick))) * tick
}

// ceilDiv divides and rounds up. B is above 0.
func ceilDiv(a, b int64) int64 {
	q := a / b
	if a > q*b {
		q++
	}
	return q
}
