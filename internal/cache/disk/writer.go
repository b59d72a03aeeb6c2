package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/internal/stored"
)

// writer writes an object. Its first block is in memory: what is not longer has no file until it is whole.
type writer struct {
	s    *Store
	v    *volume
	key  string
	id   id
	oid  uint64
	temp string // the name of the file, until it is committed

	mu     sync.RWMutex
	buf    *[blockSize + sumSize]byte
	n      int     // bytes in buf
	blocks int64   // in the file
	filed  int64   // bytes of the body in these
	h      *handle // the file; nil: there is none
	small  content // what was committed, without a file of its own
	failed bool
	done   bool

	reserved int64
	cleanup  runtime.Cleanup
}

// Put implements stored.Store.
func (s *Store) Put(_ context.Context, r *stored.Response) (stored.Writer, error) {
	if r.Size > s.largest.Load() || r.Key == "" {
		return nil, stored.ErrNotKept
	}
	v := s.use()
	if v == nil {
		return nil, stored.ErrNotKept
	}
	if s.busy.Load() > mostBusy {
		v.release()
		return nil, stored.ErrNotKept
	}
	s.mu.Lock()
	ready := s.scanned && !s.refusing && !s.closing
	s.mu.Unlock()
	if !ready {
		v.release()
		return nil, stored.ErrNotKept
	}
	return &writer{s: s, v: v, key: r.Key, id: newID(r.Key), oid: newOID(), buf: buffers.Get().(*[blockSize + sumSize]byte)}, nil
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (n int, err error) {
	if w.failed || w.done {
		return 0, stored.ErrNotKept
	}
	if w.size()+int64(len(p)) > w.s.largest.Load() {
		return 0, w.fail()
	}
	for n < len(p) {
		if w.n == blockSize && !w.flush() {
			return n, w.fail()
		}
		m := copy(w.buf[w.n:blockSize], p[n:])
		w.mu.Lock()
		w.n += m
		w.mu.Unlock()
		n += m
	}
	return n, nil
}

func (w *writer) size() int64 { return w.filed + int64(w.n) }

// fail ends the keeping. What has been written remains readable until Abort.
func (w *writer) fail() error {
	w.failed = true
	return stored.ErrNotKept
}

// flush writes the block that is in memory.
func (w *writer) flush() bool {
	if w.h == nil && !w.create() {
		return false
	}
	if w.n == 0 {
		return true
	}
	binary.LittleEndian.PutUint64(w.buf[w.n:], blockSum(w.buf[:w.n], w.oid, w.blocks))
	if !w.write(w.buf[:w.n+sumSize], blockOffset(w.blocks)) {
		return false
	}
	w.mu.Lock()
	w.blocks++
	w.filed += int64(w.n)
	w.n = 0
	w.mu.Unlock()
	return true
}

func (w *writer) create() bool {
	fd, name, err := w.v.create(w.id.folder())
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		w.s.files.idle()
		fd, name, err = w.v.create(w.id.folder())
	}
	if err != nil {
		w.s.sick(w.v, "create", err)
		return false
	}
	w.temp = name
	_, ino, err := stat(fd)
	if err != nil {
		_ = unix.Close(fd)
		return false
	}
	w.v.use()
	h := &handle{s: w.s, v: w.v, id: w.id, fd: fd, ino: ino, oid: w.oid}
	h.refs.Store(1)
	w.mu.Lock()
	w.h = h
	w.mu.Unlock()
	return w.write(appendPrefix(nil, magicObject, w.oid), 0)
}

// step is how much room is made at once.
const step = 1 << 20

func (w *writer) write(b []byte, off int64) bool {
	if over := off + int64(len(b)) + entryCost - w.reserved; over > 0 {
		n := (over + w.v.block - 1) / w.v.block * w.v.block
		if w.blocks > 8 {
			n = max(n, step)
		}
		if !w.s.reserve(w.v, n) {
			return false
		}
		w.reserved += n
	}
	if err := writeAt(w.h.fd, b, off); err != nil {
		w.s.sick(w.v, "write", err)
		return false
	}
	return true
}

// ReadAt implements io.ReaderAt. It remains of use after Commit, until Close, or the garbage collector finds the Writer.
func (w *writer) ReadAt(p []byte, off int64) (int, error) {
	w.mu.RLock()
	from, small, h := w.filed, w.small, w.h
	if h == nil && w.buf == nil && small == nil {
		w.mu.RUnlock()
		return 0, stored.ErrNotKept
	}
	if small != nil {
		w.mu.RUnlock()
		return readSlice(small, p, off)
	}
	if off >= from && w.buf != nil {
		defer w.mu.RUnlock()
		return readSlice(w.buf[:w.n], p, off-from)
	}
	if !h.retain() {
		w.mu.RUnlock()
		return 0, stored.ErrNotKept
	}
	open := w.buf != nil
	w.mu.RUnlock()
	defer h.release()
	end := min(from-off, int64(len(p)))
	if end <= 0 {
		return 0, io.EOF
	}
	n, err := h.readBlocks(p[:end], off, from)
	if err == nil && n < len(p) && !open {
		err = io.EOF
	}
	if err == nil && n < len(p) {
		m, err := w.ReadAt(p[n:], off+int64(n))
		return n + m, err
	}
	return n, err
}

