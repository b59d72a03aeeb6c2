package sequence

import (
	"context"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/filter"
)

// kept is what outlives a reload: which sequences are under way on this gateway, and how those with keys have ended.
type kept struct {
	ctx    context.Context // of the steps; it ends when the gateway is about to end
	cancel context.CancelCauseFunc
	now    func() time.Time

	mu     sync.Mutex
	ended  bool
	under  sync.WaitGroup
	busy   map[id]struct{}
	ends   map[id]end
	oldest []id // of ends, in the order in which their keys were used first
}

// end is how the sequence with a key has ended.
type end struct {
	how  ending
	at   time.Time
	told string // of its steps
}

// ending is a way to end.
type ending int

const (
	nothing   ending = iota // it has not done anything
	complete                // all was done
	wasUndone               // it failed, and what it had done was undone, as far as that could be
	isLost                  // its gateway ended in the middle, and nobody can say what is to be undone; or all was done, and nobody can say whether the store knows
)

// How long, and how many, keys are remembered.
const (
	memory   = time.Hour
	maxKeys  = 10_000
	restPart = 2 // of oldest is given back once so much of it is of no use
)

func newKept() *kept {
	k := &kept{now: time.Now, busy: map[id]struct{}{}, ends: map[id]end{}}
	k.ctx, k.cancel = context.WithCancelCause(context.Background())
	return k
}

// begin counts a sequence, unless the gateway is about to end.
func (k *kept) begin() (done func(), err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return nil, filter.Reject(filter.Overloaded, "").Because(errEnding)
	}
	k.under.Add(1)
	return k.under.Done, nil
}

// Settle cuts the steps that are under way, and waits until what was done is undone, which has bounds of its own. The gateway calls it before it ends.
func (k *kept) Settle() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.cancel(errEnding)
	k.under.Wait()
}

// Close gives back what the context takes. No sequence is under way any more.
func (k *kept) Close() error {
	k.cancel(errEnding)
	return nil
}

// used is the answer to a request whose key is that of a sequence that was undone.
func used(told string) error {
	undone := "what it had done was undone"
	if strings.Contains(told, "state=stuck") {
		undone = "not all that it had done could be undone"
	}
	return filter.Reject(filter.IdempotencyConflict, "A request with the same key has failed, and %s. To try again, use another key.", undone).With(Told, told)
}

// underWay is the answer to a request whose key is in use.
func underWay() error {
	return filter.Reject(filter.IdempotencyConflict, "A request with the same key is under way.").With("Retry-After", "1")
}

// claim takes a key for as long as a sequence is under way. An empty one is nobody else's. Again says that all was done with it before. Keys whose sequence was
// undone are used up: services that know requests again would answer with what is there no more.
func (k *kept) claim(key id) (again bool, release func(how ending, told string), err error) {
	if key == (id{}) {
		return false, func(ending, string) {}, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, busy := k.busy[key]; busy {
		return false, nil, underWay()
	}
	last := k.ends[key]
	if k.now().Sub(last.at) >= memory {
		last = end{}
	}
	if last.how == wasUndone {
		return false, nil, used(last.told)
	}
	k.busy[key] = struct{}{}
	return last.how == complete, func(how ending, told string) { k.release(key, how, told) }, nil
}

// unsure says whether it is not known what became of a key.
func (k *kept) unsure(key id) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := k.ends[key]
	return last.how == isLost && k.now().Sub(last.at) < memory
}

// release gives a key back, and remembers how its sequence has ended.
func (k *kept) release(key id, how ending, told string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, key)
	if how == nothing {
		return
	}
	now := k.now()
	if _, known := k.ends[key]; !known {
		k.oldest = append(k.oldest, key)
	}
	k.ends[key] = end{how, now, told}
	gone := 0
	for gone < len(k.oldest) && (len(k.oldest)-gone > maxKeys || now.Sub(k.ends[k.oldest[gone]].at) >= memory) {
		delete(k.ends, k.oldest[gone])
		gone++
	}
	k.oldest = k.oldest[gone:]
	if cap(k.oldest) > restPart*maxKeys {
		k.oldest = append(make([]id, 0, len(k.oldest)), k.oldest...)
	}
}
