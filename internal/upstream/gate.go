package upstream

import (
	"context"
	"errors"
	"sync"
	"time"
)

// gate bounds how many requests are under way at an upstream. Those beyond wait in line, if there is room in it.
type gate struct {
	limit   int
	pending int
	wait    time.Duration // 0: without bound

	mu     sync.Mutex
	active int
	line   []*waiter // the first is the next
}

// waiter is a request in line. Its channel is closed when it is let in.
type waiter struct {
	in    chan struct{}
	admit bool // guarded by the gate's lock
}

var (
	errFull    = errors.New("as many requests are under way as are allowed, and as many wait")
	errTooLong = errors.New("no request ended while this one waited")
	errNoLine  = errors.New("as many requests are under way as are allowed")
)

// enter lets a request in, waits until it may be let in, or says why it is not.
func (g *gate) enter(ctx context.Context) error {
	g.mu.Lock()
	if g.active < g.limit {
		g.active++
		g.mu.Unlock()
		return nil
	}
	if len(g.line) >= g.pending {
		g.mu.Unlock()
		if g.pending == 0 {
			return errNoLine
		}
		return errFull
	}
	w := &waiter{in: make(chan struct{})}
	g.line = append(g.line, w)
	g.mu.Unlock()
	return g.stand(ctx, w)
}

// stand waits in line.
func (g *gate) stand(ctx context.Context, w *waiter) error {
	var late <-chan time.Time
	if g.wait > 0 {
		timer := time.NewTimer(g.wait)
		defer timer.Stop()
		late = timer.C
	}
	var err error
	select {
	case <-w.in:
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-late:
		err = errTooLong
	}
	if g.quit(w) {
		return err
	}
	if ctx.Err() == nil {
		return nil // let in at the last moment
	}
	g.leave()
	return err
}

// quit takes a waiter out of the line, and reports false when it was let in before.
func (g *gate) quit(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w.admit {
		return false
	}
	for i, other := range g.line {
		if other == w {
			g.line = append(g.line[:i], g.line[i+1:]...)
			break
		}
	}
	return true
}

// leave ends a request. The next in line takes its place.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.line) == 0 {
		g.active--
		return
	}
	w := g.line[0]
	g.line[0] = nil
	g.line = g.line[1:]
	w.admit = true
	close(w.in)
}

// waiting is how many requests stand in line.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.line)
}
