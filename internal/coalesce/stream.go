package coalesce

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// stream is a body that one writes and many read. It is a list of blocks, which readers go along; what all have passed is let go of.
type stream struct {
	limit    int
	patience time.Duration

	mu      sync.Mutex
	more    sync.Cond // readers wait for it
	room    sync.Cond // the writer waits for it
	first   *block    // where readers begin
	front   *block    // the oldest that is not gone
	last    *block    // where the next bytes go; it is not full
	window  int       // bytes of the blocks from front on
	total   int64     // bytes written
	readers map[*cursor]struct{}
	waiting int       // readers that have read all there is
	begun   time.Time // when the first bytes came
	cuts    int       // readers that were cut
	behind  []*cursor // readers that are furthest behind, when it was looked last
	ended   bool
	err     error // io.EOF: the body is whole
	kept
}

// block is a piece of the body. What is in it does not change; more may come behind. Once it is full, there is a next one.
type block struct {
	b       []byte // up to its capacity; nil before there is anything, and when it is gone
	start   int64  // where in the body it begins
	readers int    // that are at it
	gone    bool   // it is not in memory any more, and leads nowhere
	next    *block
}

// end is where in the body it ends, as far as it is there.
func (b *block) end() int64 { return b.start + int64(len(b.b)) }

const (
	firstBlock = 4 << 10 // most answers are small
	blockSize  = 16 << 10
	exactBlock = 64 << 10 // the largest where the length is known, and memory keeps it
)

func (s *stream) begin(o Options) {
	s.limit, s.patience = max(o.Buffer, 2*blockSize), o.Patience
	s.more.L, s.room.L = &s.mu, &s.mu
	s.readers = map[*cursor]struct{}{}
	s.first = &block{}
	s.front, s.last = s.first, s.first
	s.length = -1
}

// pump writes what a source has, as it comes, and tells when it is kept no longer, or nobody can join any more, and when it is whole. It ends early when
// nobody wants it.
func (s *stream) pump(src io.Reader, lost func(), whole func(unseen int)) error {
	for {
		var (
			space []byte
			n     int
			err   error
		)
		full := s.brimful()
		if !full {
			var ok bool
			if space, ok = s.space(); !ok {
				s.end(errUnfinished)
				return errUnfinished
			}
			n, err = src.Read(space)
		}
		if err == nil && (full || s.completes(n)) { // the last bytes are not shown before the end is known: a reader may count them
			src, err = s.look(src, n, lost)
		}
		if err == io.EOF {
			s.conclude(space[:n], lost, whole)
			return err
		}
		s.wrote(n)
		if s.write(space[:n]) {
			lost()
		}
		if err != nil {
			s.end(err)
			s.drain()
			return err
		}
	}
}

// look looks for the end of a source, since with so many bytes more all is there that should come, or that memory keeps. Where there is more, it
// returns a source that has all of it.
func (s *stream) look(src io.Reader, more int, lost func()) (io.Reader, error) {
	for {
		n, err := src.Read(s.probe[:])
		switch {
		case n > 0: // there is more than was said, or than memory keeps
			s.overflow(more)
			lost()
			return io.MultiReader(bytes.NewReader([]byte{s.probe[0]}), &after{err, src}), nil
		case err != nil:
			return src, err
		}
	}
}

// conclude takes the last bytes, which are stored with all others before they are shown.
func (s *stream) conclude(b []byte, lost func(), whole func(unseen int)) {
	if s.write(b) {
		lost()
	}
	whole(len(b))
	s.wrote(len(b))
	s.end(io.EOF)
	s.drain()
}

// after is what comes after the first bytes of a source.
type after struct {
	err error // that came with them
	src io.Reader
}

func (a *after) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	return a.src.Read(p)
}

// space returns where the next bytes go: behind those that are there, which nobody else touches. It waits for slow readers.
func (s *stream) space() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last.b == nil {
		s.extend()
	}
	l := s.last
	return l.b[len(l.b):cap(l.b)], s.wanted()
}

// extend gives the last block its room, when there is some.
func (s *stream) extend() {
	if s.total == 0 {
		s.begun = time.Now()
	}
	size := s.size()
	for !s.whole && s.window+size > s.limit && s.wanted() {
		if s.evicts() {
			s.evict()
		} else {
			s.stall()
		}
	}
	if s.wanted() {
		s.last.b = make([]byte, 0, size)
		s.window += size
	}
}

// size is how large the next block is. Where the length is known, the last one fits.
func (s *stream) size() int {
	size := int64(blockSize)
	switch {
	case s.whole && s.length >= 0:
		size = exactBlock
	case s.total == 0:
		size = firstBlock
	}
	if s.length >= 0 {
		size = min(size, s.length-s.total)
	}
	if s.whole {
		size = min(size, s.memory-s.total)
	}
	return int(size)
}

// wanted says whether anybody wants more.
func (s *stream) wanted() bool { return len(s.readers) > 0 || s.isKept() }

// wrote says that so many bytes were written.
func (s *stream) wrote(n int) {
	if n <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.last
	l.b = l.b[:len(l.b)+n]
	s.total += int64(n)
	if len(l.b) == cap(l.b) {
		l.next = &block{start: s.total}
		s.last = l.next
		s.trim()
	}
	s.waiting = 0
	s.more.Broadcast()
}

// trim lets go of the blocks that all have passed.
func (s *stream) trim() {
	freed := false
	for s.front != s.last && s.front.readers == 0 && s.spare() {
		s.drop()
		freed = true
	}
	if freed {
		s.room.Signal()
	}
}

// drop lets go of the front block. Readers that are at it find nothing there.
func (s *stream) drop() {
	b := s.front
	s.window -= cap(b.b)
	s.front = b.next
	b.b, b.next, b.gone = nil, nil, true
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
