package overload

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cardea.dev/cardea/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a monitor whose measurements the test makes.
type rig struct {
	*Monitor
	now      Measurements
	relieved int
	log      bytes.Buffer
}

func newRig(s Settings) *rig {
	r := &rig{now: Measurements{Limit: 1000}}
	r.Monitor = New(s, Options{
		Log: slog.New(slog.NewTextHandler(&r.log, nil)), Read: func() Measurements { return r.now },
		Relieve: func() { r.relieved++ },
	})
	return r
}

// samples measures n times.
func (r *rig) samples(n int) {
	for range n {
		r.Sample(0)
	}
}

// shares are the shares that are shed, the least important class first.
func (r *rig) shares() (all [4]float64) {
	for i := range all {
		all[i], _ = r.Share(filter.Low + filter.Priority(i))
	}
	return all
}

var ordinary = Settings{Memory: .9, Delay: 200 * time.Millisecond, Goroutines: 100}

func TestTheLeastImportantIsShedFirst(t *testing.T) {
	r := newRig(ordinary)
	r.now.Used = 900
	previous := [4]float64{}
	for range 80 {
		r.samples(1)
		s := r.shares()
		for i := range s {
			switch {
			case s[i] < previous[i]:
				t.Fatalf("the share falls while memory is short: %v after %v", s, previous)
			case i > 0 && s[i] > 0 && s[i-1] < 1:
				t.Fatalf("%v: a class is shed before all of the one below it are", s)
			}
		}
		previous = s
	}
	if previous != [4]float64{1, 1, 1, 0} {
		t.Errorf("at last: %v", previous)
	}
	if _, shed := r.Sheds(filter.Critical); shed {
		t.Error("a critical request is shed")
	}
	if why, shed := r.Sheds(filter.High); !shed || why != Memory {
		t.Errorf("a high one: %v, %v", why, shed)
	}
}

func TestFullMemoryWaitsForNothing(t *testing.T) {
	r := newRig(ordinary)
	r.now.Used = 1000
	r.samples(1)
	if s := r.shares(); s != [4]float64{1, 1, 1, 0} {
		t.Errorf("got %v", s)
	}
}

func TestTheMoreIsOverTheFasterItIsShed(t *testing.T) {
	slow, fast := newRig(ordinary), newRig(ordinary)
	slow.now.Goroutines, fast.now.Goroutines = 100, 109
	slow.samples(3)
	fast.samples(3)
	if s, f := slow.Status(), fast.Status(); s.Pressure >= f.Pressure || s.Pressure == 0 || f.Reason != "goroutines" {
		t.Errorf("a little over: %+v; much over: %+v", s, f)
	}
}

func TestDelayMustLast(t *testing.T) {
	r := newRig(ordinary)
	for range 5 {
		r.now.Delay = time.Second
		r.samples(lateFor - 1)
		r.now.Delay = 0
		r.samples(1)
	}
	if p := r.Status().Pressure; p != 0 {
		t.Errorf("pressure is %v though no delay lasted", p)
	}
	for range lateFor {
		r.Sample(300 * time.Millisecond) // the measurement itself is late
	}
	if s := r.Status(); s.Pressure == 0 || s.Reason != "delay" {
		t.Errorf("after a delay that lasted: %+v", s)
	}
}

func TestPressureFallsAndDoesNotFlap(t *testing.T) {
	r := newRig(ordinary)
	r.now.Goroutines = 100
	r.samples(20)
	high := r.Status().Pressure
	r.now.Goroutines = 99 // just below
	r.samples(1)
	just := r.Status().Pressure
	r.now.Goroutines = 50
	r.samples(1)
	if well := r.Status().Pressure; !(high > just && just > well && high-just < just-well) {
		t.Errorf("%v, just below %v, well below %v", high, just, well)
	}
	r.samples(20)
	if s := r.shares(); s != [4]float64{} {
		t.Errorf("a long time after: %v", s)
	}
}

func TestBeginAndEndAreLoggedOnce(t *testing.T) {
	r := newRig(ordinary)
	for range 3 { // it goes up and down, and is one overload
		r.now.Used = 950
		r.samples(2)
		r.Sheds(filter.Low)
		r.now.Used = 10
		r.samples(quietFor - 1)
	}
	if log := r.log.String(); strings.Count(log, "begins to shed") != 1 || strings.Contains(log, "no longer") || !strings.Contains(log, "reason=memory") {
		t.Errorf("during it:\n%s", log)
	}
	r.samples(30)
	if log := r.log.String(); strings.Count(log, "no longer") != 1 {
		t.Errorf("after it:\n%s", log)
	}
}

func TestGarbageIsNotPressure(t *testing.T) {
	r := newRig(ordinary)
	r.now.Held, r.now.Used = 990, 400
	r.samples(pauses)
	if r.Status().Pressure != 0 || r.relieved != 1 {
		t.Errorf("pressure %v; memory was given back %d times", r.Status().Pressure, r.relieved)
	}
	r.samples(2)
	if r.relieved != 2 {
		t.Errorf("memory was given back %d times", r.relieved)
	}
}