func readSlice(b, p []byte, off int64) (int, error) {
	if off < 0 || off >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Commit implements stored.Writer. What it does not keep can be read until Abort.
func (w *writer) Commit(r *stored.Response) (*stored.Response, error) {
	if w.failed || w.done || r.Key != w.key || w.s.marks.dropped(r.Seq) {
		return nil, stored.ErrNotKept
	}
	kept := *r
	kept.Size = w.size()
	tail := stored.AppendHead(make([]byte, 0, 1024), &kept)
	f := footer{head: uint32(len(tail)), size: kept.Size, id: w.oid, epoch: w.s.marks.epoch()}
	if len(tail) > maxHead || r.Marker && kept.Size > 0 {
		return nil, stored.ErrNotKept
	}
	tail = appendFooter(tail, f)
	ok := false
	if w.h == nil {
		ok = w.commitSmall(&kept, tail, f)
	} else {
		ok = w.commitLarge(&kept, tail, f)
	}
	if !ok {
		return nil, stored.ErrNotKept
	}
	return &kept, nil
}

func (w *writer) commitSmall(r *stored.Response, tail []byte, f footer) bool {
	all := appendPrefix(make([]byte, 0, f.fileSize()), magicObject, w.oid)
	if w.n > 0 {
		all = appendBlock(all, w.buf[:w.n], w.oid, 0)
	}
	all = append(all, tail...)
	cost := w.v.cost(f.fileSize())
	if !w.s.reserve(w.v, cost) {
		return false
	}
	w.reserved += cost
	small := content(all[prefixSize : prefixSize+w.n : prefixSize+w.n])
	if err := w.s.place(w.v, w.id, cost, r, func() error { return w.v.writeFile(w.id.folder(), w.id.name(), all) }); err != nil {
		return false
	}
	w.mu.Lock()
	w.small = small
	w.end()
	w.mu.Unlock()
	if !r.Marker {
		r.Body = small
	}
	return true
}

func (w *writer) commitLarge(r *stored.Response, tail []byte, f footer) bool {
	if !w.flush() || !w.write(tail, bodyEnd(f.size)) {
		return false
	}
	w.mu.Lock()
	w.h.size, w.h.cost = f.size, w.v.cost(f.fileSize())
	w.mu.Unlock()
	r.Body = &body{s: w.s, id: w.id, oid: w.oid, size: f.size}
	w.h.head.Store(r)
	err := w.s.place(w.v, w.id, w.h.cost, r, func() error {
		if err := w.v.rename(w.id.folder(), w.temp, w.id.name()); err != nil {
			return err
		}
		w.temp = ""
		return nil
	}, w.h)
	if err != nil {
		return false
	}
	w.mu.Lock()
	w.end()
	w.cleanup = runtime.AddCleanup(w, (*handle).release, w.h)
	w.mu.Unlock()
	return true
}

// place gives an object its name, and has it found.
func (s *Store) place(v *volume, i id, cost int64, r *stored.Response, name func() error, h ...*handle) error {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	if s.vol.Load() != v {
		return stored.ErrNotKept
	}
	if err := name(); err != nil {
		s.sick(v, "write", err)
		return err
	}
	s.detach(i)
	if len(h) > 0 {
		s.keepOpen(h[0])
	}
	_, head := s.peek(i)
	if head && v.remove(i.folder(), i.headName()) == nil {
		head = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vol.Load() == v {
		s.ix.set(i, cost, until(r), head)
	}
	return nil
}

// end gives back what writing took. The caller holds mu.
func (w *writer) end() {
	w.done = true
	w.s.take(-w.reserved)
	w.reserved = 0
	buffers.Put(w.buf)
	w.buf = nil
	w.v.release()
}

// Abort implements stored.Writer.
func (w *writer) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return
	}
	if w.temp != "" {
		_ = w.v.remove(w.id.folder(), w.temp)
	}
	if w.h != nil {
		w.h.cost = w.reserved // until those who read have ended
		w.s.linger(w.h)
		w.h.release()
		w.h = nil
	}
	w.end()
}

// Close gives up what ReadAt needs after Commit.
func (w *writer) Close() error {
	w.Abort()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.h != nil {
		w.cleanup.Stop()
		w.h.release()
		w.h = nil
	}
	w.small = nil
	return nil
}
