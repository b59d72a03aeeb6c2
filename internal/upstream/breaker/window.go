package breaker

import (
	"sync/atomic"
	"time"
)

// buckets is how many parts a window has. It slides by one of them.
const buckets = 10

// Window counts two kinds of things over the last while. It may be used by many goroutines, takes no lock and loses nothing, up
// to two million of a kind in each tenth of its length.
type Window struct {
	width int64 // of a bucket
	words [buckets]atomic.Uint64
}

// A word holds when its bucket is, in widths (22 bits, which wrap), and two counts of 21 bits.
const (
	countBits = 21
	countMax  = 1<<countBits - 1
	whenMax   = 1<<22 - 1
)

// NewWindow returns an empty window of a length.
func NewWindow(length time.Duration) *Window { return &Window{width: max(1, int64(length)/buckets)} }

// Add counts.
func (w *Window) Add(now int64, good, bad uint64) {
	when := now / w.width
	word := &w.words[when%buckets]
	for {
		old := word.Load()
		g, b := good, bad
		if old>>(2*countBits) == stamp(when) {
			g, b = min(countMax, g+old>>countBits&countMax), min(countMax, b+old&countMax)
		}
		if word.CompareAndSwap(old, stamp(when)<<(2*countBits)|g<<countBits|b) {
			return
		}
	}
}

// Sum returns the counts of the window that ends now.
func (w *Window) Sum(now int64) (good, bad int64) {
	when := now / w.width
	for back := range int64(buckets) {
		if back > when {
			break
		}
		word := w.words[(when-back)%buckets].Load()
		if word>>(2*countBits) == stamp(when-back) {
			good += int64(word >> countBits & countMax)
			bad += int64(word & countMax)
		}
	}
	return good, bad
}

// Reset forgets all counts.
func (w *Window) Reset() {
	for i := range w.words {
		w.words[i].Store(0)
	}
}

// stamp is a bucket's time as a word holds it. It is never that of an empty word for long.
func stamp(when int64) uint64 { return uint64(when+1) & whenMax }

// Take takes back what was counted as bad just now, as far as it is still in its bucket.
func (w *Window) Take(now int64, bad uint64) {
	when := now / w.width
	word := &w.words[when%buckets]
	for {
		old := word.Load()
		if old>>(2*countBits) != stamp(when) {
			return
		}
		if word.CompareAndSwap(old, old-min(bad, old&countMax)) {
			return
		}
	}
}
