package disk

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

// A file of an object is
//
//	prefix   16 bytes: magic, and the object's id
//	blocks   of the body: up to 64 KiB each, with a sum of 8 bytes behind each
//	head     as stored.AppendHead has it
//	footer   64 bytes: lengths, the id again, the epoch, and a sum of head and footer
//
// It is never changed once it has its name. An update of a large object's head is a file beside it, which is the same without blocks.
// All numbers are little-endian.
const (
	prefixSize = 16
	blockSize  = 64 << 10
	sumSize    = 8
	footerSize = 64

	magicObject = "CardeaC\x01" // the last byte is the version
	magicHead   = "CardeaH\x01"
	magicEnd    = "CardeaE\x01"
)

// footer says what is in a file.
type footer struct {
	head  uint32 // the length of the head
	size  int64  // the length of the body
	id    uint64 // of the object, by chance
	epoch uint64 // of the directory, see marks
}

var errDamaged = errors.New("the file is damaged")

func appendPrefix(b []byte, magic string, id uint64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, magic...), id)
}

// appendFooter adds the footer to what ends with the head.
func appendFooter(b []byte, f footer) []byte {
	from := len(b) - int(f.head)
	b = append(b, magicEnd...)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.head))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.size))
	b = binary.LittleEndian.AppendUint64(b, f.id)
	b = binary.LittleEndian.AppendUint64(b, f.epoch)
	b = append(b, make([]byte, footerSize-sumSize-40)...)
	return binary.LittleEndian.AppendUint64(b, blockSum(b[from:], f.id, headIndex))
}

// headIndex is the number that a head has among the blocks' sums.
const headIndex = -1

// parseFooter reads the footer at the end of b. The head's sum is not looked at.
func parseFooter(b []byte) (f footer, err error) {
	if len(b) < footerSize {
		return f, errDamaged
	}
	b = b[len(b)-footerSize:]
	head := binary.LittleEndian.Uint64(b[8:])
	size := binary.LittleEndian.Uint64(b[16:])
	if string(b[:8]) != magicEnd || head > maxHead || size > maxSize {
		return f, errDamaged
	}
	f = footer{head: uint32(head), size: int64(size), id: binary.LittleEndian.Uint64(b[24:]), epoch: binary.LittleEndian.Uint64(b[32:])}
	return f, nil
}

// maxHead is the largest head that is kept.
const maxHead = 1 << 20

// maxSize is the largest body.
const maxSize = 1 << 46

// checkHead returns the head at the end of b, which ends with the footer, when it is whole.
func checkHead(b []byte, f footer) ([]byte, error) {
	n := int(f.head) + footerSize
	if len(b) < n {
		return nil, errDamaged
	}
	b = b[len(b)-n:]
	if binary.LittleEndian.Uint64(b[n-sumSize:]) != blockSum(b[:n-sumSize], f.id, headIndex) {
		return nil, errDamaged
	}
	return b[:f.head], nil
}

// checkPrefix says whether a file begins as the object with an id does.
func checkPrefix(b []byte, magic string, id uint64) bool {
	return len(b) >= prefixSize && string(b[:8]) == magic && binary.LittleEndian.Uint64(b[8:]) == id
}

// blockSum is the sum of a block's bytes, its place, and whose it is: a block of another object, or from elsewhere in this one, is as wrong as one with other bytes.
func blockSum(b []byte, id uint64, index int64) uint64 {
	x := id + uint64(index+2)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return xxhash.Sum64(b) ^ x ^ x>>31
}

// appendBlock adds a block and its sum.
func appendBlock(b, block []byte, id uint64, index int64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, block...), blockSum(block, id, index))
}

// checkBlock returns the bytes of a block, when they are what was written.
func checkBlock(b []byte, id uint64, index int64) ([]byte, error) {
	n := len(b) - sumSize
	if n < 0 || binary.LittleEndian.Uint64(b[n:]) != blockSum(b[:n], id, index) {
		return nil, errDamaged
	}
	return b[:n], nil
}

// blockOffset is where a block begins in the file.
func blockOffset(index int64) int64 { return prefixSize + index*(blockSize+sumSize) }

// bodyEnd is where the blocks of a body end in the file.
func bodyEnd(size int64) int64 {
	return prefixSize + size + (size+blockSize-1)/blockSize*sumSize
}

// fileSize is how long a file with this footer is.
func (f footer) fileSize() int64 { return bodyEnd(f.size) + int64(f.head) + footerSize }
