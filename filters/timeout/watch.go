package timeout

import (
	"context"
	"io"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// watch ends an exchange when it was waited for too long. Several goroutines may tell it what they hear.
type watch struct {
	ctx       context.Context
	cancel    context.CancelCauseFunc
	handshake bool // it waits for the answer to an upgrade
	limit     time.Duration

	mu      sync.Mutex
	timer   *time.Timer // its function ends by itself
	waiting bool
}

// newWatch makes a watch that waits from now on, and puts the exchange under it.
func newWatch(ex *filter.Exchange, limit time.Duration, err error) *watch {
	w := &watch{limit: limit, waiting: true}
	w.ctx, w.cancel = context.WithCancelCause(ex.Context())
	w.timer = time.AfterFunc(limit, func() { w.cancel(err) })
	ex.Request = ex.Request.WithContext(w.ctx)
	return w
}

// newHandshake makes a watch that waits for the answer to an upgrade, from the start of the exchange on. A deadline would not
// do: it could not be lifted once the upgrade is agreed on.
func newHandshake(ex *filter.Exchange, limit time.Duration, err error) *watch {
	w := newWatch(ex, time.Until(ex.Start.Add(limit)), err)
	w.handshake = true
	return w
}

// wait begins to wait.
func (w *watch) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = true
	w.timer.Reset(w.limit)
}

// rest ends waiting, and says whether it was in time.
func (w *watch) rest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	w.timer.Stop()
	return w.ctx.Err() == nil
}

// heard begins to wait anew, if it is waited for at all.
func (w *watch) heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting {
		w.timer.Reset(w.limit)
	}
}

// requestBody is heard when the client sends.
type requestBody struct {
	io.ReadCloser
	watch *watch
}

// Read reads from the client.
func (b *requestBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.heard()
	}
	return n, err
}

// responseBody is waited for while it is read, not while what was read is on its way to the client.
type responseBody struct {
	io.ReadCloser
	watch *watch
}

// Read reads from the upstream.
func (b *responseBody) Read(p []byte) (int, error) {
	b.watch.wait()
	n, err := b.ReadCloser.Read(p)
	b.watch.rest()
	return n, err
}
