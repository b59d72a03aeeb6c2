package sharedlimit

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// byKey is a script whose time, in µs, is in a key.
func byKey() *source {
	s := newSource("local now = tonumber(redis.call('GET', 'clock'))\n")
	return &s
}

// event is what was counted once.
type event struct{ at, cost int64 }

// model is what a rule should do, told as simply as can be.
type model struct {
	rule   limit.Rule
	events []event // of a sliding window
	level  float64 // of GCRA, in requests
	at     int64
}

func (m *model) part() int64 { return (m.rule.Per.Microseconds() + parts - 1) / parts }

// pass lets time go by.
func (m *model) pass(now int64) {
	if m.rule.Algorithm == limit.GCRA {
		m.level = max(0, m.level-float64(now-m.at)/float64(m.rule.Per.Microseconds())*float64(m.rule.Count))
		m.at = now
		return
	}
	m.events = slices.DeleteFunc(m.events, func(e event) bool { return e.at/m.part() < now/m.part()-parts })
}

func (m *model) sum() (n int64) {
	for _, e := range m.events {
		n += e.cost
	}
	return n
}

func (m *model) most() int64 {
	if m.rule.Algorithm == limit.GCRA && m.rule.Burst > 0 {
		return m.rule.Burst
	}
	return m.rule.Count
}

const tiny = 1e-9

func (m *model) left() int64 {
	if m.rule.Algorithm == limit.GCRA {
		return max(0, int64(float64(m.most())-m.level+tiny))
	}
	return max(0, m.rule.Count-m.sum())
}

func (m *model) fits(cost int64) bool {
	if m.rule.Algorithm == limit.GCRA {
		return m.level+float64(cost) <= float64(m.most())+tiny
	}
	return m.sum()+cost <= m.rule.Count
}

func (m *model) count(now, cost int64) {
	if m.rule.Algorithm == limit.GCRA {
		m.level = max(0, m.level+float64(cost))
		return
	}
	if cost > 0 {
		m.events = append(m.events, event{now, cost})
	}
	for i := len(m.events) - 1; i >= 0 && cost < 0; i-- {
		n := min(-cost, m.events[i].cost)
		m.events[i].cost -= n
		cost += n
	}
}

