package overload

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/overload"
)

// Config says what is too much for the gateway. It stands at the root; a route can say `off`.
type Config struct {
	// Memory is which share of the memory that the gateway may have can be in use before requests are shed. What the next garbage collection
	// frees does not count as in use. By default 90%. 0 does not look at memory.
	Memory config.Share `yaml:"memory"`

	// MemoryLimit is how much memory the gateway may have. By default, and with 0, it is the least of GOMEMLIMIT, the limit of its control group
	// (container), and what the machine has. Where it is less than the machine has and GOMEMLIMIT is not set, the Go runtime is told to keep to
	// 95% of it. At least 32MiB.
	MemoryLimit config.Size `yaml:"memory_limit"`

	// Delay is how long work may wait for a processor, as nine in ten waits do not exceed it, for a second on end. By default 200ms. 0 does
	// not look at it.
	Delay config.Duration `yaml:"delay"`

	// Goroutines is how many goroutines there may be. A request takes one, and a second one while its body comes in. By default 0, which does
	// not look at it.
	Goroutines int `yaml:"goroutines" min:"0"`

	// Requests is how many requests may be under way in all, upgraded connections included. Beyond 90% of it those of the class low are shed,
	// beyond 100% those of normal, beyond 110% those of high. By default 0, which does not look at it.
	Requests int `yaml:"requests" min:"0" max:"1000000000"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.Memory, c.Delay = .9, config.Duration(200*time.Millisecond)
}

// leastMemory is what the gateway can do with, hardly.
const leastMemory = 32 << 20

// Validate checks that the gateway can live.
func (c *Config) Validate() error {
	if c.MemoryLimit > 0 && c.MemoryLimit < leastMemory {
		return config.FieldErrorf("memory_limit", "%s is less than the gateway itself needs; write 32MiB or more", c.MemoryLimit)
	}
	return nil
}

// Kind is the kind of this policy. Its stage is that of limits, so that its part before authentication runs after the one of `priority`.
func Kind() filter.Kind { return filter.Define("overload", filter.Limit, build).WithEarly() }

// Settings are those of a monitor.
func (c *Config) Settings() overload.Settings {
	return overload.Settings{
		Memory: float64(c.Memory), MemoryLimit: uint64(c.MemoryLimit), Delay: time.Duration(c.Delay), Goroutines: c.Goroutines, Requests: c.Requests,
	}
}

// Key is what the monitor with settings is kept by.
func Key(s overload.Settings) string { return fmt.Sprintf("overload:%+v", s) }

// policy is the policy as it runs.
type policy struct {
	monitor  *overload.Monitor
	refusals [][retries]*filter.Error // by reason
}

// retries is how many values Retry-After can have: from a second on.
const retries = 5

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	if env.Scope != "" {
		return nil, config.FieldErrorf("", "these settings are about the whole gateway and stand at the root; a route can say `overload: off`")
	}
	m, err := monitor(env, c.Settings())
	if err != nil {
		return nil, err
	}
	p := &policy{monitor: m, refusals: refusals(c)}
	if m.CountsRequests() {
		return &filter.Filter{Early: &filter.Filter{Request: p.counted, Finish: p.finish, Explain: p.explain}}, nil
	}
	return &filter.Filter{Early: &filter.Filter{Request: p.request, Explain: p.explain}}, nil
}

// monitor returns the one monitor of the gateway. Requests are counted in a place that outlives it, for those under way are there still
// when the settings change.
func monitor(env *filter.Env, s overload.Settings) (*overload.Monitor, error) {
	running, err := filter.Keep(env, "overload requests", func() (*atomic.Int64, error) { return new(atomic.Int64), nil })
	if err != nil {
		return nil, err
	}
	return filter.Keep(env, Key(s), func() (*overload.Monitor, error) {
		m := overload.New(s, overload.Options{Log: env.Log, Metrics: env.Metrics, Running: running})
		m.Start()
		return m, nil
	})
}

// refusals are made beforehand: an overload is no time for work that can be spared.
func refusals(c *Config) [][retries]*filter.Error {
	because := map[overload.Reason]string{
		overload.Memory:     fmt.Sprintf("more than %s of the memory is in use", c.Memory),
		overload.Delay:      fmt.Sprintf("work waits longer than %s for a processor", c.Delay),
		overload.Goroutines: fmt.Sprintf("there are more than %d goroutines", c.Goroutines),
		overload.Requests:   fmt.Sprintf("the limit of %d requests under way is reached", c.Requests),
	}
	all := make([][retries]*filter.Error, len(because))
	for why, text := range because {
		for i := range retries {
			all[why][i] = filter.Reject(filter.Overloaded, "").Because(errors.New(text)).With("Retry-After", strconv.Itoa(i+1))
		}
	}
	return all
}

// request sheds a request, or lets it pass.
func (p *policy) request(ex *filter.Exchange) error {
	if why, shed := p.monitor.Sheds(ex.Priority); shed {
		return p.refuse(why)
	}
	return nil
}

// counted is request where requests under way are counted.
func (p *policy) counted(ex *filter.Exchange) error {
	if p.monitor.Enter(ex.Priority) {
		return p.refuse(overload.Requests)
	}
	return p.request(ex)
}

func (p *policy) finish(*filter.Exchange) { p.monitor.Leave() }

func (p *policy) refuse(why overload.Reason) error { return p.refusals[why][rand.IntN(retries)] }

func (p *policy) explain(ex *filter.Exchange) filter.Verdict {
	if room, running := p.monitor.Room(ex.Priority); room > 0 && running >= room {
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("%d requests are under way, and a request of the class %s is let in below %d", running, ex.Priority, room)}
	}
	share, why := p.monitor.Share(ex.Priority)
	switch {
	case share == 0:
		return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("no request of the class %s is shed", ex.Priority)}
	case share == 1:
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("all requests of the class %s are shed: %s", ex.Priority, why)}
	}
	return filter.Verdict{Action: filter.Unknown, Note: fmt.Sprintf("%.0f%% of the requests of the class %s are shed: %s", math.Round(100*share), ex.Priority, why)}
}
