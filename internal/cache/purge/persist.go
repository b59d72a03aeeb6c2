package purge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// head begins what Write writes. Its last byte is the version: another has other tables or hashes.
const head = "cardea-purges\x01"

// maxState is more than what Write ever writes.
const maxState = 64 << 20

// errState is why Read takes nothing.
var errState = errors.New("not the whole of what was written, or of another version")

// Write writes all marks, for Read.
func (m *Marks) Write(w io.Writer) error {
	m.adding.Lock()
	b := append([]byte(head), urlBits, tagBits, places)
	b = binary.AppendUvarint(b, m.seq.Load())
	for _, c := range []*class{&m.hard, &m.soft} {
		b = binary.AppendUvarint(b, c.all.Load())
		b = c.urls.append(b)
		b = c.tags.append(b)
		b = c.prefixes.append(b)
	}
	m.adding.Unlock()
	b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("cannot write purges: %w", err)
	}
	return nil
}

// Read adds the marks that Write has written to those there are. After an error nothing is added.
func (m *Marks) Read(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxState))
	if err != nil {
		return fmt.Errorf("cannot read purges: %w", err)
	}
	read, ok := decode(b)
	if !ok {
		return fmt.Errorf("cannot read purges: %w", errState)
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	m.hard.join(&read.hard)
	m.soft.join(&read.soft)
	raise(&m.seq, read.seq.Load())
	return nil
}

// join adds the marks of another class.
func (c *class) join(other *class) {
	c.purgeAll(other.all.Load())
	c.urls.join(&other.urls)
	c.tags.join(&other.tags)
	for _, q := range other.prefixes.copied() {
		c.purgeAll(c.prefixes.add(q.text, q.seq))
	}
}

func (t *table) join(other *table) {
	from := other.slots.Load()
	if from == nil {
		return
	}
	into := t.made()
	for i := range *from {
		raise(&into[i], (*from)[i].Load())
	}
	raise(&t.newest, other.newest.Load())
}

// append appends how many slots are set, and for each how far after the last it is, and its number.
func (t *table) append(b []byte) []byte {
	var slots []atomic.Uint64
	if made := t.slots.Load(); made != nil {
		slots = *made
	}
	count := 0
	for i := range slots {
		if slots[i].Load() > 0 {
			count++
		}
	}
	b = binary.AppendUvarint(b, uint64(count))
	last := 0
	for i := range slots {
		if seq := slots[i].Load(); seq > 0 {
			b = binary.AppendUvarint(b, uint64(i-last))
			b = binary.AppendUvarint(b, seq)
			last = i
		}
	}
	return b
}

func (p *prefixes) append(b []byte) []byte {
	list := p.copied()
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, q := range list {
		b = binary.AppendUvarint(b, q.seq)
		b = binary.AppendUvarint(b, uint64(len(q.text)))
		b = append(b, q.text...)
	}
	return b
}

// decoder takes values off what was written. After the first that is missing it has only zeros.
type decoder struct {
	rest []byte
	bad  bool
}

// decode returns the marks in what was written, or false.
func decode(b []byte) (*Marks, bool) {
	prefix := append([]byte(head), urlBits, tagBits, places)
	if len(b) < len(prefix)+8 || string(b[:len(prefix)]) != string(prefix) {
		return nil, false
	}
	text, sum := b[:len(b)-8], b[len(b)-8:]
	if binary.BigEndian.Uint64(sum) != xxhash.Sum64(text) {
		return nil, false
	}
	return decodeBody(text[len(prefix):])
}

// decodeBody returns the marks in what stands between the head and the sum.
func decodeBody(b []byte) (*Marks, bool) {
	m, d := New(), &decoder{rest: b}
	m.seq.Store(d.number())
	for _, c := range []*class{&m.hard, &m.soft} {
		c.all.Store(d.number())
		d.table(&c.urls)
		d.table(&c.tags)
		d.prefixes(&c.prefixes)
	}
	return m, !d.bad && len(d.rest) == 0
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.rest, d.bad = nil, true
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) table(t *table) {
	count, at := d.number(), uint64(0)
	if count == 0 {
		return
	}
	slots := t.made()
	for ; count > 0 && !d.bad; count-- {
		at += d.number()
		seq := d.number()
		if at >= uint64(len(slots)) {
			d.bad = true
			return
		}
		slots[at].Store(seq)
		raise(&t.newest, seq)
	}
}

func (d *decoder) prefixes(p *prefixes) {
	count := d.number()
	d.bad = d.bad || count > maxPrefixes
	for ; count > 0 && !d.bad; count-- {
		seq, size := d.number(), d.number()
		if size > uint64(len(d.rest)) {
			d.bad = true
			return
		}
		p.add(string(d.rest[:size]), seq)
		d.rest = d.rest[size:]
	}
}
