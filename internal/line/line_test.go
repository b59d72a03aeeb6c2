package line

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// asked is a request as the model knows it.
type asked struct {
	id    int
	want  Want
	place *Place[string]
	stand *Waiter[string]
}

// model is what must hold, told as simply as can be.
type model struct {
	active  []*asked
	waiting []*asked // in order
	uncount int      // entered before the key was forgotten
}

// settle lets in who may be.
func (m *model) settle() {
	for i := 0; i < len(m.waiting); {
		if a := m.waiting[i]; m.counted() < a.want.Limit {
			m.waiting = slices.Delete(m.waiting, i, i+1)
			m.active = append(m.active, a)
			continue
		}
		i++
	}
}

func (m *model) counted() int { return len(m.active) - m.uncount }

// arrive is what must become of an arrival.
func (m *model) arrive(a *asked) (in bool, out *asked, err error) {
	for _, w := range m.waiting {
		if w.want.Rule == a.want.Rule {
			w.want.Limit = a.want.Limit
		}
	}
	m.settle()
	if m.counted() < a.want.Limit {
		m.active = append(m.active, a)
		return true, nil, nil
	}
	if len(m.waiting) >= a.want.Queue {
		switch last := len(m.waiting) - 1; {
		case a.want.Queue == 0:
			return false, nil, ErrNoLine
		case last < 0 || m.waiting[last].want.Priority >= a.want.Priority:
			return false, nil, ErrFull
		default:
			out = m.waiting[last]
			m.waiting = m.waiting[:last]
		}
	}
	m.waiting = append(m.waiting, a)
	slices.SortStableFunc(m.waiting, func(x, y *asked) int { return int(y.want.Priority) - int(x.want.Priority) })
	return false, out, nil
}

// TestLinesDoAsTheModel has requests of one key arrive, leave and give up at random, and compares with the model after each step.
func TestLinesDoAsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := New[string]()
		others := neighbours(t, l)
		m := &model{}
		limits := []int{rapid.IntRange(1, 4).Draw(t, "limit"), rapid.IntRange(1, 4).Draw(t, "other limit")}
		queue := rapid.IntRange(0, 4).Draw(t, "queue")
		ids := 0
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) {
				rule := rapid.IntRange(0, 1).Draw(t, "rule")
				ids++
				a := &asked{id: ids, want: Want{Limit: limits[rule], Queue: queue, Rule: rule, Priority: int8(rapid.IntRange(-1, 2).Draw(t, "priority"))}}
				in, out, wantErr := m.arrive(a)
				var err error
				a.place, a.stand, err = l.Ask("k", a.want)
				if !errors.Is(err, wantErr) || (a.place != nil) != in {
					t.Fatalf("arrival %+v: in %v, %v; want %v, %v", a.want, a.place != nil, err, in, wantErr)
				}
				if out != nil {
					if _, err := out.stand.end(nil, false); !errors.Is(err, ErrDisplaced) {
						t.Fatalf("request %d was to be displaced: %v", out.id, err)
					}
				}
			},
			"leave": func(t *rapid.T) {
				if len(m.active) == 0 {
					t.Skip("nothing is under way")
				}
				i := rapid.IntRange(0, len(m.active)-1).Draw(t, "who")
				a := m.active[i]
				m.active = slices.Delete(m.active, i, i+1)
				if i < m.uncount {
					m.uncount--
				}
				m.settle()
				a.place.Leave()
			},
			"give up": func(t *rapid.T) {
				if len(m.waiting) == 0 {
					t.Skip("nothing waits")
				}
				i := rapid.IntRange(0, len(m.waiting)-1).Draw(t, "who")
				a := m.waiting[i]
				m.waiting = slices.Delete(m.waiting, i, i+1)
				if _, err := a.stand.end(ErrTooLong, false); !errors.Is(err, ErrTooLong) {
					t.Fatalf("request %d gave up: %v", a.id, err)
				}
			},
			"give up when let in": func(t *rapid.T) {
				for i, a := range m.active {
					if a.stand == nil {
						continue
					}
					m.active = slices.Delete(m.active, i, i+1)
					if i < m.uncount {
						m.uncount--
					}
					m.settle()
					if _, err := a.stand.end(context.Canceled, true); !errors.Is(err, context.Canceled) {
						t.Fatalf("request %d gave up: %v", a.id, err)
					}
					return
				}
				t.Skip("nobody was let in from the line")
			},
			"change a limit": func(t *rapid.T) { limits[rapid.IntRange(0, 1).Draw(t, "rule")] = rapid.IntRange(1, 4).Draw(t, "limit") },
			"forget": func(t *rapid.T) {
				had := m.counted() > 0
				if got := l.Forget(func(k string) bool { return k == "k" }); got != had {
					t.Fatalf("something was under way: %v, want %v", got, had)
				}
				m.uncount = len(m.active)
				m.settle()
			},
			"a neighbour comes or goes": func(t *rapid.T) { others.move(t) },
			"": func(t *rapid.T) {
				m.compare(t, l)
				others.compare(t)
			},
		})
	})
}

