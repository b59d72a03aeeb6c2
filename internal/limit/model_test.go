package limit_test

import (
	"context"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cardea.dev/cardea/internal/limit"
)

// clock is a time that tests set. It has no reading of a monotonic clock.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time       { return c.now }
func (c *clock) step(d time.Duration) { c.now = c.now.Add(d) }

// model is a rule, told in the simplest way: a log of what was accepted.
type model struct {
	rule  limit.Rule
	log   []entry
	level *big.Rat // of GCRA
	last  time.Time
}

type entry struct {
	at   time.Time
	cost int64
}

// settle lowers the level of GCRA: the count in each period.
func (m *model) settle(now time.Time) {
	if m.level == nil {
		m.level = new(big.Rat)
	}
	if !m.last.IsZero() {
		drained := big.NewRat(int64(now.Sub(m.last)), int64(m.rule.Per))
		m.level.Sub(m.level, drained.Mul(drained, big.NewRat(m.rule.Count, 1)))
		if m.level.Sign() < 0 {
			m.level.SetInt64(0)
		}
	}
	m.last = now
}

// within sums what was accepted since a time.
func (m *model) within(now time.Time, d time.Duration) (sum int64) {
	for _, e := range m.log {
		if now.Sub(e.at) < d {
			sum += e.cost
		}
	}
	return sum
}

// allows says whether a cost must pass, and whether it may.
func (m *model) allows(now time.Time, cost int64) (must, may bool) {
	if m.rule.Algorithm == limit.SlidingWindow {
		part := m.rule.Per/10 + time.Microsecond
		return m.within(now, m.rule.Per+2*part)+cost <= m.rule.Count, m.within(now, m.rule.Per)+cost <= m.rule.Count
	}
	m.settle(now)
	after := new(big.Rat).Add(m.level, big.NewRat(cost, 1))
	ok := after.Cmp(big.NewRat(m.rule.Most(), 1)) <= 0
	return ok, ok
}

func (m *model) add(now time.Time, cost int64) {
	m.log = append(m.log, entry{now, cost})
	if m.level != nil {
		m.level.Add(m.level, big.NewRat(cost, 1))
	}
}

func drawRule(t *rapid.T) limit.Rule {
	r := limit.Rule{
		Algorithm: rapid.SampledFrom([]limit.Algorithm{limit.GCRA, limit.SlidingWindow}).Draw(t, "algorithm"),
		Count:     rapid.Int64Range(1, 40).Draw(t, "count"),
		Per:       time.Duration(rapid.Int64Range(1000, 5_000_000).Draw(t, "per")) * time.Microsecond,
	}
	if r.Algorithm == limit.GCRA {
		r.Burst = rapid.Int64Range(0, 60).Draw(t, "burst")
	}
	return r
}

// TestRulesAgainstAModel: under any schedule what passes is what the rules say, all of them or none count, and what Look, Remaining and Retry
// say comes true.
func TestRulesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := newClock()
		var rules []limit.Rule
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			rules = append(rules, drawRule(t))
		}
		table := limit.NewTable(rules, limit.Options{Now: at.Now, MaxKeys: 100})
		ids := []limit.ID{limit.NewID("a"), limit.NewID("b"), limit.AddressID(netip.MustParseAddr("192.0.2.1")), {}}
		models := map[limit.ID][]*model{}
		for _, id := range ids {
			for _, r := range rules {
				models[id] = append(models[id], &model{rule: r})
			}
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at.step(time.Duration(rapid.Int64Range(0, 3*rules[0].Per.Microseconds()/rules[0].Count).Draw(t, "wait")) * time.Microsecond)
			id := rapid.SampledFrom(ids).Draw(t, "id")
			cost := rapid.Int64Range(0, 6).Draw(t, "cost")
			must, may := true, true
			for _, m := range models[id] {
				a, b := m.allows(at.now, max(cost, 1))
				must, may = must && a, may && b
			}
			foretold, _ := table.Look(id, cost)
			d, err := table.Take(context.Background(), id, cost)
			if err != nil || d != foretold {
				t.Fatalf("Take: %+v, %v; Look said %+v", d, err, foretold)
			}
			if d.Allowed && !may || !d.Allowed && must {
				t.Fatalf("cost %d of %s: allowed %v; must %v, may %v", cost, id, d.Allowed, must, may)
			}
			if d.Allowed {
				for _, m := range models[id] {
					m.add(at.now, cost)
				}
			}
			checkDecision(t, table, at, rules, id, cost, d)
		}
	})
}

