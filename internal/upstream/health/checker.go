package health

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// Kind is how an endpoint is checked.
type Kind string

// The kinds.
const (
	HTTP Kind = "http" // it answers a request
	TCP  Kind = "tcp"  // it accepts a connection, and shakes hands where it uses TLS
	GRPC Kind = "grpc" // grpc.health.v1 says SERVING
)

// Options are how an endpoint is checked. The zero value is GET / every ten seconds.
type Options struct {
	Kind Kind // "": HTTP

	Method string         // of the request. "": GET
	Path   string         // of the request, with query. "": /
	Host   string         // of the request. "": the target's server name, or its address
	Header http.Header    // more fields for the request
	Status []Range        // that are healthy. None: 200 to 399
	Body   string         // text that must be in the first 64 KiB of the answer's body. "": any
	Match  *regexp.Regexp // expression that must match in the same. Nil: any

	Service string // of gRPC. "": the server as a whole

	Interval  time.Duration // from the end of one check to the start of the next. 0: 10 seconds
	Timeout   time.Duration // of one check, with all that belongs to it. 0: 2 seconds
	Jitter    float64       // by what share of Interval each wait is longer or shorter, at random. 0: a tenth; negative: none
	Healthy   int           // successes in a row that make an unhealthy endpoint healthy. 0: 2
	Unhealthy int           // failures in a row that make a healthy endpoint unhealthy. 0: 3

	TLS      *tls.Config // how connections are secured, as in package pool
	Protocol string      // "auto" or "", "http1", "http2" or "h2c", as in package pool; gRPC is always HTTP/2

	After func(time.Duration) <-chan time.Time // the clock. Nil: time.After
}

// Range is a range of status codes, both ends included.
type Range struct{ From, To int }

// Target is the endpoint to check.
type Target struct {
	Scheme     string // "https": TLS; "http": none; "h2c": HTTP/2 without TLS; "": TLS if there are options for it
	Address    string // "10.0.0.1:8080", "orders:8080" or "unix:/run/app.sock"
	ServerName string // for SNI, the certificate's verification and Host; "": the host in Address
}

func (o Options) withDefaults() Options {
	if o.Kind == "" {
		o.Kind = HTTP
	}
	if o.Method == "" {
		o.Method = http.MethodGet
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if len(o.Status) == 0 {
		o.Status = []Range{{200, 399}}
	}
	if o.Interval <= 0 {
		o.Interval = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Second
	}
	if o.Jitter == 0 {
		o.Jitter = 0.1
	}
	o.Jitter = min(max(o.Jitter, 0), 1)
	o.Healthy, o.Unhealthy = orDefault(o.Healthy, 2), orDefault(o.Unhealthy, 3)
	if o.After == nil {
		o.After = time.After
	}
	return o
}

func orDefault(n, to int) int {
	if n <= 0 {
		return to
	}
	return n
}

// Status is what a Checker thinks of its endpoint.
type Status uint8

// The statuses.
const (
	Unknown Status = iota // not checked yet
	Healthy
	Unhealthy
)

// String returns the status's name.
func (s Status) String() string { return [...]string{"unknown", "healthy", "unhealthy"}[s] }

// State is what a Checker knows.
type State struct {
	Status  Status
	Since   time.Time // of the status
	Checked time.Time // when the last check ended
	Reason  string    // what the last check found: "status 503", "connection refused", …
	Streak  int       // checks in a row that found otherwise than Status says
}

// Checker checks one endpoint.
type Checker struct {
	o        Options
	probe    prober
	onChange func(healthy bool, reason string)
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	state State
}

// prober makes one check. It returns what it found, in a few words, or why the endpoint is not healthy.
type prober func(ctx context.Context) (string, error)

// New returns a checker that does nothing yet. It calls onChange with the result of the first check and when the endpoint turns
// healthy or unhealthy, one call at a time; onChange must not call Close.
func New(o Options, to Target, onChange func(healthy bool, reason string)) *Checker {
	o = o.withDefaults()
	c := &Checker{o: o, probe: newProber(o, to), onChange: onChange}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Start begins to check, at once and then every interval, until Close.
func (c *Checker) Start() {
	c.wg.Go(func() { c.run(c.ctx) })
}

// Close ends the checks and waits until none is under way.
func (c *Checker) Close() {
	c.cancel()
	c.wg.Wait()
}

// State returns what is known of the endpoint.
func (c *Checker) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

var errTimeout = errors.New("no answer in time")

func (c *Checker) run(ctx context.Context) {
	for {
		reason, err := c.check(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			reason = err.Error()
		}
		if c.record(err == nil, reason) {
			c.onChange(err == nil, reason)
		}
		select {
		case <-c.o.After(c.pause()):
		case <-ctx.Done():
			return
		}
	}
}

func (c *Checker) check(ctx context.Context) (string, error) {
	limited, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, errTimeout)
	defer cancel()
	reason, err := c.probe(limited)
	if err != nil && limited.Err() != nil {
		err = context.Cause(limited)
	}
	return reason, err
}

// record notes the result of a check and says whether the status has changed. The first check decides alone.
func (c *Checker) record(ok bool, reason string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, now := &c.state, time.Now()
	s.Checked, s.Reason = now, reason
	found, needed := Unhealthy, c.o.Unhealthy
	if ok {
		found, needed = Healthy, c.o.Healthy
	}
	if found == s.Status {
		s.Streak = 0
		return false
	}
	if s.Streak++; s.Status != Unknown && s.Streak < needed {
		return false
	}
	s.Status, s.Since, s.Streak = found, now, 0
	return true
}

// pause is the wait for the next check.
func (c *Checker) pause() time.Duration {
	return c.o.Interval + time.Duration(c.o.Jitter*(2*rand.Float64()-1)*float64(c.o.Interval))
}
