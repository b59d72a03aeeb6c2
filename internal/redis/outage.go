package redis

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	firstProbe = 50 * time.Millisecond
	lastProbe  = time.Second
	steady     = time.Minute // a server that was up for so long is probed as soon again as at first
	quietly    = time.Minute // between two lines about questions that are refused
)

// SlowAnswers is how many answers that come too late, one after the other, make a server one that is down.
const SlowAnswers = 5

// DefaultTimeout is how long a request waits for a server by default, where policies count in it.
const DefaultTimeout = 100 * time.Millisecond

// ErrAnswer is an answer that is not one of the script that was run. It says nothing of the server.
var ErrAnswer = errors.New("the answer is not one of the script")

// OutageOptions say what an Outage watches, and how it finds out that all is well again.
type OutageOptions struct {
	Server *Server
	Log    *slog.Logger

	// What is logged: when the server is lost, when it is back, and, once a minute at most, when it refuses a question but not others.
	Lost, Back, Refused string

	// Probe asks what requests ask: of a cluster, the server that has the key which failed. What a server refuses for this key alone is no
	// error.
	Probe func(ctx context.Context, key string) error

	// Settle is done before anybody asks again; while it fails the server is down. May be nil.
	Settle func(ctx context.Context) error

	// Changed is told whether the server is up. It must not wait. May be nil.
	Changed func(up bool)
}

// Outage remembers that a server is down, so that nobody waits for it: one probe at a time finds out when it is back, at times that differ
// from gateway to gateway. There is one line in the log when it is lost, and one when it is back. What uses a server for one purpose has one
// Outage for it: a server may do for one purpose, and not for another.
type Outage struct {
	o        OutageOptions
	down     atomic.Bool
	slow     atomic.Int32
	patience atomic.Int64 // how long an answer may take
	refused  atomic.Int64 // when it was logged, in s

	ctx   context.Context
	end   context.CancelFunc
	group sync.WaitGroup

	mu     sync.Mutex
	closed bool
	pause  time.Duration // until the next probe
	back   time.Time
}

// NewOutage makes an Outage of a server that is taken to be up. Close must be called.
func NewOutage(o OutageOptions) *Outage {
	ctx, end := context.WithCancel(context.Background())
	out := &Outage{o: o, ctx: ctx, end: end, pause: firstProbe}
	out.patience.Store(int64(time.Millisecond))
	return out
}

// Down says whether the server is known to be down: it is not to be asked.
func (o *Outage) Down() bool { return o.down.Load() }

// Patience has a server that answers within this time, or a longer one that was said before, count as one that is up.
func (o *Outage) Patience(d time.Duration) {
	for {
		old := o.patience.Load()
		if old >= int64(d) || o.patience.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}

// InTime notes an answer that came in time.
func (o *Outage) InTime() {
	if o.slow.Load() != 0 {
		o.slow.Store(0)
	}
}

// Late notes that the answer to a question about a key did not come in time.
func (o *Outage) Late(key string) {
	if o.slow.Add(1) >= SlowAnswers {
		o.lose(key, errors.New("the store does not answer in time"))
	}
}

// Failed notes that a question about a key failed. It says what kind of failure it was: "connection" or "refused".
func (o *Outage) Failed(key string, err error) (reason string) {
	reason, down := Classify(err)
	switch now := time.Now().Unix(); {
	case o.ctx.Err() != nil:
	case down:
		o.lose(key, err)
	default:
		last := o.refused.Load()
		if now-last >= int64(quietly/time.Second) && o.refused.CompareAndSwap(last, now) {
			o.o.Log.Warn(o.o.Refused, "store", o.o.Server.Name(), "err", err)
		}
	}
	return reason
}

// states are how errors begin that say something of the server, and nothing of a key.
var states = []string{
	"READONLY", "LOADING", "OOM", "MISCONF", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "NOPERM", "NOAUTH", "WRONGPASS", "BUSY", "UNKILLABLE",
	"The user executing the script", // of Redis 7, which may not run a command of it
}

// Classify says what kind of failure it is, and whether the server is down: not where one key has something else in it.
func Classify(err error) (reason string, down bool) {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok && !errors.Is(err, ErrAnswer) {
		return "connection", true
	}
	return "refused", ok && slices.ContainsFunc(states, func(state string) bool { return strings.HasPrefix(answer.Error(), state) })
}

// lose notes that the server is down, and begins to probe it.
func (o *Outage) lose(key string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.down.Load() {
		return
	}
	o.down.Store(true)
	if time.Since(o.back) > steady {
		o.pause = firstProbe
	}
	o.changed(false)
	o.o.Log.Error(o.o.Lost, "store", o.o.Server.Name(), "err", err)
	o.group.Go(func() { o.probe(key) })
}

func (o *Outage) changed(up bool) {
	if o.o.Changed != nil {
		o.o.Changed(up)
	}
}

// probe asks the server now and then until it answers in time.
func (o *Outage) probe(key string) {
	began := time.Now()
	for {
		wait := time.NewTimer(o.pause/2 + rand.N(o.pause)) // gateways do not come all at once
		select {
		case <-o.ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		o.pause = min(2*o.pause, lastProbe)
		if o.answers(key) {
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slow.Store(0)
	o.back = time.Now()
	o.down.Store(false)
	o.changed(true)
	o.o.Log.Info(o.o.Back, "store", o.o.Server.Name(), "after", time.Since(began).Round(time.Millisecond))
}

// answers says whether the server does what is asked of it, and in time.
func (o *Outage) answers(key string) bool {
	for range 2 { // the first answer on a new connection may take longer than others do
		began := time.Now()
		if o.o.Probe(o.ctx, key) != nil {
			return false
		}
		if time.Since(began) <= 2*time.Duration(o.patience.Load()) {
			return o.o.Settle == nil || o.o.Settle(o.ctx) == nil
		}
	}
	return false
}

// Close ends the probe.
func (o *Outage) Close() error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.end()
	o.group.Wait()
	return nil
}
