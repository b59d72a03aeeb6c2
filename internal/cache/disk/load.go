package disk

import (
	"errors"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/internal/stored"
)

// load reads an object for a Get.
func (s *Store) load(v *volume, i id, head bool) (*stored.Response, error) {
	o, err := s.open(v, i, head)
	if err != nil {
		return nil, err
	}
	defer o.close()
	s.found(v, i, o)
	r := o.r
	switch {
	case r.Marker:
		return r, nil
	case o.f.size <= blockSize && o.all != nil:
		block := []byte(nil)
		if o.f.size > 0 {
			block, err = checkBlock(o.all[prefixSize:bodyEnd(o.f.size)], o.f.id, 0)
		}
		if err != nil {
			s.discard(v, i, o.ino)
			return nil, err
		}
		r.Body = content(append([]byte(nil), block...))
		return r, nil
	}
	r.Body = &body{s: s, id: i, oid: o.f.id, size: r.Size}
	s.adopt(v, i, o).release()
	return r, nil
}

// found notes in the index what was read.
func (s *Store) found(v *volume, i id, o *object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cost := v.cost(o.size)
	if o.own > 0 {
		cost += v.cost(o.own)
	}
	if e := s.ix.get(i); e != nil && e.flags&fromScan == 0 {
		e.until = until(o.r)
	} else if e == nil && !s.scanned && s.vol.Load() == v {
		s.ix.set(i, cost, until(o.r), o.own > 0)
	}
}

// adopt makes a handle of an opened object, for which the caller must call release.
func (s *Store) adopt(v *volume, i id, o *object) *handle {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	if h := s.files.get(v, i); h != nil {
		if h.oid == o.f.id {
			return h
		}
		h.release()
	}
	v.use()
	h := &handle{s: s, v: v, id: i, fd: o.fd, ino: o.ino, oid: o.f.id, size: o.f.size, cost: v.cost(o.size)}
	o.fd = -1
	h.refs.Store(1)
	h.head.Store(o.r)
	if v.is(i.folder(), i.name(), o.ino) && s.vol.Load() == v {
		s.keepOpen(h)
	} else {
		s.linger(h)
	}
	return h
}

// keepOpen has a handle found by those who ask for its object.
func (s *Store) keepOpen(h *handle) {
	if before := s.files.put(h); before != nil {
		s.linger(before)
		before.release()
	}
}

// handleOf returns the handle of a body, for which the caller must call release, or nil when it is not there any more.
func (s *Store) handleOf(i id, oid uint64) *handle {
	v := s.enter()
	if v == nil {
		return nil
	}
	defer s.leave(v)
	if h := s.files.get(v, i); h != nil {
		if h.oid == oid {
			return h
		}
		h.release()
		return nil
	}
	known, head := s.peek(i)
	if !known {
		return nil
	}
	o, err := s.open(v, i, head)
	if err != nil {
		return nil
	}
	defer o.close()
	if o.f.id != oid {
		return nil
	}
	o.r.Body = &body{s: s, id: i, oid: oid, size: o.f.size}
	return s.adopt(v, i, o)
}

// peek is lookUp of those who do not use the object.
func (s *Store) peek(i id) (known, head bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.ix.get(i)
	return e != nil || !s.scanned, e == nil || e.flags&hasHead != 0
}

// open opens an object's file and reads its head. What is not as it was written is removed.
func (s *Store) open(v *volume, i id, head bool) (*object, error) {
	o, err := s.read(v, i, head)
	if err != nil {
		s.lost(v, i, o, err)
		return nil, err
	}
	return o, nil
}

// read is open that changes nothing. With an error it returns the object as far as it is known, closed.
func (s *Store) read(v *volume, i id, head bool) (*object, error) {
	o := &object{fd: -1}
	var err error
	if o.fd, err = s.openFile(v, i, i.name()); err != nil {
		return o, err
	}
	if o.size, o.ino, err = stat(o.fd); err == nil {
		err = s.readObject(o)
	}
	if err == nil && head {
		err = s.readOwnHead(v, i, o)
	}
	if err != nil {
		o.close()
	}
	return o, err
}

