package line

import (
	"context"
	"time"
)

// Waiter is a request in line. The shard's lock guards it, but for what stands first.
type Waiter[K comparable] struct {
	shard *shard[K]
	wait  time.Duration

	place      *Place[K]
	want       Want
	next, prev *Waiter[K]
	called     chan struct{} // closed when it is let in or displaced
	done       bool          // it is in line no more
	displaced  bool
}

// queue puts a request in line, or says why it cannot. A full line makes room for one that is more important than its last.
func (p *Place[K]) queue(want Want) (*Waiter[K], error) {
	if p.length >= want.Queue {
		if want.Queue == 0 || p.last == nil || p.last.want.Priority >= want.Priority {
			return nil, p.refuse(want)
		}
		out := p.last
		p.remove(out)
		out.displaced = true
		p.refused++
		close(out.called)
	}
	w := &Waiter[K]{shard: p.shard, wait: want.Wait, place: p, want: want, called: make(chan struct{})}
	before := p.last
	for before != nil && before.want.Priority < want.Priority {
		before = before.prev
	}
	p.insert(w, before)
	return w, nil
}

// refuse counts a request that is not let in. A place at which nothing is under way is not kept for that.
func (p *Place[K]) refuse(want Want) error {
	p.refused++
	if p.active == 0 && p.first == nil {
		p.shard.drop(p)
	}
	if want.Queue == 0 {
		return ErrNoLine
	}
	return ErrFull
}

// insert puts w after another, or first.
func (p *Place[K]) insert(w, before *Waiter[K]) {
	w.prev = before
	if before == nil {
		w.next, p.first = p.first, w
	} else {
		w.next, before.next = before.next, w
	}
	if w.next == nil {
		p.last = w
	} else {
		w.next.prev = w
	}
	p.length++
}

// remove takes w out of the line.
func (p *Place[K]) remove(w *Waiter[K]) {
	if w.prev == nil {
		p.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		p.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.next, w.prev, w.done = nil, nil, true
	p.length--
}

// admit lets in whoever may now be, in the order of the line. One whose limit is lower does not hold up others.
func (p *Place[K]) admit() {
	for w := p.first; w != nil; {
		next := w.next
		if p.active < w.want.Limit {
			p.remove(w)
			p.active++
			close(w.called)
		}
		w = next
	}
}

// adjust has those who wait under a rule go by its limit as it is now.
func (p *Place[K]) adjust(now Want) {
	changed := false
	for w := p.first; w != nil; w = w.next {
		if w.want.Rule == now.Rule && w.want.Limit != now.Limit {
			w.want.Limit, changed = now.Limit, true
		}
	}
	if changed {
		p.admit()
	}
}

// Wait stands in line, until the request is let in or there is a reason why it is not. It must be called once.
func (w *Waiter[K]) Wait(ctx context.Context) (*Place[K], error) {
	var late <-chan time.Time
	if w.wait > 0 {
		timer := time.NewTimer(w.wait)
		defer timer.Stop()
		late = timer.C
	}
	err := ErrTooLong
	select {
	case <-w.called:
		err = nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late:
	}
	return w.end(err, ctx.Err() != nil)
}

// end takes the request out of the line, if it is still in it. Who was let in at the last moment stays, unless nobody waits for it any more.
func (w *Waiter[K]) end(err error, gone bool) (*Place[K], error) {
	s := w.shard
	s.mu.Lock()
	p := w.place
	switch {
	case w.displaced:
		err = ErrDisplaced
	case !w.done:
		p.remove(w)
		p.refused++
		if p.active == 0 && p.first == nil {
			s.drop(p)
		}
	case err == nil || !gone:
		s.mu.Unlock()
		return p, nil
	default:
		s.mu.Unlock()
		p.Leave()
		return nil, err
	}
	s.mu.Unlock()
	return nil, err
}
