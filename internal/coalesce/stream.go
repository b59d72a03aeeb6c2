package coalesce

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// stream is a body that one writes and many read. It is a list of blocks, which readers go along; what all have passed is garbage.
type stream struct {
	limit    int
	patience time.Duration

	mu      sync.Mutex
	more    sync.Cond // readers wait for it
	room    sync.Cond // the writer waits for it
	first   *block    // where readers begin
	front   *block    // the oldest that somebody has yet to pass
	last    *block
	window  int // bytes of the blocks from front on
	readers map[*cursor]struct{}
	waiting int       // readers that have read all there is
	written uint64    // how often something was written
	begun   time.Time // when the first bytes came
	cuts    int       // readers that were cut
	behind  []*cursor // readers that are furthest behind, when it was looked last
	ended   bool
	err     error // io.EOF: the body is whole
}

// block is a piece of the body. What is in it does not change; more may come behind.
type block struct {
	b       []byte // up to its capacity
	pending int    // readers that have yet to pass it
	next    *block
}

// cursor is where a reader is.
type cursor struct {
	at     *block
	off    int
	passed bool // the block at is read, and full
	err    error
	held   time.Duration // for how long it has held others up

	reading atomic.Bool // it reads, or waits for it
}

// allowance is the part of the time, one in so many, for which readers may hold others up beyond their patience: none is always as fast as
// the others.
const allowance = 4

const (
	firstBlock = 4 << 10 // most answers are small
	blockSize  = 16 << 10
)

func (s *stream) begin(o Options) {
	s.limit, s.patience = max(o.Buffer, 2*blockSize), o.Patience
	s.more.L, s.room.L = &s.mu, &s.mu
	s.readers = map[*cursor]struct{}{}
	s.first = &block{} // of no length, so that there is a place to begin
	s.last = s.first
}

// join returns a reader's place, at the beginning. Nothing may have been written yet.
func (s *stream) join() *cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &cursor{at: s.first, passed: true}
	s.readers[c] = struct{}{}
	return c
}

// pump writes what a source has, as it comes. It ends early when nobody reads any more.
func (s *stream) pump(src io.Reader) error {
	for {
		space, ok := s.space()
		if !ok {
			s.end(errUnfinished)
			return errUnfinished
		}
		n, err := src.Read(space)
		s.wrote(n)
		if err != nil {
			s.end(err)
			return err
		}
	}
}

// space returns where the next bytes go: behind those that are there, which nobody else touches. It waits for slow readers.
func (s *stream) space() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.last; len(l.b) < cap(l.b) {
		return l.b[len(l.b):cap(l.b)], len(s.readers) > 0
	}
	size := blockSize
	if s.last == s.first {
		size = firstBlock
		s.begun = time.Now()
	}
	for s.window+size > s.limit && len(s.readers) > 0 {
		s.stall()
	}
	if len(s.readers) == 0 {
		return nil, false
	}
	next := &block{b: make([]byte, 0, size), pending: len(s.readers)}
	s.last.next = next
	s.last = next
	s.window += size
	if s.front == nil {
		s.front = next
	}
	return next.b[:size], true
}

// stall waits for the readers that are furthest behind, or cuts those that have held others up for too long.
func (s *stream) stall() {
	if s.waiting == 0 {
		s.room.Wait()
		return
	}
	begin := time.Now()
	least := s.hindmost(begin)
	if least <= 0 && len(s.behind) > 0 {
		s.cut(begin)
		return
	}
	timer := time.AfterFunc(least, s.wake)
	s.room.Wait()
	timer.Stop()
	took := time.Since(begin)
	for _, c := range s.behind {
		c.held += took
	}
}

