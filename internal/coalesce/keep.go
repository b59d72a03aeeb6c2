package coalesce

import (
	"fmt"
	"io"
)

// Keeping says what keeps an answer.
type Keeping struct {
	// Memory is the most bytes of it that are kept in memory; 0 is none.
	Memory int64

	// Size is its length, so that blocks fit; -1 is unknown.
	Size int64

	// Store takes all of it, too, where there is one, and gives back to slow and late readers what memory has let go of. An error of a write ends only
	// its own keeping; what was written before is read until Copy returns. One whose ReadAt fails after the first write takes the answer without giving
	// it back.
	Store Store

	// Whole is called by Copy once the body is whole and kept, before readers learn of its end, so that what they ask for next finds it stored. Blocks
	// are the body where memory kept it, and may not be changed; else Store has it. Nobody joins afterwards. It may be nil.
	Whole func(blocks [][]byte, inMemory bool)

	// Release is called once, when Store is needed no more: the fetch has ended, and nobody reads. It may be nil.
	Release func()
}

// Store is a place for an answer that may be too large for memory, such as a file. One goroutine writes while others read what was written.
type Store interface {
	io.Writer
	io.ReaderAt
}

// Keep is Answer for an answer that is kept: readers may go on joining, from its beginning, until it is whole, or is kept no longer. It goes on to its end also when nobody reads, and while memory or the store keeps it, slow readers hold up nobody.
//
// An answer that grows beyond what memory keeps, and that no store gives back, has nobody join any more, and its readers share the bounded window.
func (f *Fetch[K, H]) Keep(head H, k Keeping) {
	f.once.Do(func() {
		f.body.keep(k)
		f.group.mu.Lock()
		f.release, f.whole = k.Release, k.Whole
		f.group.mu.Unlock()
		f.lost()
		f.head = head
		close(f.ready)
	})
}

// complete is the end of a body that is whole, before readers know, and before its last bytes are shown.
func (f *Fetch[K, H]) complete(unseen int) {
	if blocks, inMemory, kept := f.body.content(unseen); kept && f.whole != nil {
		f.whole(blocks, inMemory)
	}
	f.Seal()
}

// lost looks whether the fetch is still kept, and can be joined.
func (f *Fetch[K, H]) lost() {
	joinable, kept := f.body.keeps()
	f.group.mu.Lock()
	f.kept = kept
	if !joinable {
		f.seal()
	}
	last := !kept && f.users == 0
	f.group.mu.Unlock()
	if last {
		f.cancel()
	}
}

// released returns what is to be called once the lock is not held any more.
func (f *Fetch[K, H]) released() func() {
	if !f.ended || f.users > 0 || f.release == nil {
		return func() {}
	}
	release := f.release
	f.release = nil
	return release
}

// kept is what a stream knows of its keeping. The zero value keeps nothing.
type kept struct {
	memory int64
	length int64       // of the body; -1: unknown
	whole  bool        // memory has all of it, and lets go of nothing
	store  io.Writer   // that takes what comes; nil: none, or it has failed
	back   io.ReaderAt // that gives back what memory has let go of; nil: nothing does
	stored int64       // bytes that back has
	away   int         // readers of what memory has let go of
	probe  [1]byte     // for looking whether there is more
}

func (s *stream) keep(k Keeping) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory, s.length = k.Memory, k.Size
	s.whole = k.Memory > 0 && k.Size <= k.Memory
	if k.Store != nil {
		s.store, s.back = k.Store, k.Store
	}
}

// keeps says whether readers can begin, and whether it goes on without them.
func (s *stream) keeps() (joinable, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joinable(), s.isKept()
}

func (s *stream) isKept() bool { return (s.whole || s.store != nil) && !s.broken() }

func (s *stream) joinable() bool { return (s.whole || s.evicts()) && !s.broken() }

func (s *stream) broken() bool { return s.ended && s.err != io.EOF }

// evicts says whether what memory lets go of can be read all the same.
func (s *stream) evicts() bool { return s.store != nil && s.back != nil }

// spare says whether memory may let go of the front block, which nobody is at.
func (s *stream) spare() bool {
	switch {
	case s.whole:
		return false
	case s.evicts():
		return s.front.end() <= s.stored
	}
	return s.away == 0
}

// evict lets go of the front block, though readers are at it.
func (s *stream) evict() {
	s.away += s.front.readers
	s.drop()
}

// brimful says whether all is there that should come, or that memory keeps.
func (s *stream) brimful() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total == s.length || s.whole && s.total == s.memory
}

// completes says whether with so many bytes more all is there that should come.
func (s *stream) completes(more int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total+int64(more) == s.length
}

// overflow says that more has come all the same.
func (s *stream) overflow(more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.length = -1
	if s.whole && s.total+int64(more) == s.memory {
		s.whole = false
		s.trim()
	}
}

// write has the store take what came. It says whether the store has failed in that, or in giving it back.
func (s *stream) write(b []byte) (failed bool) {
	if s.store == nil || len(b) == 0 {
		return false
	}
	n, err := s.store.Write(b)
	gives := true
	if err == nil && s.stored == 0 {
		_, failure := s.back.ReadAt(s.probe[:], 0)
		gives = failure == nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored += int64(n)
	if err != nil || n < len(b) {
		s.store, failed = nil, true
	}
	if !gives {
		s.back, failed = nil, true
	}
	s.trim()
	return failed
}

// found says whether what a reader is to read next is in memory. If so it is there: it has read up to the front block.
func (s *stream) found(c *cursor) bool {
	if c.pos < s.front.start {
		return false
	}
	s.depart(c)
	c.at = s.front
	s.arrive(c)
	s.room.Signal()
	return true
}

// drain waits for the readers of what only a store has that failed, once the body is whole: what is of no use may be thrown away after Copy.
func (s *stream) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.away > 0 && s.store == nil && !s.broken() {
		s.room.Wait()
	}
}

// readBack reads what memory has let go of.
func (s *stream) readBack(c *cursor, p []byte) (int, error) {
	back, pos := s.back, c.pos
	p = p[:min(int64(len(p)), s.front.start-pos)]
	s.mu.Unlock()
	n, err := back.ReadAt(p, pos)
	s.mu.Lock()
	if n > 0 {
		c.pos += int64(n)
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if c.err == nil {
		c.err = fmt.Errorf("cannot read what was kept of the answer: %w", err)
		s.remove(c)
	}
	return 0, c.err
}

// content returns the whole body where memory kept it, and says whether anything did. So much of it is not shown yet. The last block is made to fit
// where more than a quarter of it is not used.
func (s *stream) content(unseen int) (blocks [][]byte, inMemory, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.whole {
		return nil, false, s.isKept()
	}
	for b := s.first; b != s.last; b = b.next {
		blocks = append(blocks, b.b)
	}
	switch last := s.last.b[:len(s.last.b)+unseen]; {
	case len(last) == 0:
	case cap(last)-len(last) > cap(last)/4:
		blocks = append(blocks, append(make([]byte, 0, len(last)), last...))
	default:
		blocks = append(blocks, last[:len(last):len(last)])
	}
	return blocks, true, true
}
