// Package coalesce makes one fetch of many that ask for the same at once: the first starts it, all read its answer while it comes in, each at
// its own pace, from memory that is bounded. The fetch belongs to none of them: it goes on until its end, or until the last reader has left.
//
// Readers may join until the answer's head is known, so that no answer is older than the request that gets it, and no more is in memory than the
// slowest of them has yet to read. An answer that is kept, for a cache, may be joined for longer, and is read to its end for the cache's sake: its
// readers read from memory or a store at whatever pace. The package knows nothing of HTTP: what may be shared or kept is for those who import it,
// which are the policies that coalesce and cache.
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

	users   int    // readers that have not left; guarded by the group, as the following
	kept    bool   // it goes on without readers
	ended   bool   // what carried it out has returned
	release func() // what is to be told when nobody needs the store any more
	whole   func(blocks [][]byte, inMemory bool)
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
	if f := g.open[key]; f != nil {
		if r := f.join(); r != nil {
			return r, false
		}
	}
	f := g.begin(key)
	run := begin(f)
	g.all.Go(func() { // ends with the answer, or when nobody wants it any more
		defer f.finish()
		run()
	})
	return f.join(), true
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

// Rejoin has requests with a key wait for each other again: what they get is for others after all.
func (g *Group[K, H]) Rejoin(key K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.apart, key)
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
		f.Seal()
		f.head, f.err = head, err
		close(f.ready)
	})
}

// Seal has nobody join any more.
func (f *Fetch[K, H]) Seal() {
	f.group.mu.Lock()
	defer f.group.mu.Unlock()
	f.seal()
}

func (f *Fetch[K, H]) seal() {
	if f.group.open[f.key] == f {
		delete(f.group.open, f.key)
	}
}

// join returns a new reader, or nil where the beginning is not to be had any more.
func (f *Fetch[K, H]) join() *Reader[K, H] {
	r := &Reader[K, H]{fetch: f}
	if !f.body.join(&r.cursor) {
		return nil
	}
	f.users++
	return r
}

// finish is the end, however it came.
func (f *Fetch[K, H]) finish() {
	var none H
	f.settle(none, errUnfinished)
	f.body.end(errUnfinished)
	f.cancel()
	f.group.mu.Lock()
	f.seal()
	f.ended = true
	release := f.released()
	f.group.mu.Unlock()
	release()
}

// leave is a reader's end. The last one's is the fetch's, unless it is kept.
func (f *Fetch[K, H]) leave() {
	f.group.mu.Lock()
	f.users--
	last := f.users == 0 && !f.kept
	if last {
		f.seal()
	}
	release := f.released()
	f.group.mu.Unlock()
	release()
	if last {
		f.cancel()
		f.body.wake()
	}
}