// hindmost finds the readers that are furthest behind. It returns for how long one of them may still hold others up, at least.
func (s *stream) hindmost(now time.Time) time.Duration {
	s.behind = s.behind[:0]
	least := s.patience/4 + 10*time.Millisecond // then it is looked again
	for c := range s.readers {
		behind := c.at == s.front && !c.passed || c.at.next == s.front && c.passed
		if behind && !c.reading.Load() { // else it is not slow: it has not got its turn yet
			s.behind = append(s.behind, c)
			least = min(least, s.allowed(c, now))
		}
	}
	return least
}

// allowed is for how long a reader may still hold others up. With each that was cut it is half as long, so that many of them cannot take turns.
func (s *stream) allowed(c *cursor, now time.Time) time.Duration {
	return (s.patience+now.Sub(s.begun)/allowance)>>min(s.cuts, 62) - c.held
}

// cut ends the readers among those furthest behind that have held others up for too long.
func (s *stream) cut(now time.Time) {
	cuts := 0
	for _, c := range s.behind {
		if s.allowed(c, now) <= 0 {
			c.err = ErrSlow
			s.remove(c)
			cuts++
		}
	}
	s.cuts += cuts // those that were behind together are judged alike
}

// wrote says that so many bytes were written.
func (s *stream) wrote(n int) {
	if n <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.b = s.last.b[:len(s.last.b)+n]
	s.written++
	s.waiting = 0
	s.more.Broadcast()
}

// end ends the body, once.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	s.more.Broadcast()
}

// wake has the writer look again.
func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.Signal()
}

// read reads what there is, and waits where there is nothing.
func (s *stream) read(c *cursor, p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) == 0 {
		return 0, c.err
	}
	for {
		if c.err != nil {
			return 0, c.err
		}
		if b := s.ahead(c); len(b) > 0 {
			s.mu.Unlock()
			n := copy(p, b)
			s.mu.Lock()
			s.advance(c, n)
			return n, nil
		}
		if s.ended {
			return 0, s.err
		}
		s.wait()
	}
}

// wait waits for more.
func (s *stream) wait() {
	s.waiting++
	if s.waiting == 1 {
		s.room.Signal() // the writer must know that slow readers hold somebody up
	}
	before := s.written
	s.more.Wait()
	if s.written == before { // else it counts as waiting no more since then
		s.waiting--
	}
}

// ahead returns what a reader has yet to read of the block that it is at.
func (s *stream) ahead(c *cursor) []byte {
	if c.passed {
		if c.at.next == nil {
			return nil
		}
		c.at, c.off, c.passed = c.at.next, 0, false
	}
	return c.at.b[c.off:]
}

// advance says that a reader has read on, unless it was cut in the meantime.
func (s *stream) advance(c *cursor, n int) {
	if c.err != nil {
		return
	}
	c.off += n
	if c.off == cap(c.at.b) {
		c.passed = true
		s.pass(c.at)
	}
}

// pass says that one reader less has yet to pass a block.
func (s *stream) pass(b *block) {
	b.pending--
	freed := false
	for s.front != nil && s.front.pending == 0 && (s.front.next != nil || len(s.front.b) == cap(s.front.b)) {
		s.window -= cap(s.front.b)
		s.front, freed = s.front.next, true
	}
	if freed {
		s.room.Signal()
	}
}

// remove takes a reader out. The blocks that it has yet to pass do not wait for it.
func (s *stream) remove(c *cursor) {
	if _, ok := s.readers[c]; !ok {
		return
	}
	delete(s.readers, c)
	b := c.at
	if c.passed {
		b = b.next
	}
	for ; b != nil; b = b.next {
		s.pass(b)
	}
	s.room.Signal()
}

// leave ends a reader for a reason.
func (s *stream) leave(c *cursor, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.err == nil {
		c.err = err
		s.more.Broadcast()
	}
	s.remove(c)
	c.at = &block{} // nothing is held for it
	c.off, c.passed = 0, true
}

// buffered is how many bytes a reader can read without waiting.
func (s *stream) buffered(c *cursor) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.err != nil {
		return 0
	}
	return len(s.ahead(c))
}
