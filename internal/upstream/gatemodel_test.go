package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
)

// model is what a gate should do, written down without regard to cost: all who wait in one list, in the order in which they came.
type model struct {
	limit, pending int
	inside         []int // ids
	line           []modelWaiter
	out            []int // who were refused, displaced or left
	seen           map[filter.Priority]int64
}

type modelWaiter struct {
	id int
	p  filter.Priority
}

func (m *model) room(p filter.Priority, now int64) bool {
	free := 0
	for q, at := range m.seen {
		if q > p && now-at < int64(lately) {
			free += m.limit / reserved
		}
	}
	return len(m.inside) < m.limit-free
}

// settle lets in whoever may be: always the most important that came first.
func (m *model) settle(now int64) {
	for len(m.line) > 0 {
		best := 0
		for i, w := range m.line {
			if w.p > m.line[best].p {
				best = i
			}
		}
		if w := m.line[best]; m.room(w.p, now) {
			m.inside = append(m.inside, w.id)
			m.line = slices.Delete(m.line, best, best+1)
		} else {
			return
		}
	}
}

func (m *model) enter(id int, p filter.Priority, now int64) {
	m.seen[p] = now
	m.settle(now)
	goesFirst := !slices.ContainsFunc(m.line, func(w modelWaiter) bool { return w.p >= p })
	if goesFirst && m.room(p, now) {
		m.inside = append(m.inside, id)
		return
	}
	if len(m.line) >= m.pending {
		worst := -1
		for i, w := range m.line {
			if worst < 0 || w.p <= m.line[worst].p {
				worst = i // the youngest of the least important
			}
		}
		if worst < 0 || m.line[worst].p >= p {
			m.out = append(m.out, id)
			return
		}
		m.out = append(m.out, m.line[worst].id)
		m.line = slices.Delete(m.line, worst, worst+1)
	}
	m.line = append(m.line, modelWaiter{id, p})
}

func (m *model) leave(id int, now int64) {
	m.inside = slices.DeleteFunc(m.inside, func(other int) bool { return other == id })
	m.settle(now)
}

func (m *model) giveUp(id int) {
	m.line = slices.DeleteFunc(m.line, func(w modelWaiter) bool { return w.id == id })
	m.out = append(m.out, id)
}

// real drives a gate by the same steps.
type real struct {
	gate   *gate
	inside map[int]bool
	out    map[int]bool
	cancel map[int]context.CancelFunc
	ended  chan struct {
		id  int
		err error
	}
}

func (r *real) settle() {
	synctest.Wait()
	for len(r.ended) > 0 {
		e := <-r.ended
		if e.err != nil {
			r.out[e.id] = true
		} else {
			r.inside[e.id] = true
		}
	}
}

// Whatever comes and goes in whatever order, a gate does what the model does: nobody is let in past someone more important, or past someone of the same
// class who came before; nobody waits without need; and who is put out is the least important that came last.
func TestGateDoesAsItsModel(t *testing.T) {
	for seed := range uint64(150) {
		synctest.Test(t, func(t *testing.T) { compareWithModel(t, rand.New(rand.NewPCG(seed, 7))) })
		if t.Failed() {
			t.Fatalf("with the seed %d", seed)
		}
	}
}

func compareWithModel(t *testing.T, random *rand.Rand) {
	limit, pending := 1+random.IntN(25), random.IntN(8)
	m := &model{limit: limit, pending: pending, seen: map[filter.Priority]int64{}}
	r := &real{gate: newGate(limit, pending, 0), inside: map[int]bool{}, out: map[int]bool{}, cancel: map[int]context.CancelFunc{}}
	r.ended = make(chan struct {
		id  int
		err error
	}, 1000)
	now := int64(1)
	var steps []string
	for id := range 300 {
		now += random.Int64N(int64(2 * time.Second))
		switch {
		case random.IntN(3) > 0:
			p := filter.Low + filter.Priority(random.IntN(4))
			steps = append(steps, fmt.Sprintf("%d comes, %s", id, p))
			ctx, cancel := context.WithCancel(t.Context())
			r.cancel[id] = cancel
			at := now
			go func() {
				r.ended <- struct {
					id  int
					err error
				}{id, r.gate.enter(ctx, p, time.Time{}, at)}
			}()
			m.enter(id, p, now)
		case random.IntN(4) > 0 && len(m.inside) > 0:
			who := m.inside[random.IntN(len(m.inside))]
			steps = append(steps, fmt.Sprintf("%d goes", who))
			delete(r.inside, who)
			r.gate.leave(now)
			m.leave(who, now)
		case len(m.line) > 0:
			who := m.line[random.IntN(len(m.line))].id
			steps = append(steps, fmt.Sprintf("%d gives up", who))
			r.cancel[who]()
			m.giveUp(who)
		}
		r.settle()
		active, waiting := r.gate.counts()
		if active != len(m.inside) || waiting != len(m.line) || !holds(r.inside, m.inside) || !holds(r.out, m.out) {
			t.Errorf("limit %d, pending %d, after %v:\nin %v, out %v, %d active, %d wait; want\nin %v, out %v, wait %v",
				limit, pending, steps, r.inside, r.out, active, waiting, m.inside, m.out, m.line)
			break
		}
	}
	for _, cancel := range r.cancel {
		cancel()
	}
	synctest.Wait()
}

// holds says whether a set holds just what a list does.
func holds(set map[int]bool, list []int) bool {
	return len(set) == len(list) && !slices.ContainsFunc(list, func(id int) bool { return !set[id] })
}
