package overload

import (
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/observe"
)

// Settings say what is too much. What is 0 is not looked at.
type Settings struct {
	Memory      float64       // share of the limit of memory
	MemoryLimit uint64        // in bytes; 0: it is found
	Delay       time.Duration // that work waits for a processor
	Goroutines  int
	Requests    int // under way at once
}

// Reason is why requests are shed.
type Reason uint8

// The reasons.
const (
	Memory Reason = iota
	Delay
	Goroutines
	Requests
	reasons
)

// String returns the reason's name, as in metrics.
func (r Reason) String() string {
	return [reasons]string{"memory", "delay", "goroutines", "requests"}[r]
}

// Reasons are all reasons.
func Reasons() []Reason { return []Reason{Memory, Delay, Goroutines, Requests} }

// Options are what a Monitor is made with.
type Options struct {
	Log      *slog.Logger
	Metrics  *observe.Metrics
	Running  *atomic.Int64       // requests under way, which outlives settings; nil: one of its own
	Read     func() Measurements // nil: the process itself is measured
	Relieve  func()              // gives memory back that is not in use; nil: debug.FreeOSMemory
	Interval time.Duration       // between measurements; 0: 250ms
}

// Monitor measures a few times a second and publishes the pressure. Its hot path is one atomic load.
//
// Pressure is a number from 0 to 3. The part of it from 0 to 1 is the share of requests of the class low that is shed, that from 1 to 2 the
// share of those of the class normal, that from 2 to 3 of those of the class high. Critical ones are never shed.
type Monitor struct {
	settings Settings
	o        Options
	state    atomic.Uint32 // pressure in thousandths, shifted by 8, and the reason
	running  *atomic.Int64
	beyond   atomic.Uint64  // requests that were shed for their number
	room     [classes]int64 // how many requests may be under way for one of a class to be let in
	shed     [reasons][classes]prometheus.Counter
	pressure prometheus.Gauge
	load     [reasons]prometheus.Gauge

	mu       sync.Mutex // one Sample at a time; guards what follows
	last     Measurements
	late     int           // measurements in a row with too long a delay
	relieved int           // measurements since memory was given back
	left     uint64        // memory that was held then
	quiet    int           // measurements since one that was over
	seen     uint64        // of beyond
	begun    time.Time     // of the overload; zero: there is none
	before   uint64        // requests that had been shed when it began
	shedLast uint64        // requests that had been shed at the measurement before
	total    atomic.Uint64 // requests that were shed

	stop    chan struct{}
	stopped chan struct{} // nil: it was not started
	once    sync.Once
}

const (
	classes  = 4
	unit     = 1000 // pressure of 1
	top      = 3 * unit
	pauses   = 40 // measurements between two times that memory is given back
	pressed  = 16 // the same, while requests are shed for memory: it may be free by now
	grown    = 4  // the same, where what is held grows fast
	lateFor  = 4  // measurements in a row that must have too long a delay
	quietFor = 8  // measurements without anything over, after which an overload has ended
	calm     = .9 // below this share of what is too much, pressure falls fast

	leastStep, mostStep = unit / 20, unit / 2 // by which pressure rises with a measurement
	fall, slowFall      = unit / 10, unit / 50
)

// New returns a monitor that does not measure yet.
func New(s Settings, o Options) *Monitor {
	if o.Interval == 0 {
		o.Interval = 250 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = observe.NewMetrics()
	}
	if o.Running == nil {
		o.Running = new(atomic.Int64)
	}
	if o.Read == nil {
		o.Read = newProcess(s.MemoryLimit).read
	}
	if o.Relieve == nil {
		o.Relieve = freeMemory
	}
	m := &Monitor{settings: s, o: o, running: o.Running, relieved: pauses, stop: make(chan struct{})}
	n := float64(s.Requests)
	m.room = [classes]int64{int64(math.Ceil(n * .9)), int64(n), int64(math.Floor(n * 1.1)), math.MaxInt64}
	m.measures(o.Metrics)
	return m
}

func (m *Monitor) measures(o *observe.Metrics) {
	m.pressure = o.Gauge("overload_pressure", "How much the gateway sheds: 0 nothing, 1 all requests of the class low, 2 those of normal too, 3 those of high too.").WithLabelValues()
	load := o.Gauge("overload_load", "What is measured, as a share of what is too much: memory, delay, goroutines, requests.", "measure")
	shed := o.Counter("overload_shed_total", "Requests that were shed, by reason and class.", "reason", "class")
	for _, r := range Reasons() {
		m.load[r] = load.WithLabelValues(r.String())
		for i, class := range filter.Priorities() {
			m.shed[r][i] = shed.WithLabelValues(r.String(), class)
		}
	}
}

// Start begins to measure, until Close.
func (m *Monitor) Start() {
	m.stopped = make(chan struct{})
	go m.run() // ends with Close
}

// Close ends the measuring, and the pressure.
func (m *Monitor) Close() error {
	m.once.Do(func() { close(m.stop) })
	if m.stopped != nil {
		<-m.stopped
	}
	m.state.Store(0)
	m.pressure.Set(0)
	return nil
}

// run measures. That it wakes late is a measurement too.
func (m *Monitor) run() {
	defer close(m.stopped)
	timer := time.NewTimer(m.o.Interval)
	defer timer.Stop()
	for expected := time.Now().Add(m.o.Interval); ; expected = time.Now().Add(m.o.Interval) {
		select {
		case <-m.stop:
			return
		case <-timer.C:
		}
		m.Sample(time.Since(expected))
		timer.Reset(m.o.Interval)
	}
}

// Sheds says whether a request of a class is to be shed, and why.
func (m *Monitor) Sheds(class filter.Priority) (Reason, bool) {
	state := m.state.Load()
	if state == 0 {
		return 0, false
	}
	share := int(state>>8) - unit*place(class)
	if share <= 0 || share < unit && rand.IntN(unit) >= share {
		return 0, false
	}
	why := Reason(state & 0xff)
	m.count(why, class)
	return why, true
}

// Enter counts a request as under way. It says whether there is no room for one of its class. Leave must be called in any case.
func (m *Monitor) Enter(class filter.Priority) (full bool) {
	if m.running.Add(1) <= m.room[place(class)] {
		return false
	}
	m.beyond.Add(1)
	m.count(Requests, class)
	return true
}

// Leave counts a request as over.
func (m *Monitor) Leave() { m.running.Add(-1) }

// CountsRequests says whether Enter and Leave are to be called.
func (m *Monitor) CountsRequests() bool { return m.settings.Requests > 0 }

func (m *Monitor) count(why Reason, class filter.Priority) {
	m.total.Add(1)
	m.shed[why][place(class)].Inc()
}

// place is a class's place among all, the least important first.
func place(class filter.Priority) int {
	return int(min(max(class, filter.Low), filter.Critical) - filter.Low)
}

// Share is the share of requests of a class that is shed for the pressure, from 0 to 1, and why.
func (m *Monitor) Share(class filter.Priority) (float64, Reason) {
	state := m.state.Load()
	share := int(state>>8) - unit*place(class)
	return float64(min(max(share, 0), unit)) / unit, Reason(state & 0xff)
}

// Room is how many requests may be under way for one of a class to be let in, and how many are. Without a limit, room is 0.
func (m *Monitor) Room(class filter.Priority) (room, running int64) {
	if m.settings.Requests == 0 {
		return 0, 0
	}
	return m.room[place(class)], m.running.Load()
}
