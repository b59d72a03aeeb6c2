package disk

import (
	"bytes"
	"math"
	"testing"

	"cardea.dev/cardea/internal/stored"
)

// FuzzFile: whatever is in an object's file, a store is not led astray. Sums are made right, so that what is behind them is reached.
func FuzzFile(f *testing.F) {
	head := stored.AppendHead(nil, response("k", 5))
	f.Add(head, []byte("hello"), uint32(len(head)), int64(5), false)
	f.Add(head, []byte{}, uint32(len(head)), int64(-1), false)
	f.Add(head, []byte("hello"), uint32(math.MaxUint32), int64(math.MaxInt64), true)
	f.Fuzz(func(t *testing.T, head, content []byte, length uint32, size int64, raw bool) {
		file := appendPrefix(nil, magicObject, 9)
		if len(content) > 0 {
			file = appendBlock(file, content, 9, 0)
		}
		file = append(file, head...)
		if !raw {
			file = appendFooter(file, footer{head: uint32(len(head)), size: size, id: 9})
		}
		parsed, err := parseFooter(file)
		if err != nil {
			return
		}
		if got := parsed.fileSize(); got < footerSize {
			t.Fatalf("a file of %d bytes", got)
		}
		if parsed.fileSize() != int64(len(file)) {
			return
		}
		if h, err := checkHead(file, parsed); err == nil && !bytes.Equal(h, head) {
			t.Fatal("another head")
		}
		_, _ = headOf(file, parsed)
	})
}
