package disk

import (
	"cmp"
	"slices"
)

// index knows which objects there are, what room they take, and which of them to let go first. It is not safe for use by several goroutines.
//
// It lets go as S3-FIFO does: objects come into a small queue, and only those that are used there, or were let go not long ago, get into the main
// one. What is asked for once passes through without driving out what is asked for again and again.
type index struct {
	slots   map[id]uint32
	entries []entry
	free    uint32 // the first of the free entries, linked by next
	small   queue
	main    queue
	ghosts  []uint32 // tags of objects that were let go from small
	objects int64
	bytes   int64
}

// entry is an object. Entries have no pointers, so that the garbage collector need not look at them.
type entry struct {
	id         id
	cost       int64
	prev, next uint32 // in its queue; 0 is none
	until      uint32 // seconds since 1970, after which it is of no use; 0: not known
	uses       uint8  // up to 3
	flags      uint8
}

const (
	inMain   = 1 << iota // in main, otherwise in small
	hasHead              // its head is in a file beside it
	fromScan             // until is when it was written
)

// queue is a list of entries, the latest first.
type queue struct {
	head, tail uint32
	bytes      int64
}

func newIndex() *index {
	return &index{slots: map[id]uint32{}, entries: make([]entry, 1)} // entry 0 is none
}

// get returns an object's entry, or nil. It is valid until the next change of the index.
func (x *index) get(i id) *entry {
	if at := x.slots[i]; at != 0 {
		return &x.entries[at]
	}
	return nil
}

// used notes that an object was asked for.
func (e *entry) used() { e.uses = min(e.uses+1, 3) }

// set has an object in the index, with what room it takes. One that was there keeps its place.
func (x *index) set(i id, cost int64, until uint32, head bool) {
	at := x.slots[i]
	if at == 0 {
		at = x.add(i)
	}
	e := &x.entries[at]
	q := x.queue(e)
	q.bytes += cost - e.cost
	x.bytes += cost - e.cost
	e.cost, e.until = cost, until
	e.flags &^= hasHead | fromScan
	if head {
		e.flags |= hasHead
	}
}

func (x *index) add(i id) uint32 {
	at := x.free
	if at != 0 {
		x.free = x.entries[at].next
	} else {
		x.entries = append(x.entries, entry{})
		at = uint32(len(x.entries) - 1)
	}
	e := &x.entries[at]
	*e = entry{id: i}
	if x.ghost(i) {
		e.flags = inMain
	}
	x.slots[i] = at
	x.objects++
	x.push(at)
	return at
}

// drop takes an object out, and returns what room it takes.
func (x *index) drop(i id) (cost int64, ok bool) {
	at := x.slots[i]
	if at == 0 {
		return 0, false
	}
	e := &x.entries[at]
	cost = e.cost
	x.unlink(at)
	delete(x.slots, i)
	x.bytes -= cost
	x.objects--
	*e = entry{next: x.free}
	x.free = at
	return cost, true
}

func (x *index) queue(e *entry) *queue {
	if e.flags&inMain != 0 {
		return &x.main
	}
	return &x.small
}

func (x *index) push(at uint32) {
	e := &x.entries[at]
	q := x.queue(e)
	e.prev, e.next = 0, q.head
	if q.head != 0 {
		x.entries[q.head].prev = at
	} else {
		q.tail = at
	}
	q.head = at
	q.bytes += e.cost
}

func (x *index) unlink(at uint32) {
	e := &x.entries[at]
	q := x.queue(e)
	if e.prev != 0 {
		x.entries[e.prev].next = e.next
	} else {
		q.head = e.next
	}
	if e.next != 0 {
		x.entries[e.next].prev = e.prev
	} else {
		q.tail = e.prev
	}
	q.bytes -= e.cost
}

// evict takes the object out that is to go first, of all that take up to limit bytes.
func (x *index) evict(limit int64, now uint32) (i id, cost int64, ok bool) {
	for {
		small := x.small.tail != 0 && (x.small.bytes > limit/smallShare || x.main.tail == 0)
		at := x.main.tail
		if small {
			at = x.small.tail
		}
		if at == 0 {
			return i, 0, false
		}
		e := &x.entries[at]
		if e.uses == 0 || e.until != 0 && e.until < now {
			i = e.id
			if small && e.uses == 0 {
				x.remember(i)
			}
			cost, _ = x.drop(i)
			return i, cost, true
		}
		x.unlink(at)
		if small {
			e.flags |= inMain
			e.uses = 0
		} else {
			e.uses -= min(e.uses, x.price(e, limit))
		}
		x.push(at)
	}
}

// smallShare is the part of the limit that is the small queue's.
const smallShare = 10

// price is how many uses another round in the main queue costs: large objects pay more.
func (x *index) price(e *entry, limit int64) uint8 {
	if e.cost > limit/128 {
		return 2
	}
	return 1
}

// ghost says whether an object was let go from small not long ago. It is a table by hash, so that it takes little room and has a bound.
func (x *index) ghost(i id) bool {
	if len(x.ghosts) == 0 {
		return false
	}
	at, tag := x.ghostPlace(i)
	found := x.ghosts[at] == tag
	if found {
		x.ghosts[at] = 0
	}
	return found
}

func (x *index) remember(i id) {
	if want := int(x.objects); len(x.ghosts) < want && len(x.ghosts) < maxGhosts {
		n := 1 << 10
		for n < want {
			n <<= 1
		}
		x.ghosts = make([]uint32, n)
	}
	if len(x.ghosts) == 0 {
		return
	}
	at, tag := x.ghostPlace(i)
	x.ghosts[at] = tag
}

const maxGhosts = 1 << 22

func (x *index) ghostPlace(i id) (at int, tag uint32) {
	h := uint32(i[4]) | uint32(i[5])<<8 | uint32(i[6])<<16 | uint32(i[7])<<24
	tag = uint32(i[8]) | uint32(i[9])<<8 | uint32(i[10])<<16 | uint32(i[11])<<24
	return int(h) & (len(x.ghosts) - 1), max(tag, 1)
}

// some appends up to n objects, from a slot on, and returns the slot to go on with, or 0.
func (x *index) some(to []id, from uint32, n int) ([]id, uint32) {
	for ; int(from) < len(x.entries) && n > 0; from, n = from+1, n-1 {
		if i := x.entries[from].id; x.slots[i] == from {
			to = append(to, i)
		}
	}
	if int(from) >= len(x.entries) {
		from = 0
	}
	return to, from
}

// order has all objects that a scan found, and nobody has asked for, be let go by when they were written, which is in until.
func (x *index) order() {
	var all []uint32
	for at := range x.entries {
		if e := &x.entries[at]; e.flags&fromScan != 0 {
			x.unlink(uint32(at))
			all = append(all, uint32(at))
		}
	}
	slices.SortFunc(all, func(a, b uint32) int { return cmp.Compare(x.entries[a].until, x.entries[b].until) })
	for _, at := range all {
		e := &x.entries[at]
		e.flags = e.flags&^fromScan | inMain
		e.until = 0
		x.push(at)
	}
}

// scanned has an object in the index that a scan has found.
func (x *index) scanned(i id, cost int64, written uint32, head bool) {
	if x.get(i) != nil {
		return
	}
	x.set(i, cost, written, head)
	x.get(i).flags |= fromScan
}