func (m *model) compare(t *rapid.T, l *Lines[string]) {
	for _, a := range m.active {
		if a.stand == nil {
			continue
		}
		select {
		case <-a.stand.called:
			a.place = a.stand.place
		default:
			t.Fatalf("request %d was to be let in", a.id)
		}
	}
	for _, a := range m.waiting {
		select {
		case <-a.stand.called:
			t.Fatalf("request %d was to wait", a.id)
		default:
		}
	}
	got := l.Look("k")
	if got.Active != m.counted() || got.Waiting != len(m.waiting) {
		t.Fatalf("%d under way and %d in line, want %d and %d", got.Active, got.Waiting, m.counted(), len(m.waiting))
	}
	if there := l.Top(99); slices.ContainsFunc(there, func(s State[string]) bool { return s.Key == "k" }) != (m.counted()+len(m.waiting) > 0) {
		t.Fatalf("there are %+v", there)
	}
}

// others are keys beside the one of the model, some of which have its hash.
type others struct {
	lines  *Lines[string]
	places map[string][]*Place[string]
}

func neighbours(t *rapid.T, l *Lines[string]) *others {
	hashes := map[string]uint64{"k": 7, "a": 7, "b": 7, "c": 8}
	if rapid.Bool().Draw(t, "hashes are chosen") {
		l.hash = func(key string) uint64 { return hashes[key] }
	}
	return &others{l, map[string][]*Place[string]{"a": nil, "b": nil, "c": nil}}
}

// move lets a request of a neighbour in, or has one leave.
func (o *others) move(t *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "neighbour")
	if in := o.places[key]; len(in) > 0 && rapid.Bool().Draw(t, "leaves") {
		in[0].Leave()
		o.places[key] = in[1:]
		return
	}
	p, _ := o.lines.Force(key, Want{Limit: 1})
	o.places[key] = append(o.places[key], p)
}

func (o *others) compare(t *rapid.T) {
	for key, in := range o.places {
		if got := o.lines.Look(key); got.Active != len(in) {
			t.Fatalf("%s has %d under way, want %d", key, got.Active, len(in))
		}
	}
}

func TestWaitsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New[int]()
		w := Want{Limit: 1, Queue: 2, Wait: time.Second}
		first, err := l.Enter(t.Context(), 1, w)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if _, err := l.Enter(t.Context(), 1, w); !errors.Is(err, ErrTooLong) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		why := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Millisecond, func() { cancel(why) })
		if _, err := l.Enter(ctx, 1, w); !errors.Is(err, why) {
			t.Error(err)
		}
		time.AfterFunc(time.Millisecond, first.Leave)
		second, err := l.Enter(t.Context(), 1, w)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Look(1); got.Active != 1 || got.Waiting != 0 || got.Refused != 2 {
			t.Errorf("%+v", got)
		}
		second.Leave()
		if l.Len() != 0 {
			t.Errorf("%d keys remain", l.Len())
		}
	})
}

// TestManyAtOnce has many goroutines come and go, some of which give up. No more than the limit may be in, and nothing may remain.
func TestManyAtOnce(t *testing.T) {
	const limit, keys = 3, 5
	l := New[int]()
	var inside [keys]atomic.Int64
	var in, out atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			for j := range 20 {
				key := (i + j) % keys
				ctx, cancel := context.WithCancel(context.Background())
				if (i+j)%7 == 0 {
					time.AfterFunc(time.Duration(j)*10*time.Microsecond, cancel)
				}
				p, err := l.Enter(ctx, key, Want{Limit: limit, Queue: 10, Wait: time.Minute, Priority: int8(i % 3)})
				if err == nil {
					if n := inside[key].Add(1); n > limit {
						t.Errorf("%d are in", n)
					}
					in.Add(1)
					inside[key].Add(-1)
					p.Leave()
				} else {
					out.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	if in.Load()+out.Load() != 4000 || in.Load() == 0 || l.Len() != 0 {
		t.Errorf("%d were in, %d not; %d keys remain", in.Load(), out.Load(), l.Len())
	}
}

func TestForce(t *testing.T) {
	l := New[string]()
	w := Want{Limit: 1}
	a, over := l.Force("a", w)
	b, again := l.Force("a", w)
	if over || !again {
		t.Error(over, again)
	}
	c, _ := l.Force("b", w)
	if top := l.Top(5); len(top) != 2 || top[0] != (State[string]{Key: "a", Active: 2, Limit: 1, Refused: 1}) {
		t.Errorf("%+v", top)
	}
	if top := l.Top(1); len(top) != 1 {
		t.Errorf("%+v", top)
	}
	for _, p := range []*Place[string]{a, b, c} {
		p.Leave()
	}
	if l.Len() != 0 {
		t.Error("something remains")
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = "caller-" + strconv.Itoa(i)
	}
	l, ctx, w := New[string](), context.Background(), Want{Limit: 10, Queue: 10, Wait: time.Second}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p, err := l.Enter(ctx, ids[i%len(ids)], w)
		if err != nil {
			b.Fatal(err)
		}
		p.Leave()
		i++
	}
}
