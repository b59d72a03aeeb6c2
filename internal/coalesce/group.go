// Package coalesce makes one fetch of many that ask for the same at once: the first starts it, all read its answer while it comes in, each at
// its own pace, from memory that is bounded. The fetch belongs to none of them: it goes on until its end, or until the last reader has left.
//
// Readers may join until the answer's head is known, so that no answer is older than the request that gets it. It stores nothing beyond what
// its slowest reader has yet to read, and knows nothing of HTTP: what may be shared is for those who import it, which are the policies that
// coalesce and cache.
package coalesce

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Options bound what a fetch takes.
type Options struct {
	// Buffer is how many bytes of an answer are kept for readers that fall behind. At least two blocks, 32 KiB, are.
	Buffer int

	// Patience is for how long a reader that has fallen behind by the whole buffer may hold up others that wait for more, in all, beside a
	// quarter of the time that the answer takes. Then it is cut, and others have half the time. Where all readers are slow the fetch is slow, and
	// nobody is cut.
	Patience time.Duration
}

// Group are the fetches under way that may be joined, by key. Its zero value, with Options, is ready for use.
type Group[K comparable, H any] struct {
	Options Options

	mu    sync.Mutex
	open  map[K]*Fetch[K, H]
	apart map[K]time.Time // keys whose fetches are not to be joined, until then
	all   sync.WaitGroup
}

// maxApart is how many keys are remembered that are not to be joined.
const maxApart = 4096

// Fetch is one fetch. H is what is known of its answer before the body.
type Fetch[K comparable, H any] struct {
	group  *Group[K, H]
	key    K
	ctx    context.Context
	cancel context.CancelFunc
	ready  chan struct{} // closed when head or err is set
	once   sync.Once
	head   H
	err    error
	body   stream
	users  int // readers that have not left; guarded by the group
}

var (
	// ErrLate says that an answer's head was too long in coming.
	ErrLate = errors.New("the answer did not begin in time")

	// ErrSlow says that a reader was cut, since it had held others up for too long.
	ErrSlow = errors.New("the client took the answer so slowly that others had to wait, and was cut off")

	errUnfinished = errors.New("the fetch ended without an answer")
)

// Join returns a reader of the fetch with a key. Where there is none, it starts one, and leads is true: begin, which must be quick, returns what
// carries it out in a goroutine of its own. The reader must be closed. It returns nil where the key's fetches are not to be joined.
func (g *Group[K, H]) Join(key K, begin func(*Fetch[K, H]) (run func())) (r *Reader[K, H], leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isApart(key) {
		return nil, false
	}
	f := g.open[key]
	if f == nil {
		f, leads = g.begin(key), true
		run := begin(f)
		g.all.Go(func() { // ends with the answer, or when the last reader has left
			defer f.finish()
			run()
		})
	}
	f.users++
	return &Reader[K, H]{fetch: f, cursor: f.body.join()}, leads
}

func (g *Group[K, H]) begin(key K) *Fetch[K, H] {
	f := &Fetch[K, H]{group: g, key: key, ready: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.body.begin(g.Options)
	if g.open == nil {
		g.open = map[K]*Fetch[K, H]{}
	}
	g.open[key] = f
	return f
}

// KeepApart has requests with a key not wait for each other for a while, since what they get is not for others.
func (g *Group[K, H]) KeepApart(key K, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.apart) >= maxApart {
		clear(g.apart) // they are found out again
	}
	if g.apart == nil {
		g.apart = map[K]time.Time{}
	}
	g.apart[key] = until
}

func (g *Group[K, H]) isApart(key K) bool {
	until, ok := g.apart[key]
	if ok && time.Now().After(until) {
		delete(g.apart, key)
		return false
	}
	return ok
}

// Readers is how many read, or wait for, the fetch with a key that may be joined. Apart says that there will be none.
func (g *Group[K, H]) Readers(key K) (n int, apart bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.open[key]; f != nil {
		n = f.users
	}
	return n, g.isApart(key)
}

// Wait waits until all fetches have ended. Nobody may join any more.
func (g *Group[K, H]) Wait() { g.all.Wait() }

// Context ends when nobody reads any more.
func (f *Fetch[K, H]) Context() context.Context { return f.ctx }

// Answer says what the answer is, before its body. Nobody joins any more.
func (f *Fetch[K, H]) Answer(head H) { f.settle(head, nil) }

// Fail says that there is no answer, and what is known all the same.
func (f *Fetch[K, H]) Fail(head H, err error) { f.settle(head, err) }

func (f *Fetch[K, H]) settle(head H, err error) {
	f.once.Do(func() {
		f.close()
		f.head, f.err = head, err
		close(f.ready)
	})
}

// close has nobody join any more.
func (f *Fetch[K, H]) close() {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	if f.group.open[f.key] == f {
		delete(f.group.open, f.key)
	}
}

// finish is the end, however it came.
func (f *Fetch[K, H]) finish() {
	var none H
	f.settle(none, errUnfinished)
	f.body.end(errUnfinished)
	f.cancel()
}

// leave is a reader's end. The last one's is the fetch's.
func (f *Fetch[K, H]) leave() {
	f.group.mu.Lock()
	f.users--
	last := f.users == 0
	if last && f.group.open[f.key] == f {
		delete(f.group.open, f.key)
	}
	f.group.mu.Unlock()
	if last {
		f.cancel()
		f.body.wake()
	}
}
