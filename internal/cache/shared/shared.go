package shared

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/stored"
	"cardea.dev/cardea/observe"
)

const (
	prefix   = "cardea:cache:"
	maxName  = 64
	maxBody  = 256 << 20
	maxGets  = 1024               // that wait at the same time
	longest  = 7 * 24 * time.Hour // that anything is kept
	validate = time.Hour          // for how long what must be validated is kept beyond its use
)

// Options say how a Store works. The zero value of each field is its default.
type Options struct {
	MaxBody int64         // the longest body that is kept; 1MiB by default
	Timeout time.Duration // how long a request waits for the store; 100ms by default
	Lease   time.Duration // how long a fetch may take before another gateway fetches, too; 10s by default

	Log     *slog.Logger
	Metrics *observe.Metrics
	Now     func() time.Time
}

// complete sets defaults.
func (o *Options) complete() {
	orElse(&o.MaxBody, 1<<20)
	orElse(&o.Timeout, redis.DefaultTimeout)
	orElse(&o.Lease, 10*time.Second)
	orElse(&o.Log, slog.New(slog.DiscardHandler))
	if o.Metrics == nil {
		o.Metrics = observe.NewMetrics()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Store is a stored.Store in a Redis that gateways share.
type Store struct {
	o      Options
	server *redis.Server
	prefix string
	outage *redis.Outage
	m      *metrics
	ctx    context.Context
	end    context.CancelFunc
	gets   chan struct{}
	writes writes
	purges purges

	mu     sync.RWMutex // guards that nothing is started after the end
	closed bool
	group  sync.WaitGroup

	full atomic.Int64 // when it was logged that there is no room, in s
}

var _ stored.Store = (*Store)(nil)

// New returns a Store. Stores with the same name at the same server, of whatever gateway, are one. It connects to nothing yet. Close must be called.
func New(server *redis.Server, name string, o Options) (*Store, error) {
	o.complete()
	if o.MaxBody < 0 || o.MaxBody > maxBody || o.Timeout < 0 || o.Lease < time.Millisecond {
		return nil, errors.New("a size or a time of a shared cache is out of range")
	}
	server.Retain()
	ctx, end := context.WithCancel(context.Background())
	s := &Store{o: o, server: server, prefix: prefix + shortName(name) + ":", ctx: ctx, end: end, gets: make(chan struct{}, maxGets)}
	s.m = newMetrics(o.Metrics, name)
	s.outage = redis.NewOutage(redis.OutageOptions{
		Server: server, Log: o.Log.With("cache", name), Probe: s.probe, Settle: s.settle, Changed: s.changed,
		Lost:    "the cache goes on without its store",
		Back:    "the cache uses its store again",
		Refused: "the store of the cache refuses a question",
	})
	s.outage.Patience(o.Timeout)
	s.writes.init(s)
	s.purges.init(s)
	return s, nil
}

// shortName is a name of a cache as it is a part of keys.
func shortName(name string) string {
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
	}
	if name != "" && len(name) <= maxName && strings.IndexFunc(name, func(c rune) bool { return !plain(c) }) < 0 {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "~" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// names are the keys of one response in Redis, all of one hash slot.
type names struct{ head, body, lease string }

// names returns the keys of a response.
func (s *Store) names(key string) names {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, len(s.prefix)+64)
	b = append(append(b, s.prefix...), '{')
	b = append(base64.RawURLEncoding.AppendEncode(b, sum[:]), "}:x"...)
	b[len(b)-1] = 'b'
	n := names{body: string(b)}
	b[len(b)-1] = 'l'
	n.lease = string(b)
	n.head = n.body[:len(n.body)-2]
	return n
}

// start runs f in a goroutine that Close waits for. False: the store is closed.
func (s *Store) start(f func()) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false
	}
	s.group.Go(f)
	return true
}

// ready says whether it makes sense to ask the server: it is not down, and all purges that it knows are known here.
func (s *Store) ready() bool { return !s.outage.Down() && s.purges.current() }

// Get returns the response with a key, or nil.
func (s *Store) Get(ctx context.Context, key string) *stored.Response {
	r, _ := s.get(ctx, key, s.names(key))
	return r
}

// found is what a look has found.
type found struct {
	r     *stored.Response
	lead  bool // the lease is this gateway's
	held  bool // somebody has the lease
	apart bool // nobody is to have it
}

// get asks the server, and waits no longer than Timeout.
func (s *Store) get(ctx context.Context, key string, n names) (*stored.Response, bool) {
	f, ok := s.bounded(ctx, n.head, func(ctx context.Context) (found, error) { return s.look(ctx, key, n) })
	return f.r, ok
}

