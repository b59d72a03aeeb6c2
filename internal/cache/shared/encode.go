package shared

import (
	"encoding/binary"
	"errors"

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
	magic     = "CdS\x02"
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
	b = stored.AppendHead(b, r)
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
	r, err := stored.ReadHead(string(b[frameSize : frameSize+f.head]))
	if err != nil {
		return nil, nil, f, errBroken
	}
	r.Size = f.body
	return r, body, f, nil
}