// checkDecision tries whether what a decision says is so.
func checkDecision(t *rapid.T, table *limit.Table, at *clock, rules []limit.Rule, id limit.ID, cost int64, d limit.Decision) {
	if d.Remaining < 0 || d.Remaining > rules[d.Rule].Most() || d.Reset < 0 {
		t.Fatalf("impossible: %+v", d)
	}
	if d.Allowed {
		if d.Retry != 0 {
			t.Fatalf("allowed, and yet: %+v", d)
		}
		if next, _ := table.Look(id, d.Remaining+1); next.Allowed {
			t.Fatalf("more passes than is said to be left: %+v", d)
		}
		if next, _ := table.Look(id, d.Remaining); d.Remaining > 0 && !next.Allowed {
			t.Fatalf("less passes than is said to be left: %+v, then %+v", d, next)
		}
		return
	}
	if d.Retry < 0 {
		if max(cost, 1) <= rules[d.Rule].Most() {
			t.Fatalf("it is said never to pass: %+v", d)
		}
		return
	}
	before := at.now
	at.step(d.Retry - time.Microsecond)
	if next, _ := table.Look(id, cost); next.Allowed {
		t.Fatalf("it passes before its time: %+v", d)
	}
	at.now = before.Add(d.Retry)
	if next, _ := table.Look(id, cost); !next.Allowed {
		t.Fatalf("it does not pass when its time has come: %+v, then %+v", d, next)
	}
}

// TestGuarantees: over any stretch of time no more passes than the rules say, with charges and what is given back.
func TestGuarantees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, rule := newClock(), drawRule(t)
		table := limit.NewTable([]limit.Rule{rule}, limit.Options{Now: at.Now})
		var log []entry
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			at.step(time.Duration(rapid.Int64Range(0, rule.Per.Microseconds()/4).Draw(t, "wait")) * time.Microsecond)
			cost := rapid.Int64Range(1, 5).Draw(t, "cost")
			d, _ := table.Take(context.Background(), limit.ID{}, cost)
			if !d.Allowed {
				continue
			}
			if rapid.Bool().Draw(t, "give back") {
				table.Charge(limit.ID{}, -cost)
				continue
			}
			log = append(log, entry{at.now, cost})
		}
		for i := range log {
			var sum int64
			for _, e := range log[i:] {
				sum += e.cost
				span := e.at.Sub(log[i].at)
				if rule.Algorithm == limit.SlidingWindow {
					if span < rule.Per && sum > rule.Count {
						t.Fatalf("%d passed in %s", sum, span)
					}
					continue
				}
				most := float64(rule.Most()) + float64(rule.Count)*float64(span)/float64(rule.Per)
				if float64(sum) > most+1e-6 {
					t.Fatalf("%d passed in %s, where %g may", sum, span, most)
				}
			}
		}
	})
}

// TestDebts: what is charged is paid for by later requests, as a sum and not by forgiveness.
func TestDebts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, rule := newClock(), drawRule(t)
		rule.Algorithm = limit.GCRA
		table := limit.NewTable([]limit.Rule{rule}, limit.Options{Now: at.Now})
		debt := rapid.Int64Range(1, 500).Draw(t, "debt")
		table.Charge(limit.ID{}, debt)
		d, _ := table.Look(limit.ID{}, 0)
		if want := debt+1 <= rule.Most(); d.Allowed != want {
			t.Fatalf("after %d of %d: %+v", debt, rule.Most(), d)
		}
		paid := time.Duration(float64(debt) / float64(rule.Count) * float64(rule.Per))
		if d.Reset < paid-time.Microsecond || d.Reset > paid+2*time.Microsecond {
			t.Fatalf("it takes %s to pay for %d, and not %s", d.Reset, debt, paid)
		}
	})
}

// TestClockIsPutForwardAndBack: it locks out nobody for longer than a period, and gives at most what may come at once, once for each time
// that it is put forward.
func TestClockIsPutForwardAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, rule := newClock(), drawRule(t)
		rule.Burst = 0
		table := limit.NewTable([]limit.Rule{rule}, limit.Options{Now: at.Now})
		var passed, forward, elapsed int64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				at.step(time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "forward")))
				forward++
			case 1:
				at.step(-time.Duration(rapid.Int64Range(0, 1e18).Draw(t, "back")))
			case 2:
				step := rapid.Int64Range(0, int64(rule.Per)).Draw(t, "wait")
				at.step(time.Duration(step))
				elapsed += step
			default:
				if d, _ := table.Take(context.Background(), limit.ID{}, 1); d.Allowed {
					passed++
				} else if d.Retry <= 0 || d.Retry > rule.Per+rule.Per/10+2*time.Millisecond || d.Reset > rule.Per+rule.Per/10+2*time.Millisecond {
					t.Fatalf("locked out: %+v", d)
				}
			}
		}
		// Each stretch between jumps gives what may come at once, and what its time gives.
		most := float64(rule.Count) * (1 + float64(forward) + float64(elapsed)/float64(rule.Per))
		if float64(passed) > most+1 {
			t.Fatalf("%d passed, where %g may", passed, most)
		}
		for range 2 * rule.Count {
			_, _ = table.Take(context.Background(), limit.ID{}, 1)
		}
		at.step(rule.Per + rule.Per/10 + 2*time.Millisecond)
		if d, _ := table.Take(context.Background(), limit.ID{}, rule.Count); !d.Allowed {
			t.Fatalf("it is locked out after a whole period: %+v", d)
		}
	})
}
