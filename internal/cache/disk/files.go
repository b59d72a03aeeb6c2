package disk

import (
	"sync"
)

// openFiles is how many files of large objects are kept open after their use.
const openFiles = 64

// files are the open files of large objects: each has one handle, as long as someone reads it or it is among the latest that were used.
type files struct {
	mu     sync.Mutex
	live   map[id]*handle
	newest *handle
	oldest *handle
	kept   int
}

// get returns an object's handle in a directory, for which the caller must call release, or nil.
func (f *files) get(v *volume, i id) *handle {
	f.mu.Lock()
	h := f.live[i]
	if h == nil || h.v != v || !h.retain() {
		f.mu.Unlock()
		return nil
	}
	old := f.keep(h)
	f.mu.Unlock()
	if old != nil {
		old.release()
	}
	return h
}

func (h *handle) retain() bool {
	for {
		n := h.refs.Load()
		if n == 0 {
			return false
		}
		if h.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// put has a handle found. It returns the one that was.
func (f *files) put(h *handle) (before *handle) {
	f.mu.Lock()
	before = f.take(h.id)
	f.live[h.id] = h
	old := f.keep(h)
	f.mu.Unlock()
	if old != nil {
		old.release()
	}
	return before
}

// keep has a handle be the latest that was used. It returns one that is to be released.
func (f *files) keep(h *handle) (old *handle) {
	if h.kept {
		f.unlink(h)
	} else {
		h.kept = true
		h.refs.Add(1)
		f.kept++
	}
	h.prev, h.next = f.newest, nil
	if f.newest != nil {
		f.newest.next = h
	} else {
		f.oldest = h
	}
	f.newest = h
	if f.kept <= openFiles {
		return nil
	}
	old = f.oldest
	f.forget(old)
	return old
}

func (f *files) forget(h *handle) {
	f.unlink(h)
	h.kept = false
	f.kept--
}

func (f *files) unlink(h *handle) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		f.oldest = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		f.newest = h.prev
	}
	h.prev, h.next = nil, nil
}

// take has an object's handle found no more. It returns the handle, with a reference that the caller must release, or nil.
func (f *files) take(i id) *handle {
	h := f.live[i]
	if h == nil {
		return nil
	}
	delete(f.live, i)
	if h.kept {
		f.forget(h)
		return h
	}
	if !h.retain() {
		return nil
	}
	return h
}

// drop is take, for those who do not hold the lock.
func (f *files) drop(i id) *handle {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.take(i)
}

// closed forgets a handle that is closed.
func (f *files) closed(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.live[h.id] == h {
		delete(f.live, h.id)
	}
}

// idle closes all files that nobody reads.
func (f *files) idle() {
	f.mu.Lock()
	var all []*handle
	for h := f.oldest; h != nil; h = f.oldest {
		f.forget(h)
		all = append(all, h)
	}
	f.mu.Unlock()
	for _, h := range all {
		h.release()
	}
}

// reset has no handle found any more. Those who read go on.
func (f *files) reset() {
	f.idle()
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.live)
}
