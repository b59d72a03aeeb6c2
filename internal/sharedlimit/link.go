package sharedlimit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
)

const (
	workers   = 4    // which send at the same time; what comes meanwhile goes together
	batchSize = 64   // decisions that are sent together
	queueSize = 4096 // decisions that wait; more are not waited for
)

var (
	errDown = errors.New("the store is down")
	errBusy = errors.New("too much waits for the store")
	errLate = errors.New("the store does not answer in time")
)

// answer is what the script returns.
type answer struct {
	allowed     bool
	rule        int
	left        int64
	reset       time.Duration
	retry       time.Duration // below 0: never
	granted, at int64
}

// call is one question. Its result may be read once done has said so.
type call struct {
	key    string
	reset  bool // the key is deleted
	op     string
	cost   int64
	want   int64
	share  int64
	at     int64
	rules  []compiled
	answer answer
	err    error

	left atomic.Bool // nobody waits any more: it need not be sent
	done chan struct{}
	then func(c *call) // is called instead of done
	wait *time.Timer
}

// link sends the decisions of all counters of a server, many at a time, and knows when the server is down: then nobody waits for it.
type link struct {
	server *redis.Server
	script source
	outage *redis.Outage
	m      *metrics
	ctx    context.Context
	end    context.CancelFunc
	queue  chan *call
	later  chan *call // what nobody waits for

	calls sync.Pool

	mu      sync.Mutex // guards goroutines' starting
	started atomic.Bool
	closed  bool
	group   sync.WaitGroup
}

func newLink(server *redis.Server, script source, log *slog.Logger, m *metrics) *link {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{
		server: server, script: script, m: m, ctx: ctx, end: cancel,
		queue: make(chan *call, queueSize), later: make(chan *call, queueSize),
	}
	l.calls.New = func() any {
		wait := time.NewTimer(time.Hour)
		wait.Stop()
		return &call{done: make(chan struct{}, 1), wait: wait}
	}
	l.outage = redis.NewOutage(redis.OutageOptions{
		Server: server, Log: log, Probe: l.probe, Changed: l.changed,
		Lost:    "limits cannot be counted in the store; what is configured for that holds until it is back",
		Back:    "limits are counted in the store again",
		Refused: "the store refuses to count a limit",
	})
	m.up.Set(1)
	return l
}

// start starts the workers when they are first needed. False: the link is closed.
func (l *link) start() bool {
	if l.started.Load() {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.started.Load() && !l.closed {
		l.started.Store(true)
		for range workers {
			l.group.Go(l.work)
		}
	}
	return !l.closed
}

// Close ends the workers. What waits gets an error.
func (l *link) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.end()
	err := l.outage.Close()
	l.group.Wait()
	for {
		select {
		case c := <-l.queue:
			l.finish(c, errDown)
		case c := <-l.later:
			l.finish(c, errDown)
		default:
			return err
		}
	}
}

// ask sends a call and waits for the answer, but no longer than timeout. A call with an answer goes back by l.calls.Put.
func (l *link) ask(ctx context.Context, c *call, timeout time.Duration) error {
	if l.outage.Down() {
		return errDown
	}
	if !l.start() {
		return errDown
	}
	began := time.Now()
	select {
	case l.queue <- c:
	default:
		l.m.failed("busy")
		return errBusy
	}
	c.wait.Reset(timeout)
	select {
	case <-c.done:
		c.wait.Stop()
		l.m.duration.Observe(time.Since(began).Seconds())
		if c.err == nil {
			l.outage.InTime()
		}
		return c.err
	case <-ctx.Done():
		c.left.Store(true)
		return ctx.Err()
	case <-c.wait.C:
		c.left.Store(true)
		l.late(c.key)
		return errLate
	}
}

// late notes that an answer did not come in time.
func (l *link) late(key string) {
	l.m.failed("timeout")
	l.outage.Late(key)
}

// post sends a call that nobody waits for. False: there is no room, or no server.
func (l *link) post(c *call) bool {
	if l.outage.Down() || !l.start() {
		l.m.dropped.Inc()
		return false
	}
	select {
	case l.later <- c:
		return true
	default:
		l.m.dropped.Inc()
		return false
	}
}

// work sends what waits, as much at a time as there is.
func (l *link) work() {
	batch := make([]*call, 0, batchSize)
	for {
		batch = batch[:0]
		select {
		case <-l.ctx.Done():
			return
		case c := <-l.queue:
			batch = append(batch, c)
		case c := <-l.later:
			batch = append(batch, c)
		}
		for more := true; more && len(batch) < batchSize; {
			select {
			case c := <-l.queue:
				batch = append(batch, c)
			case c := <-l.later:
				batch = append(batch, c)
			default:
				more = false
			}
		}
		l.send(batch)
	}
}

