package sequence

import (
	"context"
	"sync"
	"time"
)

// pause is how long to wait before the store is asked once more.
const pause = 50 * time.Millisecond

// words are how endings are called in the store.
var words = map[ending]string{nothing: "nothing", complete: "complete", wasUndone: "undone", isLost: "lost"} // never changed

// hold is a sequence that runs here as the store knows it, by a lease that is renewed. It ends with finish or yield.
type hold struct {
	of      *shared
	id      string
	token   string // says who has it
	keyed   bool
	journal bool
	noted   []state // of the steps, as the journal has them
	version int     // of the journal
	cancel  context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time // the lease is good for so long at least
	over  bool
	timer *time.Timer
	group sync.WaitGroup // a renewal
	quit  context.CancelFunc
}

// start begins to renew the lease.
func (h *hold) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, quit := context.WithCancel(context.Background())
	h.quit = quit
	h.again(ctx)
}

// again has the lease renewed in a while.
func (h *hold) again(ctx context.Context) {
	h.group.Add(1)
	h.timer = time.AfterFunc(h.of.lease/3, func() { h.renew(ctx) })
}

// renew renews the lease, and ends the steps when that fails for too long: another gateway may be undoing them.
func (h *hold) renew(ctx context.Context) {
	defer h.group.Done()
	until := h.deadline()
	if !h.journal { // nobody undoes what it does
		until = time.Now().Add(h.of.timeout)
	}
	err := h.note(ctx, until)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
	case err != nil && h.journal:
		h.cancel(errLost)
	default:
		h.again(ctx)
	}
}

// deadline is until when the lease is good.
func (h *hold) deadline() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until
}

// note renews the lease, and sets fields. It tries until a time.
func (h *hold) note(ctx context.Context, until time.Time, pairs ...string) error {
	version := 0
	if len(pairs) > 0 {
		h.version++ // one that comes late must not replace a later one
		version = h.version
	}
	return h.persist(ctx, until, errLost, func(ctx context.Context) (string, error) {
		began := time.Now()
		word, err := h.of.store.note(ctx, h.of, h.id, h.token, version, pairs...)
		if word == "ok" {
			h.mu.Lock()
			h.until = began.Add(h.of.lease)
			h.mu.Unlock()
		}
		return word, err
	})
}

// finish ends it, and says how.
func (h *hold) finish(how ending, progress, answer string, within time.Duration) error {
	life := memory
	if !h.keyed {
		life = doneLife
	}
	defer h.stop()
	return h.persist(context.Background(), time.Now().Add(within), errUnsure, func(ctx context.Context) (string, error) {
		word, err := h.of.store.finish(ctx, h.of, &finish{h.id, h.token, how, life, progress, answer})
		if how == nothing && word == "none" {
			word = "ok"
		}
		return word, err
	})
}

// yield has another gateway take it.
func (h *hold) yield() {
	ctx, cancel := context.WithTimeout(context.Background(), h.of.timeout)
	defer cancel()
	_ = h.of.store.yield(ctx, h.of, h.id, h.token) // else its lease ends
	h.stop()
}

// stop ends the renewing.
func (h *hold) stop() {
	h.mu.Lock()
	h.over = true
	if h.timer != nil {
		h.quit()
		if h.timer.Stop() {
			h.group.Done()
		}
	}
	h.mu.Unlock()
	h.group.Wait()
}

// persist asks the store until it has said something, or the time is over, which is the error late.
func (h *hold) persist(ctx context.Context, until time.Time, late error, ask func(ctx context.Context) (string, error)) error {
	within, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		word, err := ask(within)
		switch {
		case word == "ok":
			return nil
		case err == nil:
			return errLost
		}
		wait := time.NewTimer(pause)
		select {
		case <-within.Done():
			wait.Stop()
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return late
		case <-wait.C:
		}
	}
}