// lost does what is to be done about an object that read has not read.
func (s *Store) lost(v *volume, i id, o *object, err error) {
	switch {
	case o.ino != 0:
		s.discard(v, i, o.ino)
	case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOMEM):
		s.sick(v, "open", err)
	default:
		s.missing(v, i, err)
	}
}

// openFile opens a file of an object.
func (s *Store) openFile(v *volume, i id, name string) (int, error) {
	fd, err := v.openFile(i.folder(), name)
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		s.files.idle()
		fd, err = v.openFile(i.folder(), name)
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// missing takes an object out of the index whose file is not there, or is none, or cannot be opened.
func (s *Store) missing(v *volume, i id, err error) {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	if v.plain(i.folder(), i.name()) {
		if !errors.Is(err, unix.ENOENT) && s.vol.Load() == v {
			s.remove(v, i, false)
		}
		return
	}
	s.mu.Lock()
	if s.vol.Load() == v {
		s.ix.drop(i)
	}
	s.mu.Unlock()
	s.detach(i)
}

// discard removes an object that is damaged, unless there is another by now.
func (s *Store) discard(v *volume, i id, ino uint64) {
	m := s.stripe(i)
	m.Lock()
	defer m.Unlock()
	if s.vol.Load() == v && v.is(i.folder(), i.name(), ino) {
		s.remove(v, i, false)
	}
}

// broken is called with the error of reading a block, and returns that which the reader gets.
func (s *Store) broken(h *handle, err error) error {
	s.discard(h.v, h.id, h.ino)
	return errors.Join(errLost, err)
}

// readObject reads head and footer; all where it is small.
func (s *Store) readObject(o *object) (err error) {
	if o.size < prefixSize+footerSize {
		return errDamaged
	}
	var tail []byte
	if o.size <= smallFile {
		o.all = smallFiles.Get().(*[smallFile]byte)
		tail = o.all[:o.size]
	} else {
		tail = make([]byte, tailSize)
	}
	if err = readTail(o, tail); err != nil {
		return err
	}
	if o.f, err = parseFooter(tail); err != nil {
		return err
	}
	if o.f.fileSize() != o.size || o.f.epoch != s.marks.epoch() {
		return errDamaged
	}
	if n := int(o.f.head) + footerSize; n > len(tail) {
		tail = make([]byte, n)
		if err = readTail(o, tail); err != nil {
			return err
		}
	}
	if o.all != nil && !checkPrefix(tail, magicObject, o.f.id) {
		return errDamaged
	}
	o.r, err = headOf(tail, o.f)
	return err
}

// tailSize is how much of the end of a large file is read at first.
const tailSize = 8 << 10

func readTail(o *object, tail []byte) error {
	n, err := readAt(o.fd, tail, o.size-int64(len(tail)))
	if err == nil && n < len(tail) {
		err = errDamaged
	}
	return err
}

func headOf(tail []byte, f footer) (*stored.Response, error) {
	head, err := checkHead(tail, f)
	if err != nil {
		return nil, err
	}
	r, err := stored.ReadHead(string(head))
	if err == nil {
		r.Size = f.size
	}
	return r, err
}

// readOwnHead reads the head that is in a file of its own, if there is one. One of another object, which was there before, does not count.
func (s *Store) readOwnHead(v *volume, i id, o *object) error {
	fd, err := s.openFile(v, i, i.headName())
	if err != nil {
		return ignoreMissing(err)
	}
	defer unix.Close(fd)
	size, _, err := stat(fd)
	if err != nil {
		return err
	}
	if size < prefixSize+footerSize || size > prefixSize+maxHead+footerSize {
		return errDamaged
	}
	all := make([]byte, size)
	if _, err := readAt(fd, all, 0); err != nil {
		return err
	}
	f, err := parseFooter(all)
	if err != nil || prefixSize+int64(f.head)+footerSize != size || !checkPrefix(all, magicHead, f.id) {
		return errDamaged
	}
	r, err := headOf(all, f)
	if err != nil {
		return err
	}
	if f.id == o.f.id && f.epoch == o.f.epoch && f.size == o.f.size {
		o.r, o.own = r, size
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
