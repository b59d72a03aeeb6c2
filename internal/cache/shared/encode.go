package shared

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"cardea.dev/cardea/internal/stored"
)

// A value in Redis is a frame, a head, and the body where it is short; a longer body is a value of its own.
//
//	0   4  magic, with the version
//	4   4  length of the head
//	8   8  length of the body
//	16  8  sum of the body
//	24  1  1 where the body stands apart
//	25  8  when it was received, in ns since 1970
//	33  8  sum of all before, and of the head
//	41     the head, and the body
//
// All numbers are little-endian; sums are xxHash64.
const (
	magic     = "CdS\x01"
	frameSize = 41
	maxHead   = 256 << 10
	apartFrom = 256 << 10 // bodies longer than this stand apart
)

var (
	errForeign = errors.New("the value is none of this version")
	errBroken  = errors.New("the value is broken")
)

// frame is what a value begins with.
type frame struct {
	head     int
	body     int64
	bodySum  uint64
	apart    bool
	received int64
	sum      uint64
}

// encode returns the value of a response. The body is added where it is short; sum is its sum.
func encode(r *stored.Response, body []byte, sum uint64) ([]byte, error) {
	apart := len(body) > apartFrom
	size := frameSize + len(r.Key) + len(r.URL) + 512
	if !apart {
		size += len(body)
	}
	b := make([]byte, frameSize, size)
	b = appendHead(b, r)
	head := len(b) - frameSize
	if head > maxHead {
		return nil, stored.ErrNotKept
	}
	copy(b, magic)
	binary.LittleEndian.PutUint32(b[4:], uint32(head)) //nolint:gosec // at most maxHead
	binary.LittleEndian.PutUint64(b[8:], uint64(len(body)))
	binary.LittleEndian.PutUint64(b[16:], sum)
	if apart {
		b[24] = 1
	}
	binary.LittleEndian.PutUint64(b[25:], uint64(r.Received.UnixNano())) //nolint:gosec // it is read as it is written
	binary.LittleEndian.PutUint64(b[33:], sumOf(b))
	if !apart {
		b = append(b, body...)
	}
	return b, nil
}

// sumOf is the sum of a frame and a head.
func sumOf(b []byte) uint64 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(b[:33])
	_, _ = d.Write(b[frameSize:])
	return d.Sum64()
}

// readFrame reads what a value begins with.
func readFrame(b []byte) (frame, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return frame{}, errForeign
	}
	if len(b) < frameSize {
		return frame{}, errBroken
	}
	f := frame{
		bodySum: binary.LittleEndian.Uint64(b[16:]), apart: b[24] == 1,
		received: int64(binary.LittleEndian.Uint64(b[25:])), //nolint:gosec // it is read as it is written
		sum:      binary.LittleEndian.Uint64(b[33:]),
	}
	head, body := binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint64(b[8:])
	if head > maxHead || body > maxBody || b[24] > 1 || f.apart != (body > apartFrom) {
		return frame{}, errBroken
	}
	f.head, f.body = int(head), int64(body)
	return f, nil
}

// decode reads a value that is whole. The body is a part of it, or nil where it stands apart.
func decode(b []byte) (*stored.Response, []byte, frame, error) {
	f, err := readFrame(b)
	if err != nil {
		return nil, nil, f, err
	}
	size := frameSize + f.head
	if !f.apart {
		size += int(f.body)
	}
	if len(b) != size || sumOf(b[:frameSize+f.head]) != f.sum {
		return nil, nil, f, errBroken
	}
	var body []byte
	if !f.apart {
		if body = b[frameSize+f.head:]; xxhash.Sum64(body) != f.bodySum {
			return nil, nil, f, errBroken
		}
	}
	r, err := readHead(string(b[frameSize : frameSize+f.head]))
	if err != nil {
		return nil, nil, f, err
	}
	r.Size = f.body
	return r, body, f, nil
}

