// Package pace makes bytes wait so that no more of them pass in a time than may: a token bucket whose users sleep until it is their turn.
// Transfers that share a bucket take turns, a small piece each, so that all get the same share. Nothing runs by itself: there is no
// goroutine, and a bucket that nobody uses costs its memory alone.
//
// It does not refuse anything, and does not know whom it slows down: that is for policies, which alone import it.
package pace

import (
	"context"
	"sync"
	"time"
)

// Rate is how fast bytes may pass.
type Rate struct {
	PerSecond float64 // at least 1
	Burst     int64   // how many may pass at once after a pause; 0: what passes in 50ms
}

const (
	// turn is the time whose bytes pass at once: pieces are of that size, and so are sleeps.
	turn = 50 * time.Millisecond

	// maxPiece bounds pieces where much passes: readers take no more at once in any case.
	maxPiece = 32 << 10

	// slack is what is not slept for: waking up would take longer. It is slept for later, with more.
	slack = time.Millisecond
)

// Bucket holds what may pass. It may be used by many goroutines.
type Bucket struct {
	perSecond float64
	burst     time.Duration // how long it takes to fill
	piece     int

	mu   sync.Mutex
	full time.Time // when the bucket will be full again, if nothing more is taken
}

// NewBucket returns a bucket, which is full.
func NewBucket(r Rate) *Bucket {
	b := &Bucket{perSecond: max(r.PerSecond, 1)}
	burst := float64(r.Burst)
	if r.Burst == 0 {
		burst = max(b.perSecond*turn.Seconds(), 1)
	}
	b.piece = int(min(max(b.perSecond*turn.Seconds(), 1), maxPiece, burst))
	b.burst = b.time(burst)
	return b
}

// time is how long bytes take.
func (b *Bucket) time(bytes float64) time.Duration {
	return time.Duration(bytes / b.perSecond * float64(time.Second))
}

// Piece is how many bytes should be waited for at once, at most.
func (b *Bucket) Piece() int { return b.piece }

// Take takes bytes out of the bucket, and returns how long they must wait.
func (b *Bucket) Take(n int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full.Before(now) {
		b.full = now
	}
	b.full = b.full.Add(b.time(float64(n)))
	return b.full.Sub(now) - b.burst
}

// Return gives back what was taken and did not pass.
func (b *Bucket) Return(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = b.full.Add(-b.time(float64(n)))
}

// Idle says whether the bucket is full.
func (b *Bucket) Idle(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.full.After(now)
}

// Transfer is one of those who share a bucket. It is for one goroutine at a time.
type Transfer struct {
	bucket *Bucket
	waited func(time.Duration) // told of each sleep; may be nil
	timer  *time.Timer
}

// NewTransfer returns a transfer through a bucket. Waited is told of each wait; it may be nil.
func NewTransfer(b *Bucket, waited func(time.Duration)) *Transfer {
	return &Transfer{bucket: b, waited: waited}
}

// Piece is how many bytes to wait for at once, at most, so that others get their turn.
func (t *Transfer) Piece() int { return t.bucket.piece }

// Wait returns once n bytes may pass, or else, when the context ends before, why it ended.
func (t *Transfer) Wait(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	wait := t.bucket.Take(n, time.Now())
	if wait < slack {
		return nil
	}
	if t.waited != nil {
		t.waited(wait)
	}
	if t.timer == nil {
		t.timer = time.NewTimer(wait)
	} else {
		t.timer.Reset(wait)
	}
	select {
	case <-t.timer.C:
		return nil
	case <-ctx.Done():
		t.timer.Stop()
		t.bucket.Return(n)
		return context.Cause(ctx)
	}
}
