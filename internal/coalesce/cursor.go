package coalesce

import (
	"sync/atomic"
	"time"
)

// cursor is where a reader is in a stream.
type cursor struct {
	at   *block
	pos  int64 // in the body
	err  error
	held time.Duration // for how long it has held others up

	reading atomic.Bool // it reads, or waits for it
}

// join places a reader at the beginning, if that is still to be had.
func (s *stream) join(c *cursor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total > 0 && !s.joinable() {
		return false
	}
	c.at = s.first
	s.readers[c] = struct{}{}
	s.arrive(c)
	return true
}

// arrive counts a reader where it is, and depart where it was.
func (s *stream) arrive(c *cursor) {
	if c.at.gone {
		s.away++
	} else {
		c.at.readers++
	}
}

func (s *stream) depart(c *cursor) {
	if c.at.gone {
		s.away--
	} else {
		c.at.readers--
	}
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
		if c.at.gone && !s.found(c) {
			return s.readBack(c, p)
		}
		if b := c.at.b[c.pos-c.at.start:]; len(b) > 0 {
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
	before := s.total
	s.more.Wait()
	if s.total == before { // else it counts as waiting no more since then
		s.waiting--
	}
}

// advance says that a reader has read on, unless it was cut in the meantime. One that has read a whole block is at the next.
func (s *stream) advance(c *cursor, n int) {
	if c.err != nil {
		return
	}
	c.pos += int64(n)
	b := c.at
	if b.next == nil || c.pos < b.end() {
		return
	}
	s.depart(c)
	c.at = b.next
	s.arrive(c)
	if b == s.front {
		s.trim()
	}
}

// remove takes a reader out. No block waits for it, and it holds none.
func (s *stream) remove(c *cursor) {
	if _, ok := s.readers[c]; !ok {
		return
	}
	delete(s.readers, c)
	s.depart(c)
	c.at = &block{gone: true}
	s.trim()
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
}

// buffered is how many bytes a reader can read without waiting.
func (s *stream) buffered(c *cursor) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.err != nil:
		return 0
	case c.at.gone:
		return int(s.front.start - c.pos)
	}
	return int(c.at.end() - c.pos)
}
