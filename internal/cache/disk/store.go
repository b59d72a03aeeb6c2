package disk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/internal/stored"
)

// Options are how a Store is.
type Options struct {
	// Limit is how many bytes it may take on the disk, with all that finds them there.
	Limit int64

	// Largest is the longest body that it keeps. 0: a quarter of Limit.
	Largest int64

	// Log is told when the directory is lost, and when it is there again. By default nobody is.
	Log *slog.Logger

	// Now is the time. By default it is time.Now.
	Now func() time.Time
}

// Store keeps responses in a directory. It is a stored.Store.
type Store struct {
	path     string
	log      *slog.Logger
	now      func() time.Time
	largest  atomic.Int64
	lock     *os.File // guarded by reviving
	vol      atomic.Pointer[volume]
	marks    marks
	files    files
	busy     atomic.Int64
	reviving sync.Mutex
	stripes  [64]sync.Mutex // by id: who gives a file its name, or takes it away, holds one

	mu       sync.Mutex
	limit    int64
	ix       *index
	taken    int64 // by what is being written, and what has no name any more but is read, or being removed
	evicted  int64
	scanned  bool // the index knows all that there is
	backoff  backoff
	refusing bool // nothing can be written
	down     bool // it is lost, or refusing
	void     bool // what is there is not to be used, and removed by the next scan
	closing  bool

	stop chan struct{}
	work sync.WaitGroup
}

var _ stored.Store = (*Store)(nil)

// LeastLimit is the least limit that there may be.
const LeastLimit = 1 << 20

