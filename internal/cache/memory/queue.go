package memory

// queue is first in, first out.
type queue struct {
	oldest, newest *entry
	bytes          int64
}

func (q *queue) push(e *entry) {
	e.prev, e.next = q.newest, nil
	if q.newest == nil {
		q.oldest = e
	} else {
		q.newest.next = e
	}
	q.newest = e
	q.bytes += e.cost
}

// pushOldest puts an entry where it is the next to leave.
func (q *queue) pushOldest(e *entry) {
	if q.oldest == nil {
		q.push(e)
		return
	}
	e.prev, e.next = nil, q.oldest
	q.oldest.prev, q.oldest = e, e
	q.bytes += e.cost
}

func (q *queue) remove(e *entry) {
	if e.prev == nil {
		q.oldest = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		q.newest = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	q.bytes -= e.cost
}
