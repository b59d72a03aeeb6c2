package disk

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/internal/stored"
)

// Errors of the disk have one of three consequences: that one object is not kept; that nothing is written, while what is there is read
// (the disk is full, or may not be written); or that the directory is lost.

// isSick says whether an error is about more than one object.
func isSick(err error) bool {
	for _, own := range []error{
		stored.ErrNotKept, errDamaged, stored.ErrHead,
		unix.EISDIR, unix.EEXIST, unix.ENOTEMPTY, unix.ELOOP, unix.EMLINK, unix.ENXIO, unix.EOPNOTSUPP,
	} {
		if errors.Is(err, own) {
			return false
		}
	}
	return true
}

// isFull says whether an error means that nothing can be written.
func isFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EFBIG)
}

// sick is called with errors of the disk.
func (s *Store) sick(v *volume, doing string, err error) {
	if !isSick(err) || s.vol.Load() != v {
		return
	}
	if isFull(err) {
		s.mu.Lock()
		s.refusing = true
		s.mu.Unlock()
	} else if s.vol.CompareAndSwap(v, nil) {
		v.release()
		s.files.idle()
	}
	s.failed(doing, err)
}

// failed says that the directory is lost, and has it tried again.
func (s *Store) failed(doing string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down || s.closing {
		return
	}
	s.down = true
	if s.refusing {
		s.log.Error("cannot write in the cache's directory: nothing is added to it until that is possible again", "dir", s.path, "doing", doing, "error", err)
	} else {
		s.log.Error("the cache's directory is lost: it is not used until it is there again", "dir", s.path, "doing", doing, "error", err)
	}
	s.work.Go(s.probe)
}

const (
	probeFirst = time.Second
	probeLast  = 30 * time.Second
)

// backoff is how long to wait until a directory is tried. One that was in use only for a short while waits for longer than the last time: a disk may have
// room for what it is tried with, and not for what comes.
type backoff struct {
	wait time.Duration
	last time.Time // it was tried
}

// next returns the next wait.
func (b *backoff) next(now time.Time) time.Duration {
	if b.wait == 0 || now.Sub(b.last) > 2*probeLast {
		b.wait = probeFirst
	} else {
		b.wait = min(2*b.wait, probeLast)
	}
	b.last = now.Add(b.wait)
	return b.wait
}

// probe tries the directory until it is there again, or the store is closed.
func (s *Store) probe() {
	for {
		s.mu.Lock()
		wait := s.backoff.next(time.Now())
		s.mu.Unlock()
		t := time.NewTimer(wait)
		select {
		case <-s.stop:
			t.Stop()
			return
		case <-t.C:
		}
		if s.revive() == nil {
			return
		}
	}
}

// revive takes the directory into use again, if it can be written.
func (s *Store) revive() error {
	s.reviving.Lock()
	defer s.reviving.Unlock()
	s.mu.Lock()
	down := s.down
	s.mu.Unlock()
	if !down {
		return nil // it has been taken into use again meanwhile
	}
	v, err := openRoot(s.path)
	if err != nil {
		return err
	}
	lock, err := v.lockIn(s.lock)
	if err != nil {
		v.release()
		return err
	}
	if lock != s.lock {
		s.lock.Close()
		s.lock = lock
	}
	if err = v.openFolders(); err == nil {
		err = v.try()
	}
	if err != nil {
		v.release()
		return err
	}
	s.mu.Lock()
	if s.void {
		s.marks.renew()
	}
	s.mu.Unlock()
	if old := s.vol.Swap(nil); old != nil {
		old.release()
	}
	s.files.reset()
	if err := s.begin(v); err != nil {
		v.release()
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.vol.Load() != v {
		return errLost // by now, again
	}
	s.down, s.refusing = false, false
	s.log.Info("the cache's directory can be used again", "dir", s.path)
	return nil
}

// try writes as much as shows that there is room, and removes it.
func (v *volume) try() error {
	fd, name, err := v.create(0)
	if err != nil {
		return err
	}
	err = writeAt(fd, make([]byte, step), 0)
	return errors.Join(err, unix.Close(fd), v.remove(0, name))
}
