package stored

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// ErrHead says that what is read is no head.
var ErrHead = errors.New("the head is damaged")

// AppendHead appends all of a response but its body and its size, as stores write it. What is first in it is the key. The form has no version: that is for
// what the head stands in.
func AppendHead(b []byte, r *Response) []byte {
	b = appendString(b, r.Key)
	b = appendString(b, r.URL)
	b = appendString(b, r.Route)
	b = appendString(b, r.Method)
	b = binary.AppendVarint(b, int64(r.Status))
	b = appendFields(b, &r.Header)
	b = appendFields(b, &r.Trailer)
	b = appendFields(b, &r.Vary)
	b = binary.AppendVarint(b, int64(r.Terms.Lifetime))
	b = binary.AppendVarint(b, int64(r.Terms.InitialAge))
	b = binary.AppendVarint(b, int64(r.Terms.WhileRevalidate))
	b = binary.AppendVarint(b, int64(r.Terms.IfError))
	b = binary.AppendUvarint(b, uint64(r.Terms.Flags))
	b = appendStrings(b, r.Tags)
	b = binary.AppendUvarint(b, r.Seq)
	b = appendTime(b, r.Requested)
	b = appendTime(b, r.Received)
	if !r.Marker {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(r.Varies)))
	for _, names := range r.Varies {
		b = appendStrings(b, names)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendStrings(b []byte, all []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, s := range all {
		b = appendString(b, s)
	}
	return b
}

func appendFields(b []byte, f *Fields) []byte {
	b = binary.AppendUvarint(b, uint64(f.Len()))
	for i := range f.Len() {
		name, value := f.At(i)
		b = appendString(appendString(b, name), value)
	}
	return b
}

// appendTime writes nanoseconds since 1970. The zero time, which has none, is the least number.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return binary.AppendVarint(b, math.MinInt64)
	}
	return binary.AppendVarint(b, t.UnixNano())
}

// ReadHead reads what AppendHead wrote. All strings are parts of the text.
func ReadHead(text string) (*Response, error) {
	d := decoder{rest: text}
	r := &Response{Key: d.string(), URL: d.string(), Route: d.string(), Method: d.string()}
	r.Status = int(d.varint())
	r.Header, r.Trailer, r.Vary = d.fields(), d.fields(), d.fields()
	r.Terms.Lifetime = time.Duration(d.varint())
	r.Terms.InitialAge = time.Duration(d.varint())
	r.Terms.WhileRevalidate = time.Duration(d.varint())
	r.Terms.IfError = time.Duration(d.varint())
	flags := d.uvarint()
	r.Terms.Flags = Flags(flags) //nolint:gosec // checked below
	r.Tags = d.strings()
	r.Seq = d.uvarint()
	r.Requested, r.Received = d.time(), d.time()
	if r.Marker = d.bool(); r.Marker {
		n := d.count()
		r.Varies = make([][]string, 0, n)
		for range n {
			r.Varies = append(r.Varies, d.strings())
		}
	}
	if d.bad || d.rest != "" || uint64(r.Terms.Flags) != flags || r.Status < 0 || r.Status > 999 {
		return nil, ErrHead
	}
	return r, nil
}

// decoder reads a text. When something is wrong it is bad, has nothing left, and gives zeros.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) fail() { d.rest, d.bad = "", true }

func (d *decoder) uvarint() (v uint64) {
	for i := range min(len(d.rest), binary.MaxVarintLen64) {
		c := d.rest[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			return v
		}
	}
	d.fail()
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count is the number of things of which each takes a byte at least.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.rest)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	n := d.count()
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

func (d *decoder) strings() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	all := make([]string, 0, n)
	for range n {
		all = append(all, d.string())
	}
	return all
}

func (d *decoder) fields() Fields {
	n := d.count()
	if 2*n > len(d.rest) {
		d.fail()
	}
	if n == 0 || d.bad {
		return Fields{}
	}
	both := make([]string, 2*n)
	names, values := both[:n:n], both[n:]
	for i := range n {
		names[i], values[i] = d.string(), d.string()
	}
	if !slices.IsSorted(names) {
		d.fail()
	}
	return FieldsOf(names, values)
}

func (d *decoder) time() time.Time {
	n := d.varint()
	if n == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

func (d *decoder) bool() bool {
	if d.rest == "" || d.rest[0] > 1 {
		d.fail()
		return false
	}
	b := d.rest[0] == 1
	d.rest = d.rest[1:]
	return b
}
