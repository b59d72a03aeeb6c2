package sharedlimit

import (
	"context"
	"sync"
	"time"
)

// start starts the goroutine that ends leases, while there are any. False: it is closed.
func (l *leases) start() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running && !l.closed {
		l.running = true
		l.group.Go(l.settle)
	}
	return !l.closed
}

// settle ends leases when their time is over. It stops when there are no keys, or at the end.
func (l *leases) settle() {
	tick := time.NewTicker(min(settle, l.life))
	defer tick.Stop()
	for {
		select {
		case <-l.end:
			return
		case <-tick.C:
		}
		for i := range l.all {
			l.sweep(&l.all[i])
		}
		l.mu.Lock()
		if l.keys.Load() == 0 { // a key is added before this is started for it
			l.running = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
	}
}

// sweep ends leases of a shard.
func (l *leases) sweep(s *shard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := l.now()
	for id, k := range s.keys {
		l.expire(k, now)
		if k.asking == nil && k.leases[0].left == 0 && k.leases[1].left == 0 && now >= max(k.refused, k.lent+l.life, k.full) {
			delete(s.keys, id)
			l.keys.Add(-1)
		}
	}
}

// expire gives back leases that have ended. One that was not used makes the next one smaller.
func (l *leases) expire(k *lessee, now time.Duration) {
	for i := range k.leases {
		e := &k.leases[i]
		if e.until <= now && e.left > 0 {
			k.want = max(1, k.want/2)
			l.giveBack(k, *e)
			*e = lease{}
		}
	}
}

// close gives all leases back, and waits until that is done, for a moment at most.
func (l *leases) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	close(l.end)
	l.group.Wait()
	var sent sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	for i := range l.all {
		s := &l.all[i]
		s.mu.Lock()
		for id, k := range s.keys {
			for _, e := range k.leases {
				l.last(ctx, k, e, &sent)
			}
			delete(s.keys, id)
		}
		s.mu.Unlock()
	}
	done := make(chan struct{})
	go func() { // ends when all is answered, at the latest when the link is closed
		sent.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// closing is how long Close waits for leases to be given back.
const closing = 2 * time.Second

// last gives a lease back at the end: it waits for room.
func (l *leases) last(ctx context.Context, k *lessee, e lease, sent *sync.WaitGroup) {
	link := l.c.link
	if e.left == 0 || link.outage.Down() || !link.start() {
		return
	}
	q := l.c.call(k.id, "back", e.left)
	q.at = e.at
	sent.Add(1)
	q.then = func(q *call) {
		link.put(q)
		sent.Done()
	}
	select {
	case link.later <- q:
	case <-ctx.Done():
		sent.Done()
		link.m.dropped.Inc()
	}
}