// appendHead appends all of a response but its body.
func appendHead(b []byte, r *stored.Response) []byte {
	for _, text := range []string{r.Key, r.URL, r.Route, r.Method} {
		b = appendText(b, text)
	}
	b = binary.AppendVarint(b, int64(r.Status))
	for _, f := range []*stored.Fields{&r.Header, &r.Trailer, &r.Vary} {
		b = appendFields(b, f)
	}
	t := &r.Terms
	for _, n := range []int64{
		int64(t.Lifetime), int64(t.InitialAge), int64(t.WhileRevalidate), int64(t.IfError), int64(t.Flags),
	} {
		b = binary.AppendVarint(b, n)
	}
	b = appendTexts(b, r.Tags)
	b = binary.AppendUvarint(b, r.Seq)
	b = appendTime(appendTime(b, r.Requested), r.Received)
	marker := byte(0)
	if r.Marker {
		marker = 1
	}
	b = append(b, marker)
	b = binary.AppendUvarint(b, uint64(len(r.Varies)))
	for _, names := range r.Varies {
		b = appendTexts(b, names)
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendTexts(b []byte, texts []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(texts)))
	for _, text := range texts {
		b = appendText(b, text)
	}
	return b
}

func appendFields(b []byte, f *stored.Fields) []byte {
	b = binary.AppendUvarint(b, uint64(f.Len())) //nolint:gosec // a length
	for i := range f.Len() {
		name, value := f.At(i)
		b = appendText(appendText(b, name), value)
	}
	return b
}

// appendTime appends a time; the zero one is one that has no other meaning.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendVarint(b, t.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond())) //nolint:gosec // it is not below 0
}

// readHead reads what appendHead has written. All texts are parts of the given one.
func readHead(text string) (*stored.Response, error) {
	d := &decoder{rest: text}
	r := &stored.Response{Key: d.text(), URL: d.text(), Route: d.text(), Method: d.text(), Status: int(d.number())}
	r.Header, r.Trailer, r.Vary = d.fields(), d.fields(), d.fields()
	r.Terms = stored.Terms{
		Lifetime: time.Duration(d.number()), InitialAge: time.Duration(d.number()), WhileRevalidate: time.Duration(d.number()), IfError: time.Duration(d.number()),
	}
	flags := d.number()
	r.Terms.Flags = stored.Flags(flags) //nolint:gosec // checked below
	r.Tags = d.texts()
	r.Seq = d.count()
	r.Requested, r.Received = d.time(), d.time()
	marker := d.byte()
	r.Marker = marker == 1
	if n := d.length(1); n > 0 {
		r.Varies = make([][]string, n)
		for i := range r.Varies {
			r.Varies[i] = d.texts()
		}
	}
	if d.wrong || d.rest != "" || marker > 1 || int64(r.Terms.Flags) != flags || r.Status < 0 || r.Status > 999 {
		return nil, errBroken
	}
	return r, nil
}

// decoder reads a head. After a mistake it reads nothing but zeros.
type decoder struct {
	rest  string
	wrong bool
}

func (d *decoder) fail() {
	d.wrong, d.rest = true, ""
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.fail()
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// count reads an unsigned number.
func (d *decoder) count() uint64 {
	var n uint64
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		if d.wrong || shift == 63 && c > 1 {
			break
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	d.fail()
	return 0
}

// number reads a signed number.
func (d *decoder) number() int64 {
	n := d.count()
	return int64(n>>1) ^ -int64(n&1) //nolint:gosec // zigzag
}

// length reads how many things follow, each of which takes some bytes: so no more is allocated than what is there is worth.
func (d *decoder) length(each int) int {
	n := d.count()
	if n > uint64(len(d.rest)/each) {
		d.fail()
		return 0
	}
	return int(n) //nolint:gosec // at most the length of a text
}

func (d *decoder) text() string {
	n := d.length(1)
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) texts() []string {
	n := d.length(1)
	if n == 0 {
		return nil
	}
	texts := make([]string, n)
	for i := range texts {
		texts[i] = d.text()
	}
	return texts
}

// fields reads fields, which are in the order of their names.
func (d *decoder) fields() stored.Fields {
	n := d.length(2)
	if n == 0 {
		return stored.Fields{}
	}
	texts := make([]string, 2*n)
	names, values := texts[:n:n], texts[n:]
	for i := range names {
		names[i], values[i] = d.text(), d.text()
	}
	if !slices.IsSorted(names) {
		d.fail()
	}
	return stored.FieldsOf(names, values)
}

func (d *decoder) time() time.Time {
	switch d.byte() {
	case 0:
		return time.Time{}
	case 1:
	default:
		d.fail()
		return time.Time{}
	}
	s, ns := d.number(), d.count()
	if ns >= 1e9 {
		d.fail()
		return time.Time{}
	}
	return time.Unix(s, int64(ns))
}
