package compress

import (
	"net/http"
	"strconv"

	"cardea.dev/cardea/filter"
)

// form collects an encoded body while a client reads it, for the clients to come.
type form struct {
	of     filter.EncodedForms
	coding string
	length int64 // of the body before it is encoded
	most   int64 // that is kept of the form
	blocks [][]byte
	size   int64
}

const (
	firstBlock = 4 << 10
	nextBlock  = 16 << 10
)

// newForm returns what collects a body's form, or nil if that would not be kept.
func newForm(resp *http.Response, coding string) *form {
	of, ok := resp.Body.(filter.EncodedForms)
	if !ok || resp.ContentLength < 0 {
		return nil
	}
	most := of.MostEncoded()
	if most <= 0 {
		return nil
	}
	return &form{of: of, coding: coding, length: resp.ContentLength, most: most}
}

// add takes what the encoder gave. It returns false when that is more than is kept.
func (f *form) add(b []byte) bool {
	f.size += int64(len(b))
	if f.size > f.most {
		return false
	}
	for len(b) > 0 {
		last := len(f.blocks) - 1
		if last < 0 || len(f.blocks[last]) == cap(f.blocks[last]) {
			f.blocks = append(f.blocks, make([]byte, 0, f.next()))
			last++
		}
		room := f.blocks[last]
		n := min(len(b), cap(room)-len(room))
		f.blocks[last] = append(room, b[:n]...)
		b = b[n:]
	}
	return true
}

// next is how large the next block is.
func (f *form) next() int64 {
	if len(f.blocks) == 0 {
		return min(firstBlock, f.length)
	}
	return nextBlock
}

// keep has the form kept, if all of the body is in it. The last block is made to fit where more than a quarter of it is not used.
func (f *form) keep(read int64) {
	if read != f.length {
		return
	}
	if last := len(f.blocks) - 1; last >= 0 {
		if b := f.blocks[last]; cap(b)-len(b) > cap(b)/4 {
			f.blocks[last] = append(make([]byte, 0, len(b)), b...)
		}
	}
	f.of.KeepEncoded(f.coding, f.blocks)
}

// takeKept gives a response the form of its body that is kept, if there is one.
func (c *coding) takeKept(resp *http.Response) bool {
	of, ok := resp.Body.(filter.EncodedForms)
	if !ok {
		return false
	}
	body, length, ok := of.Encoded(c.name)
	if !ok {
		return false
	}
	_ = resp.Body.Close()
	resp.Body, resp.ContentLength = body, length
	resp.Header["Content-Length"] = []string{strconv.FormatInt(length, 10)}
	c.kept.Inc()
	return true
}