// bounded asks in a goroutine of its own: connecting may take longer than a request should wait.
func (s *Store) bounded(ctx context.Context, name string, ask func(context.Context) (found, error)) (found, bool) {
	if !s.ready() {
		return found{}, false
	}
	select {
	case s.gets <- struct{}{}:
	default:
		s.m.failed("busy")
		return found{}, false
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	done := make(chan found, 1)
	began := time.Now()
	if !s.start(func() {
		defer func() { <-s.gets }()
		f, err := ask(limited)
		switch {
		case err == nil:
			done <- f
		case limited.Err() == nil:
			s.failed(name, err)
			cancel()
		}
	}) {
		<-s.gets
		return found{}, false
	}
	select {
	case f := <-done:
		s.outage.InTime()
		s.m.duration.Observe(time.Since(began).Seconds())
		return f, true
	case <-limited.Done():
		if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
			s.m.failed("timeout")
			s.outage.Late(name)
		}
		return found{}, false
	}
}

// look reads a response. What is broken, or of others, is not there.
func (s *Store) look(ctx context.Context, key string, n names) (found, error) {
	b, err := s.read(ctx, n.head, frameSize+maxHead+min(s.o.MaxBody, apartFrom))
	if err != nil || len(b) == 0 {
		return found{}, err
	}
	r, data, f := s.understand(b, key, n)
	if r == nil {
		return found{}, nil
	}
	if f.apart {
		if data, err = s.read(ctx, n.body, f.body+1); err != nil {
			return found{}, err
		}
		if int64(len(data)) != f.body || xxhash.Sum64(data) != f.bodySum {
			return found{}, nil // it was evicted, or is being replaced
		}
	}
	if !r.Marker {
		r.Body = &body{data, f.bodySum}
	}
	return found{r: r}, nil
}

// understand reads the value of a key, or nothing: not what is broken, of another key, of another version, or of a gateway that allows for more.
func (s *Store) understand(b []byte, key string, n names) (*stored.Response, []byte, frame) {
	r, data, f, err := decode(b)
	switch {
	case errors.Is(err, errForeign) || err == nil && f.body > s.o.MaxBody:
		return nil, nil, frame{}
	case err != nil || r.Key != key:
		s.broken(n)
		return nil, nil, frame{}
	}
	return r, data, f
}

// read reads a value, but no more of it than most bytes. A value of another type is not there.
func (s *Store) read(ctx context.Context, name string, most int64) (b []byte, err error) {
	err = s.ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		b, err = client.Do(ctx, client.B().Getrange().Key(name).Start(0).End(most-1).Build()).AsBytes()
		return err
	})
	if isType(err) {
		return nil, nil
	}
	return b, err
}

// ask asks the server, once more where the connection was closed: servers close idle ones.
func (s *Store) ask(ctx context.Context, f func(ctx context.Context, client rueidis.Client) error) error {
	err := s.server.Ask(ctx, f)
	if err == nil || ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if _, answered := rueidis.IsRedisErr(err); answered {
		return err
	}
	return s.server.Ask(ctx, f)
}

// failed notes a failure.
func (s *Store) failed(name string, err error) {
	if s.ctx.Err() != nil {
		return
	}
	s.m.failed(s.outage.Failed(name, err))
}

// broken has a value deleted that is not what was written.
func (s *Store) broken(n names) {
	s.m.failed("broken")
	s.writes.add(job{kind: remove, names: n})
}

// Delete lets a response go, soon.
func (s *Store) Delete(_ context.Context, key string) {
	if !s.outage.Down() {
		s.writes.add(job{kind: remove, names: s.names(key)})
	}
}

// All is empty: what is there is known to the server alone.
func (s *Store) All() iter.Seq[*stored.Response] { return func(func(*stored.Response) bool) {} }

// Stats says whether the server is down. How much is kept is known to the server alone.
func (s *Store) Stats() stored.Stats { return stored.Stats{Down: s.outage.Down()} }

// probe asks what requests ask. A server that is full is one that can be read.
func (s *Store) probe(ctx context.Context, name string) error {
	return s.server.Ask(ctx, func(ctx context.Context, client rueidis.Client) error {
		all := client.DoMulti(ctx,
			client.B().Set().Key(s.prefix+"{probe}").Value("1").Px(time.Second).Build(),
			client.B().Getrange().Key(name).Start(0).End(0).Build())
		for _, result := range all {
			if err := result.Error(); err != nil && !isFull(err) {
				if _, down := redis.Classify(err); down {
					return fmt.Errorf("cannot probe the store: %w", err)
				}
			}
		}
		return nil
	})
}

// isFull says that a server has no room, and may not make any.
func isFull(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(answer.Error(), "OOM")
}

// isType says that somebody else has put a value of another type in the place of one.
func isType(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(answer.Error(), "WRONGTYPE")
}

// changed is told by the Outage.
func (s *Store) changed(up bool) {
	if up {
		s.purges.wake()
	}
}

// Close sends what waits, as long as the server answers, and lets go of the server.
func (s *Store) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.writes.drain()
	s.purges.drain()
	s.end()
	err := s.outage.Close()
	s.group.Wait()
	return errors.Join(err, s.server.Close())
}