// retry is when a cost would pass, found by trying.
func (m *model) retry(now, cost int64) int64 {
	if cost > m.most() {
		return -1
	}
	later := func(at int64) bool {
		c := model{rule: m.rule, events: slices.Clone(m.events), level: m.level, at: m.at}
		c.pass(at)
		return c.fits(cost)
	}
	low, high := now, now+400*m.rule.Per.Microseconds() // low does not pass, high does
	if later(low) {
		return 0
	}
	for high-low > 1 {
		if middle := (low + high) / 2; later(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high - now
}

// TestScriptAndModel: the script does what the model does, whatever comes when.
func TestScriptAndModel(t *testing.T) {
	r := redistest.Start(t)
	server, err := redis.New(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	for round := range 40 {
		var rules []limit.Rule
		var models []*model
		for range 1 + random.IntN(3) {
			rule := limit.Rule{
				Algorithm: []limit.Algorithm{limit.GCRA, limit.SlidingWindow}[random.IntN(2)],
				Count:     1 + random.Int64N(100), Per: time.Duration(1+random.Int64N(5000)) * time.Millisecond,
			}
			if rule.Algorithm == limit.GCRA && random.IntN(2) == 0 {
				rule.Burst = 1 + random.Int64N(20)
			}
			rules = append(rules, rule)
			models = append(models, &model{rule: rule})
		}
		c, err := New(server, fmt.Sprint("model", round), rules, Options{OnFailure: Deny, Timeout: 10 * time.Second, script: byKey()})
		if err != nil {
			t.Fatal(err)
		}
		now := int64(1_700_000_000_000_000) + random.Int64N(1e9)
		for step := range 100 {
			switch random.IntN(4) {
			case 0:
				now += random.Int64N(100)
			case 1:
				now += random.Int64N(rules[0].Per.Microseconds())
			case 2:
				now += random.Int64N(rules[0].Per.Microseconds() / rules[0].Count)
			}
			if random.IntN(40) == 0 {
				now += 3 * rules[0].Per.Microseconds()
			}
			r.Must("SET", "clock", strconv.FormatInt(now, 10))
			for _, m := range models {
				m.pass(now)
			}
			id, cost := limit.NewID("k"), random.Int64N(4)
			if random.IntN(8) == 0 {
				cost = random.Int64N(25)
			}
			if random.IntN(8) == 0 {
				charge(t, c, id, cost-8)
				for _, m := range models {
					m.count(now, cost-8)
				}
				continue
			}
			q := c.call(id, "take", cost)
			if random.IntN(4) == 0 {
				q.want = random.Int64N(20)
			}
			if err := c.link.ask(t.Context(), q, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			least := models[0].left()
			for _, m := range models {
				least = min(least, m.left())
			}
			if q.answer.allowed && q.answer.granted != cost+max(0, min(q.want, least*100/1000, least-cost)) {
				t.Fatalf("seed %d, round %d, step %d: granted %d of %d, wanted %d and %d", seed, round, step, q.answer.granted, least, cost, q.want)
			}
			if text := compare(models, now, cost, max(cost, q.answer.granted), q.answer.decision()); text != "" {
				t.Fatalf("seed %d, round %d, step %d: %s\ncost %d of %+v\ngot %+v", seed, round, step, text, cost, rules, q.answer)
			}
		}
		_ = c.Close()
	}
}

// charge charges and waits.
func charge(t *testing.T, c *Counter, id limit.ID, cost int64) {
	t.Helper()
	q := c.call(id, "charge", cost)
	if err := c.link.ask(t.Context(), q, 10*time.Second); err != nil {
		t.Fatal(err)
	}
}

// compare counts what was granted in the models, and says what is wrong with a decision.
func compare(models []*model, now, cost, granted int64, got limit.Decision) string {
	refuses, longest := -1, int64(0)
	for i, m := range models {
		if m.fits(max(cost, 1)) { // one of 0 asks for one of 1
			continue
		}
		if r := m.retry(now, max(cost, 1)); refuses < 0 || longest >= 0 && (r < 0 || r > longest+2) {
			refuses, longest = i, r
		}
	}
	if got.Allowed != (refuses < 0) {
		return fmt.Sprintf("allowed: %t", got.Allowed)
	}
	if refuses >= 0 {
		if d := got.Retry.Microseconds() - longest; d < -2 || d > 2 || longest < 0 && got.Retry >= 0 {
			return fmt.Sprintf("retry: expected %d of rule %d", longest, refuses)
		}
		if got.Remaining != models[got.Rule].left() {
			return fmt.Sprintf("remaining: expected %d", models[got.Rule].left())
		}
		return ""
	}
	least := int64(1 << 60)
	for _, m := range models {
		m.count(now, granted)
		least = min(least, m.left())
	}
	if got.Remaining != least || models[got.Rule].left() != least {
		return fmt.Sprintf("remaining: expected %d", least)
	}
	m := models[got.Rule]
	full := m.retry(now, m.most()) // until all that ever passes would
	if d := got.Reset.Microseconds() - full; d < -2 || d > 2 {
		return fmt.Sprintf("reset: expected %d", full)
	}
	return ""
}

// TestLeasesGivenBack: what is given back is there again, but never more than was taken, nor what has drained since.
func TestLeasesGivenBack(t *testing.T) {
	r := redistest.Start(t)
	server, err := redis.New(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	for i, rule := range []limit.Rule{{Algorithm: limit.GCRA, Count: 10, Per: 10 * time.Second}, {Algorithm: limit.SlidingWindow, Count: 10, Per: 10 * time.Second}} {
		c, err := New(server, fmt.Sprint("back", i), []limit.Rule{rule}, Options{OnFailure: Deny, Timeout: 10 * time.Second, MaxShare: 500, script: byKey()})
		if err != nil {
			t.Fatal(err)
		}
		at := int64(1_700_000_000_000_000)
		ask := func(op string, cost, want, leased int64) answer {
			t.Helper()
			r.Must("SET", "clock", strconv.FormatInt(at, 10))
			q := c.call(limit.NewID("k"), op, cost)
			q.want, q.at = want, leased
			if err := c.link.ask(t.Context(), q, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			return q.answer
		}
		left := func() int64 { return ask("take", 0, 0, 0).left }
		first := ask("take", 1, 100, 0)
		if first.granted != 6 || first.left != 4 {
			t.Errorf("%s: half of what is left: %+v", rule.Algorithm, first)
		}
		ask("back", 2, 0, first.at)
		if n := left(); n != 6 {
			t.Errorf("%s: given back: %d", rule.Algorithm, n)
		}
		at += 2_000_000
		ask("back", 3, 0, first.at)
		if n := left(); n != 9 { // of GCRA 2 have drained, and 1 of 3 comes back
			t.Errorf("%s: given back later: %d", rule.Algorithm, n)
		}
		ask("back", 10, 0, at+5)
		ask("back", 10, 0, first.at-1)
		if n := left(); n != 9 {
			t.Errorf("%s: what was never taken: %d", rule.Algorithm, n)
		}
		at += 60_000_000
		later := ask("take", 8, 0, 0)
		ask("back", 8, 0, first.at)
		if n := left(); n != 2 || later.left != 2 {
			t.Errorf("%s: given back too late: %d", rule.Algorithm, n)
		}
		_ = c.Close()
	}
}

// TestClockJumps: a clock that goes back keeps what was counted; one that goes ahead forgets it.
func TestClockJumps(t *testing.T) {
	r := redistest.Start(t)
	server, err := redis.New(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	for i, rule := range []limit.Rule{{Algorithm: limit.GCRA, Count: 10, Per: 10 * time.Second}, {Algorithm: limit.SlidingWindow, Count: 10, Per: 10 * time.Second}} {
		c, err := New(server, fmt.Sprint("jump", i), []limit.Rule{rule}, Options{OnFailure: Deny, Timeout: 10 * time.Second, script: byKey()})
		if err != nil {
			t.Fatal(err)
		}
		take := func(at, cost int64) limit.Decision {
			t.Helper()
			r.Must("SET", "clock", strconv.FormatInt(at*1_000_000, 10))
			d, err := c.Take(t.Context(), limit.NewID("k"), cost)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := take(10_000, 8); d.Remaining != 2 {
			t.Errorf("%+v", d)
		}
		if d := take(5_000, 1); d.Remaining != 1 {
			t.Errorf("%s: back: %+v", rule.Algorithm, d)
		}
		if d := take(5_000, 2); d.Allowed || d.Retry > 11*time.Second {
			t.Errorf("%s: back, and too much: %+v", rule.Algorithm, d)
		}
		if d := take(5_011, 1); !d.Allowed || d.Remaining != 9 {
			t.Errorf("%s: later: %+v", rule.Algorithm, d)
		}
		if d := take(50_000, 10); !d.Allowed {
			t.Errorf("%s: ahead: %+v", rule.Algorithm, d)
		}
		_ = c.Close()
	}
}

func TestUnits(t *testing.T) {
	for _, r := range []limit.Rule{
		{Count: 100, Per: time.Minute},
		{Count: 7, Per: 24 * time.Hour},
		{Count: 1_000_001, Per: 24 * time.Hour},
		{Count: maxCount, Per: time.Second},
		{Count: maxCount, Per: maxPer},
		{Count: 999_999_937, Per: maxPer - time.Microsecond},
		{Count: 1, Per: maxPer},
		{Count: 3, Per: minPer, Burst: maxCount},
		{Count: 1, Per: time.Minute, Burst: 1000},
	} {
		r.Algorithm = limit.GCRA
		each, drain, most, err := gcra(r)
		if err != nil {
			t.Errorf("%+v: %v", r, err)
			continue
		}
		burst := r.Burst
		if burst == 0 {
			burst = r.Count
		}
		exact := float64(r.Per.Microseconds()) / float64(r.Count)
		if got := float64(each) / float64(drain); got < exact*(1-1e-12) || got > exact*1.000001 {
			t.Errorf("%+v: one in %g µs, expected %g", r, got, exact)
		}
		if each < 1 || drain < 1 || most > maxLevel || most/each != burst {
			t.Errorf("%+v: %d %d %d", r, each, drain, most)
		}
	}
	for _, rules := range [][]limit.Rule{
		{},
		{{Algorithm: limit.GCRA, Count: 0, Per: time.Second}},
		{{Algorithm: limit.GCRA, Count: 1, Per: 0}},
		{{Algorithm: limit.GCRA, Count: 1, Per: 24 * time.Hour, Burst: maxCount}},
		{{Algorithm: limit.SlidingWindow, Count: maxCount + 1, Per: time.Second}},
		{{Algorithm: limit.SlidingWindow, Count: 1, Per: maxPer + 1}},
		{{Algorithm: "other", Count: 1, Per: time.Second}},
		{{Algorithm: limit.GCRA, Count: 1, Per: time.Second + 1}},
		slices.Repeat([]limit.Rule{{Algorithm: limit.GCRA, Count: 1, Per: time.Second}}, maxRules+1),
	} {
		if Check(rules) == nil {
			t.Errorf("%+v is taken", rules)
		}
	}
}
