package disk

import (
	"bytes"
	"math"
	"testing"
	"time"

	"cardea.dev/cardea/internal/stored"
)

func TestHeads(t *testing.T) {
	extreme := response("x", 0)
	extreme.Terms.Lifetime, extreme.Terms.InitialAge, extreme.Seq = math.MaxInt64, math.MinInt64, math.MaxUint64
	extreme.Received, extreme.Requested = time.Time{}, time.Unix(-5, 7)
	for _, r := range []*stored.Response{
		{Key: "k"},
		response("k", 0), extreme,
		{Key: "m", Marker: true, Varies: [][]string{{"Accept", "Accept-Encoding"}, {}, {"Cookie"}}},
	} {
		encoded := appendHead(nil, r)
		got, err := decodeHead(string(encoded))
		if err != nil {
			t.Fatal(err)
		}
		if d := same(got, r); d != "" {
			t.Error(d)
		}
		for n := range encoded {
			if _, err := decodeHead(string(encoded[:n])); err == nil {
				t.Errorf("%d of %d bytes are a head", n, len(encoded))
			}
		}
	}
}

func FuzzHead(f *testing.F) {
	f.Add(appendHead(nil, response("k", 5)))
	f.Add(appendHead(nil, &stored.Response{Key: "m", Marker: true, Varies: [][]string{{"Accept", "Accept-Encoding"}, {"Cookie"}}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeHead(string(b))
		if err != nil {
			return
		}
		again, err := decodeHead(string(appendHead(nil, r)))
		if err != nil {
			t.Fatal(err)
		}
		if d := same(again, r); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzFile: whatever is in an object's file, a store is not led astray. Sums are made right, so that what is behind them is reached.
func FuzzFile(f *testing.F) {
	head := appendHead(nil, response("k", 5))
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