// send sends a batch. Each of its calls gets its answer or an error.
func (l *link) send(batch []*call) {
	wanted := batch[:0]
	for _, c := range batch {
		if c.left.Load() {
			continue // who gave up must not be counted
		}
		wanted = append(wanted, c)
	}
	if len(wanted) == 0 {
		return
	}
	var results []rueidis.RedisResult
	err := l.server.Ask(l.ctx, func(ctx context.Context, client rueidis.Client) error {
		results = l.evaluate(ctx, client, wanted)
		return nil
	})
	for i, c := range wanted {
		if err != nil {
			l.finish(c, err)
			continue
		}
		l.finish(c, c.read(results[i]))
	}
}

// evaluate runs calls. Where the server does not know the script, one call brings it, and the others follow.
func (l *link) evaluate(ctx context.Context, client rueidis.Client, batch []*call) []rueidis.RedisResult {
	commands := make(rueidis.Commands, 0, len(batch))
	for _, c := range batch {
		commands = append(commands, l.command(client, c, false))
	}
	results := client.DoMulti(ctx, commands...)
	l.repeat(ctx, client, batch, results)
	var again []int
	for i := range results {
		if isNoScript(results[i]) {
			again = append(again, i)
		}
	}
	for len(again) > 0 { // ends: each round answers one call at least
		results[again[0]] = client.Do(ctx, l.command(client, batch[again[0]], true))
		again = again[1:]
		if len(again) == 0 {
			break
		}
		commands = commands[:0]
		for _, i := range again {
			commands = append(commands, l.command(client, batch[i], false))
		}
		var unknown []int
		for j, r := range client.DoMulti(ctx, commands...) {
			i := again[j]
			if results[i] = r; isNoScript(r) {
				unknown = append(unknown, i)
			}
		}
		again = unknown
	}
	return results
}

// repeat asks once more where the connection was closed: servers close idle ones. What may have been counted already is counted twice then,
// but nothing is given back twice.
func (l *link) repeat(ctx context.Context, client rueidis.Client, batch []*call, results []rueidis.RedisResult) {
	var again []int
	var commands rueidis.Commands
	for i, c := range batch {
		if err := results[i].NonRedisError(); err != nil && ctx.Err() == nil && !rueidis.IsRedisNil(err) && c.op != "back" && c.cost >= 0 {
			again = append(again, i)
			commands = append(commands, l.command(client, c, false))
		}
	}
	if len(again) == 0 {
		return
	}
	for j, r := range client.DoMulti(ctx, commands...) {
		results[again[j]] = r
	}
}

func isNoScript(r rueidis.RedisResult) bool {
	err, ok := rueidis.IsRedisErr(r.Error())
	return ok && err.IsNoScript()
}

// command builds a call's command: with the script, or with its name.
func (l *link) command(client rueidis.Client, c *call, whole bool) rueidis.Completed {
	if c.reset {
		return client.B().Del().Key(c.key).Build()
	}
	args := make([]string, 0, 5+4*maxRules)
	args = append(args, c.op, decimal(c.cost), decimal(c.want), decimal(c.share), decimal(c.at))
	for i := range c.rules {
		args = append(args, c.rules[i].args[:]...)
	}
	if whole {
		return client.B().Eval().Script(l.script.text).Numkeys(1).Key(c.key).Arg(args...).Build()
	}
	return client.B().Evalsha().Sha1(l.script.sha).Numkeys(1).Key(c.key).Arg(args...).Build()
}

// read reads an answer.
func (c *call) read(r rueidis.RedisResult) error {
	if c.reset {
		n, err := r.AsInt64()
		c.answer.allowed = n > 0
		return err
	}
	v, err := r.AsIntSlice()
	if err != nil {
		return err
	}
	if len(v) != 7 || v[1] < 0 || v[1] >= int64(max(1, len(c.rules))) {
		return redis.ErrAnswer
	}
	c.answer = answer{
		allowed: v[0] == 1, rule: int(v[1]), left: max(0, v[2]), reset: micros(v[3]), retry: micros(v[4]), granted: v[5], at: v[6],
	}
	return nil
}

// micros returns µs as a duration, the longest there is for what is longer.
func micros(n int64) time.Duration {
	if n > int64(maxPer/time.Microsecond)*1000 {
		n = int64(maxPer/time.Microsecond) * 100
	}
	return time.Duration(n) * time.Microsecond
}

// finish tells who waits.
func (l *link) finish(c *call, err error) {
	c.err = err
	if err != nil && l.ctx.Err() == nil && !errors.Is(err, errDown) {
		l.m.failed(l.outage.Failed(c.key, err))
	}
	if c.then != nil {
		c.then(c)
		return
	}
	c.done <- struct{}{}
}

// get returns a call to fill in.
func (l *link) get() *call { return l.calls.Get().(*call) }

// put takes back a call that was answered.
func (l *link) put(c *call) {
	c.reset, c.want, c.at, c.then, c.err, c.key = false, 0, 0, nil, nil, ""
	l.calls.Put(c)
}
