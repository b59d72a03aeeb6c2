package overload

import (
	"time"
)

// Sample measures once and sets the pressure. Late is by how much the measurement itself came too late.
func (m *Monitor) Sample(late time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.measure(late)
	loads := m.loads(now)
	m.last = now
	over, why, urgency := m.judge(loads, now)
	pressure := int(m.state.Load() >> 8)
	switch {
	case over && urgency >= 1 && why == Memory:
		pressure = top // it is all in use: there is no time for steps
	case over:
		pressure = min(top, pressure+leastStep+int(min(urgency, 1)*(mostStep-leastStep)))
	case highest(loads) < calm:
		pressure = max(0, pressure-fall)
	default:
		pressure = max(0, pressure-slowFall)
	}
	if !over {
		why = Reason(m.state.Load() & 0xff)
	}
	m.publish(pressure, why, loads)
	m.tell(over || m.filled(), pressure, why)
}

// measure reads the measurements. Where memory seems to be short, what is not in use any more is given back first.
func (m *Monitor) measure(late time.Duration) Measurements {
	now := m.o.Read()
	m.relieved++
	if m.needsRelief(now) {
		m.relieved = 0
		m.o.Relieve()
		delay := now.Delay
		now = m.o.Read()
		now.Delay, m.left = delay, now.Held // the other delay is of the relief
	}
	now.Delay = max(now.Delay, late)
	return now
}

// needsRelief says whether garbage is to be collected, and memory given back. Where the runtime does not do so before the limit is reached, what is
// in use may have grown by much since the last time, and nobody would know.
func (m *Monitor) needsRelief(now Measurements) bool {
	s := m.settings.Memory
	if s == 0 || now.Limit == 0 || float64(now.Held) < s*float64(now.Limit) {
		return false
	}
	if float64(now.Used) >= s*float64(now.Limit) && m.relieved > pressed {
		return true
	}
	return m.relieved > pauses || !now.Managed && m.relieved >= grown && now.Held > m.left+now.Limit/20
}

// loads are the measurements as shares of what is too much. That of requests is for show: they are shed one by one.
func (m *Monitor) loads(now Measurements) (loads [reasons]float64) {
	share := func(r Reason, is, most float64) {
		if most > 0 {
			loads[r] = is / most
		}
	}
	share(Memory, float64(now.Used), m.settings.Memory*float64(now.Limit))
	share(Delay, float64(now.Delay), float64(m.settings.Delay))
	share(Goroutines, float64(now.Goroutines), float64(m.settings.Goroutines))
	share(Requests, float64(m.running.Load()), float64(m.settings.Requests))
	return loads
}

// judge says whether something is over, what most of all, and by how much: 1 is urgent.
func (m *Monitor) judge(loads [reasons]float64, now Measurements) (over bool, why Reason, urgency float64) {
	note := func(r Reason, u float64) {
		if !over || u > urgency {
			over, why, urgency = true, r, u
		}
	}
	if loads[Memory] >= 1 {
		left := 1 - m.settings.Memory // of the limit, when it begins
		beyond := float64(now.Used)/float64(now.Limit) - m.settings.Memory
		if left <= 0 {
			note(Memory, 1)
		} else {
			note(Memory, beyond/left)
		}
	}
	if m.late++; loads[Delay] < 1 {
		m.late = 0
	}
	if m.late >= lateFor {
		note(Delay, loads[Delay]-1)
	}
	if loads[Goroutines] >= 1 {
		note(Goroutines, 10*(loads[Goroutines]-1))
	}
	return over, why, urgency
}

func highest(loads [reasons]float64) float64 {
	return max(loads[Memory], loads[Delay], loads[Goroutines])
}

// filled says whether requests were shed for their number since the last measurement.
func (m *Monitor) filled() bool {
	before := m.seen
	m.seen = m.beyond.Load()
	return m.seen != before
}

func (m *Monitor) publish(pressure int, why Reason, loads [reasons]float64) {
	state := uint32(pressure)<<8 | uint32(why)
	if pressure == 0 {
		state = 0
	}
	m.state.Store(state)
	m.pressure.Set(float64(pressure) / unit)
	for r, load := range loads {
		m.load[r].Set(load)
	}
}

// tell logs when an overload begins and when it has ended.
func (m *Monitor) tell(over bool, pressure int, why Reason) {
	if m.quiet++; over || pressure > 0 {
		m.quiet = 0
	}
	switch {
	case m.begun.IsZero() && m.quiet == 0:
		m.begun, m.before = time.Now(), m.shedLast
		reason := why
		if pressure == 0 {
			reason = Requests
		}
		fields := []any{
			"reason", reason.String(), "memory", m.last.Used, "memory_limit", m.last.Limit,
			"delay", m.last.Delay.Round(time.Millisecond).String(), "goroutines", m.last.Goroutines,
		}
		if m.CountsRequests() {
			fields = append(fields, "requests", m.running.Load())
		}
		m.o.Log.Warn("the gateway is overloaded, and begins to shed requests", fields...)
	case !m.begun.IsZero() && m.quiet >= quietFor:
		m.o.Log.Info("the gateway is no longer overloaded", "took", time.Since(m.begun).Round(time.Millisecond).String(), "shed", m.total.Load()-m.before)
		m.begun = time.Time{}
	}
	m.shedLast = m.total.Load()
}

// Status is how things stand, for operators.
type Status struct {
	Pressure    float64            `json:"pressure"`
	Reason      string             `json:"reason,omitempty"` // of the pressure
	Load        map[string]float64 `json:"load"`             // shares of what is too much, of what is looked at
	Memory      uint64             `json:"memory_bytes"`
	MemoryLimit uint64             `json:"memory_limit_bytes"`
	Shed        uint64             `json:"shed"` // since the settings took effect
}

// Status tells how things stand.
func (m *Monitor) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	state := m.state.Load()
	s := Status{
		Pressure: float64(state>>8) / unit, Load: map[string]float64{}, Memory: m.last.Used, MemoryLimit: m.last.Limit, Shed: m.total.Load(),
	}
	if state != 0 {
		s.Reason = Reason(state & 0xff).String()
	}
	looked := [reasons]bool{m.settings.Memory > 0, m.settings.Delay > 0, m.settings.Goroutines > 0, m.settings.Requests > 0}
	for r, load := range m.loads(m.last) {
		if looked[r] {
			s.Load[Reason(r).String()] = load
		}
	}
	return s
}
