package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Record is what is known by a key. It is not to be changed.
type Record[H any] struct {
	// Head is what is in memory of it.
	Head H

	until int64 // ms; 0: for ever
	head  *span
	parts []part
}

// part is what is on the disk of a record, by a name.
type part struct {
	name string
	*span
}

// span is where a text is: in the buffer of what is being written, or in a file.
type span struct {
	in   *file
	at   int64
	size int
}

// Part is a part as it is written.
type Part struct {
	Name  string
	Value []byte
}

// Has says whether there is a part with a name.
func (r *Record[H]) Has(name string) bool { return r.find(name) != nil }

func (r *Record[H]) find(name string) *span {
	for i := range r.parts {
		if r.parts[i].name == name {
			return r.parts[i].span
		}
	}
	return nil
}

// over says whether the record is forgotten.
func (r *Record[H]) over(now int64) bool { return r.until > 0 && r.until <= now }

// Tx reads and changes records, all at once. It is for the function that it is given to, as long as that runs.
type Tx[H any] struct {
	j      *Journal[H]
	buffer []byte
	fresh  []*span               // that are in the buffer
	before map[string]*Record[H] // of what is changed; nil: it was not there
}

func newTx[H any](j *Journal[H]) *Tx[H] { return &Tx[H]{j: j, before: map[string]*Record[H]{}} }

// Get returns the record with a key, or nil.
func (tx *Tx[H]) Get(key string) *Record[H] {
	if r := tx.j.records[key]; r != nil && !r.over(tx.j.o.Now().UnixMilli()) {
		return r
	}
	return nil
}

// Changed says whether the record with a key was changed by something that is not on the disk yet.
func (tx *Tx[H]) Changed(key string) bool {
	_, is := tx.before[key]
	return is
}

// Each calls f with all records.
func (tx *Tx[H]) Each(f func(key string, r *Record[H])) {
	now := tx.j.o.Now().UnixMilli()
	for key, r := range tx.j.records {
		if !r.over(now) {
			f(key, r)
		}
	}
}

// Read returns a part of a record, or nil where it has none with that name.
func (tx *Tx[H]) Read(r *Record[H], name string) ([]byte, error) {
	s := r.find(name)
	if s == nil {
		return nil, nil
	}
	return tx.read(s)
}

// Parts returns all parts of a record.
func (tx *Tx[H]) Parts(r *Record[H]) (all []Part, err error) {
	for _, p := range r.parts {
		value, err := tx.read(p.span)
		if err != nil {
			return nil, err
		}
		all = append(all, Part{p.name, value})
	}
	return all, nil
}

func (tx *Tx[H]) read(s *span) ([]byte, error) {
	b := make([]byte, s.size)
	if s.in == nil {
		copy(b, tx.buffer[s.at:])
		return b, nil
	}
	if _, err := s.in.ReadAt(b, s.at); err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	return b, nil
}

// Put has a record with a key in the place of whatever there was. It is forgotten after a time, unless that is zero.
func (tx *Tx[H]) Put(key string, head H, until time.Time, parts ...Part) {
	tx.put(put, key, head, until, nil, parts)
}

// Add is Put, but keeps parts that are not among the given ones.
func (tx *Tx[H]) Add(key string, head H, until time.Time, parts ...Part) {
	var old []part
	if r := tx.j.records[key]; r != nil {
		old = r.parts
	}
	tx.put(add, key, head, until, old, parts)
}

// Delete forgets a record.
func (tx *Tx[H]) Delete(key string) {
	if tx.j.records[key] == nil {
		return
	}
	tx.keep(key)
	tx.buffer = appendText(append(tx.buffer, remove), key)
	delete(tx.j.records, key)
}

// put changes a record, and writes that down.
func (tx *Tx[H]) put(kind byte, key string, head H, until time.Time, old []part, parts []Part) {
	r := &Record[H]{Head: head}
	if !until.IsZero() {
		r.until = until.UnixMilli()
	}
	b, err := json.Marshal(head)
	if err != nil {
		panic("journal: " + err.Error()) // of the type, whatever the value
	}
	tx.keep(key)
	tx.buffer = binary.AppendVarint(appendText(append(tx.buffer, kind), key), r.until)
	r.head = tx.text(b)
	tx.buffer = binary.AppendUvarint(tx.buffer, uint64(len(parts)))
	for _, p := range parts {
		tx.buffer = appendText(tx.buffer, p.Name)
		r.parts = append(r.parts, part{p.Name, tx.text(p.Value)})
	}
	for _, p := range old {
		if !r.Has(p.name) {
			r.parts = append(r.parts, p)
		}
	}
	tx.j.records[key] = r
}

// text writes a text, and says where it is.
func (tx *Tx[H]) text(b []byte) *span {
	tx.buffer = binary.AppendUvarint(tx.buffer, uint64(len(b)))
	s := &span{at: int64(len(tx.buffer)), size: len(b)}
	tx.buffer = append(tx.buffer, b...)
	tx.fresh = append(tx.fresh, s)
	return s
}

// keep remembers a record as it was.
func (tx *Tx[H]) keep(key string) {
	if _, known := tx.before[key]; !known {
		tx.before[key] = tx.j.records[key]
	}
}

// commit has on the disk what was changed. If it cannot be written, nothing was changed.
func (tx *Tx[H]) commit() error {
	if len(tx.buffer) == 0 {
		return nil
	}
	j := tx.j
	in, at, err := j.write(tx.buffer)
	j.report(err)
	if err != nil {
		tx.undo()
		return fmt.Errorf("cannot write the journal: %w", err)
	}
	for _, s := range tx.fresh {
		s.in, s.at = in, s.at+at
	}
	for key, old := range tx.before {
		j.count(old, -1)
		j.count(j.records[key], 1)
		if r := j.records[key]; r != nil {
			j.ends.note(key, r.until)
		}
	}
	return nil
}

func (tx *Tx[H]) undo() {
	for key, old := range tx.before {
		delete(tx.j.records, key)
		if old != nil {
			tx.j.records[key] = old
		}
	}
}

// count adds a record to what is live, or takes it away.
func (j *Journal[H]) count(r *Record[H], sign int64) {
	if r == nil {
		return
	}
	one := func(s *span) {
		n := sign * int64(s.size+1) // an empty one counts, too
		s.in.live += n
		j.live += n
	}
	one(r.head)
	for _, p := range r.parts {
		one(p.span)
	}
}