// TestMemoryThatGrowsFastIsLookedAt: where the runtime has no limit of its own, garbage alone may reach that of the container.
func TestMemoryThatGrowsFastIsLookedAt(t *testing.T) {
	for managed, want := range map[bool]int{true: 1, false: 3} {
		r := newRig(ordinary)
		r.now.Managed = managed
		r.o.Relieve = func() { r.relieved++; r.now.Held = 500 }
		for range 3 {
			r.now.Held = 990
			r.samples(1)
			r.now.Held = 500
			r.samples(grown - 1)
		}
		if r.relieved != want {
			t.Errorf("managed %v: memory was given back %d times, not %d", managed, r.relieved, want)
		}
	}
}

// TestMemoryThatIsFreeAgainIsFound: without requests there are no collections, and what was in use at the last one would seem to be still.
func TestMemoryThatIsFreeAgainIsFound(t *testing.T) {
	r := newRig(ordinary)
	r.now.Held, r.now.Used, r.now.Managed = 950, 950, true
	r.o.Relieve = func() { r.relieved++ }
	r.samples(2 * pressed)
	if r.relieved != 2 {
		t.Errorf("it was looked for %d times", r.relieved)
	}
	r.o.Relieve = func() { r.now.Held, r.now.Used = 300, 300 }
	r.samples(pressed + 1)
	if load := r.Status().Load["memory"]; load > .5 {
		t.Errorf("load is %v", load)
	}
}

func TestRequestsUnderWay(t *testing.T) {
	r := newRig(Settings{Requests: 10})
	enter := func(class filter.Priority) bool {
		full := r.Enter(class)
		if full {
			r.Leave()
		}
		return !full
	}
	fill := func(class filter.Priority) (n int) {
		for enter(class) {
			n++
		}
		return n
	}
	if low, normal, high := fill(filter.Low), fill(filter.Normal), fill(filter.High); low != 9 || normal != 1 || high != 1 {
		t.Errorf("let in: %d low, then %d normal, then %d high", low, normal, high)
	}
	for range 20 {
		if !enter(filter.Critical) {
			t.Fatal("a critical one is shed")
		}
	}
	r.samples(1)
	r.samples(quietFor)
	if log := r.log.String(); !strings.Contains(log, "reason=requests") || !strings.Contains(log, "shed=3") {
		t.Errorf("the log: %s", log)
	}
	for range 31 {
		r.Leave()
	}
	if room, running := r.Room(filter.Normal); room != 10 || running != 0 {
		t.Errorf("room %d, running %d", room, running)
	}
}

func TestOneRequestMayAlwaysRun(t *testing.T) {
	r := newRig(Settings{Requests: 1})
	if r.Enter(filter.Low) {
		t.Error("with room for one, one of low has none")
	}
}

func TestSharesAreKept(t *testing.T) {
	r := newRig(ordinary)
	r.state.Store(1300<<8 | uint32(Delay))
	shed := 0
	for range 10000 {
		if _, yes := r.Sheds(filter.Normal); yes {
			shed++
		}
	}
	if shed < 2500 || shed > 3500 { // some 3000; the deviation is 46
		t.Errorf("of 10000, %d were shed, where 30%% are to be", shed)
	}
}

func TestARunningMonitorMeasures(t *testing.T) {
	reads := make(chan struct{})
	m := New(Settings{Memory: .9}, Options{Interval: time.Millisecond, Read: func() Measurements { reads <- struct{}{}; return Measurements{} }})
	m.Start()
	<-reads
	<-reads
	closed := make(chan struct{})
	go func() { _ = m.Close(); close(closed) }() // ends below
	for {
		select {
		case <-reads: // it may be in the middle of one
			continue
		case <-closed:
		}
		break
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoAllocations(t *testing.T) {
	r := newRig(Settings{Memory: .9, Requests: 10})
	r.state.Store(1500<<8 | uint32(Memory))
	n := testing.AllocsPerRun(1000, func() {
		r.Enter(filter.Normal)
		r.Sheds(filter.Normal)
		r.Leave()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSheds(b *testing.B) {
	b.Run("at rest", func(b *testing.B) {
		r := newRig(ordinary)
		b.ReportAllocs()
		for b.Loop() {
			r.Sheds(filter.Normal)
		}
	})
	b.Run("overloaded", func(b *testing.B) {
		r := newRig(ordinary)
		r.state.Store(1500<<8 | uint32(Memory))
		b.ReportAllocs()
		for b.Loop() {
			r.Sheds(filter.Normal)
		}
	})
	b.Run("counted", func(b *testing.B) {
		r := newRig(Settings{Requests: 10})
		b.ReportAllocs()
		for b.Loop() {
			r.Enter(filter.Normal)
			r.Leave()
		}
	})
}