// Open opens a directory, which it makes if there is none. It fails when the directory cannot be used, or is used already.
func Open(dir string, o Options) (*Store, error) {
	if o.Limit < LeastLimit {
		return nil, fmt.Errorf("cannot keep responses in %s: %d bytes are too few, at least %d are needed", dir, o.Limit, LeastLimit)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Largest <= 0 {
		o.Largest = o.Limit / 4
	}
	s := &Store{path: dir, log: o.Log, now: o.Now, limit: o.Limit, ix: newIndex(), stop: make(chan struct{})}
	s.largest.Store(min(o.Largest, maxSize))
	s.files.live = map[id]*handle{}
	v, err := openRoot(dir)
	if err != nil {
		return nil, err
	}
	if s.lock, err = v.lockIn(nil); err != nil {
		v.release()
		return nil, err
	}
	s.readMarks(v)
	if err = v.openFolders(); err == nil {
		err = s.begin(v)
	}
	if err != nil {
		v.release()
		s.failed("open", err)
	}
	return s, nil
}

// patience is how long Open waits for the index.
const patience = 2 * time.Second

// begin takes a directory, which is locked, into use.
func (s *Store) begin(v *volume) error {
	if err := s.marks.rewrite(v); err != nil {
		return err
	}
	s.mu.Lock()
	void := s.void
	s.ix, s.scanned, s.void = newIndex(), false, false
	s.mu.Unlock()
	s.vol.Store(v)
	done := make(chan struct{})
	v.use()
	s.work.Go(func() {
		defer close(done)
		defer v.release()
		s.scan(v, void)
	})
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	return nil
}

// use returns the directory, for which the caller must call release, or nil.
func (s *Store) use() *volume {
	if v := s.vol.Load(); v != nil && v.use() {
		return v
	}
	return nil
}

// enter is use of those who wait for the disk in a request's name. When many do already, the disk is as good as lost.
func (s *Store) enter() *volume {
	if s.busy.Add(1) <= mostBusy {
		if v := s.use(); v != nil {
			return v
		}
	}
	s.busy.Add(-1)
	return nil
}

// mostBusy is how many may wait for the disk at once.
const mostBusy = 256

func (s *Store) leave(v *volume) {
	v.release()
	s.busy.Add(-1)
}

func (s *Store) stripe(i id) *sync.Mutex { return &s.stripes[i[1]%64] }

// Get implements stored.Store.
func (s *Store) Get(_ context.Context, key string) *stored.Response {
	v := s.enter()
	if v == nil {
		return nil
	}
	defer s.leave(v)
	i := newID(key)
	known, head := s.lookUp(i)
	if !known {
		return nil
	}
	if h := s.files.get(v, i); h != nil {
		defer h.release()
		if r := h.head.Load(); r != nil && r.Key == key {
			return r
		}
		return nil
	}
	r, err := s.load(v, i, head)
	if err != nil || r.Key != key {
		return nil
	}
	return r
}

// lookUp says whether there may be an object, and whether its head may be in a file of its own.
func (s *Store) lookUp(i id) (known, head bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.ix.get(i)
	if e == nil {
		return !s.scanned, true
	}
	e.used()
	return true, e.flags&hasHead != 0
}

// Delete implements stored.Store.
func (s *Store) Delete(_ context.Context, key string) {
	v := s.use()
	if v == nil {
		return
	}
	defer v.release()
	i := newID(key)
	if known, _ := s.lookUp(i); !known {
		return
	}
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	s.remove(v, i, true)
}

// remove removes an object, which where it must go may not come back even when it cannot be removed now. The caller holds its stripe.
func (s *Store) remove(v *volume, i id, must bool) {
	s.mu.Lock()
	s.ix.drop(i)
	s.mu.Unlock()
	s.detach(i)
	if err := s.unlink(v, i); err != nil {
		s.mu.Lock()
		s.void = s.void || must
		s.mu.Unlock()
		s.sick(v, "remove", err)
	}
}

func (s *Store) unlink(v *volume, i id) error {
	err := v.remove(i.folder(), i.name())
	return errors.Join(err, v.remove(i.folder(), i.headName()))
}

// detach has the handle of an object, if there is one, count for itself: the object has no name any more, or another body.
func (s *Store) detach(i id) {
	if h := s.files.drop(i); h != nil {
		s.linger(h)
		h.release()
	}
}

func (s *Store) linger(h *handle) {
	if !h.gone.Swap(true) {
		s.take(h.cost)
	}
}

func (s *Store) take(n int64) {
	s.mu.Lock()
	s.taken += n
	s.mu.Unlock()
}

// closed is called when a handle is closed.
func (s *Store) closed(h *handle) {
	if h.gone.Load() {
		s.take(-h.cost)
	}
	s.files.closed(h)
}

// reserve makes room for n bytes more. It says no when there is none.
func (s *Store) reserve(v *volume, n int64) bool {
	for {
		s.mu.Lock()
		if !s.scanned || s.refusing || s.closing || n > s.limit {
			s.mu.Unlock()
			return false
		}
		if s.ix.bytes+s.taken+n+s.overhead(v) <= s.limit {
			s.taken += n
			s.mu.Unlock()
			return true
		}
		i, cost, ok := s.ix.evict(s.limit, uint32(s.now().Unix()))
		if !ok {
			s.mu.Unlock()
			return false
		}
		s.taken += cost
		s.evicted++
		s.mu.Unlock()
		s.letGo(v, i)
		s.take(-cost)
	}
}

// overhead is what the directories take.
func (s *Store) overhead(v *volume) int64 { return (folders + 1) * v.block }

// letGo removes the file of an object that is not in the index any more, unless it is there anew.
func (s *Store) letGo(v *volume, i id) {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	s.mu.Lock()
	again := s.ix.get(i) != nil
	s.mu.Unlock()
	if again {
		return
	}
	s.detach(i)
	if err := s.unlink(v, i); err != nil {
		s.sick(v, "remove", err)
	}
}

// All implements stored.Store.
func (s *Store) All() iter.Seq[*stored.Response] {
	return func(yield func(*stored.Response) bool) {
		s.each(func(v *volume, i id) bool {
			known, head := s.peek(i)
			if !known {
				return true
			}
			o, err := s.open(v, i, head)
			if err != nil {
				return true
			}
			o.close()
			return yield(o.r)
		})
	}
}

// Stats implements stored.Store.
func (s *Store) Stats() stored.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := stored.Stats{Objects: s.ix.objects, Bytes: s.ix.bytes + s.taken, Limit: s.limit, Evicted: s.evicted, Down: s.down}
	if v := s.vol.Load(); v != nil {
		t.Bytes += s.overhead(v)
	}
	return t
}

// Resize changes Options.Limit and Options.Largest. What is over the limit goes with the next response that is stored.
func (s *Store) Resize(limit, largest int64) {
	s.largest.Store(min(largest, maxSize))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
}

// Close implements stored.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	closing := s.closing
	s.closing = true
	s.mu.Unlock()
	if closing {
		return nil
	}
	close(s.stop)
	s.work.Wait()
	err := s.marks.sync()
	if v := s.vol.Swap(nil); v != nil {
		v.release()
	}
	s.files.idle()
	s.marks.close()
	return errors.Join(err, s.lock.Close())
}

func newOID() uint64 { return rand.Uint64() | 1 }

// object is an object's file, opened, with its head read and found whole.
type object struct {
	r    *stored.Response
	f    footer
	fd   int
	ino  uint64
	size int64 // of the file
	own  int64 // of the head's own file, or 0
	all  *[smallFile]byte
}

// smallFile is how long a file may be to be read at once.
const smallFile = blockSize + 16<<10

var smallFiles = sync.Pool{New: func() any { return new([smallFile]byte) }}

func (o *object) close() {
	if o.fd >= 0 {
		_ = unix.Close(o.fd)
		o.fd = -1
	}
	if o.all != nil {
		smallFiles.Put(o.all)
		o.all = nil
	}
}
