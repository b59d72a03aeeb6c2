package memory_test

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/stored"
)

func open(t *testing.T, b stored.Body) stored.Reader {
	t.Helper()
	r, err := b.Open()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestBody(t *testing.T) {
	text := []byte("Veni, vidi, vici: I came, I saw, I conquered.")
	for _, ends := range [][]int{{}, {len(text)}, {0, len(text)}, {1, 2, 2, 20, len(text)}, {22, len(text) - 1, len(text)}} {
		var blocks [][]byte
		at := 0
		for _, end := range ends {
			blocks = append(blocks, bytes.Clone(text[at:end]))
			at = end
		}
		want := text[:at]
		b := memory.NewBody(blocks)
		if err := iotest.TestReader(open(t, b), want); err != nil {
			t.Errorf("%v: %v", ends, err)
		}
		for from := range want {
			for to := from; to <= len(want); to++ {
				got, err := io.ReadAll(io.NewSectionReader(open(t, b), int64(from), int64(to-from)))
				if err != nil || !bytes.Equal(got, want[from:to]) {
					t.Fatalf("%v: %d to %d: got %q, %v", ends, from, to, got, err)
				}
			}
		}
		r := open(t, b)
		head := make([]byte, min(3, len(want)))
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		if n := r.(interface{ Buffered() int }).Buffered(); n != len(want)-len(head) {
			t.Errorf("%v: %d are buffered", ends, n)
		}
		var rest bytes.Buffer
		if n, err := r.(io.WriterTo).WriteTo(&rest); err != nil || n != int64(rest.Len()) || !bytes.Equal(rest.Bytes(), want[len(head):]) {
			t.Errorf("%v: wrote %q, %v", ends, rest.Bytes(), err)
		}
		if n := r.(interface{ Buffered() int }).Buffered(); n != 0 {
			t.Errorf("%v: %d are buffered at the end", ends, n)
		}
		if n, err := r.ReadAt(head, -1); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%v: read before the beginning: %d, %v", ends, n, err)
		}
	}
}

// short takes so many bytes and fails.
type short int

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), int(*s))
	*s -= short(n)
	if n < len(p) {
		return n, io.ErrClosedPipe
	}
	return n, nil
}

// TestWriteFails sees to it that a reader goes on where its last writer stopped.
func TestWriteFails(t *testing.T) {
	for _, blocks := range [][][]byte{{[]byte("abcdef")}, {[]byte("ab"), []byte("cdef")}} {
		for stop := range 6 {
			r := open(t, memory.NewBody(blocks))
			w := short(stop)
			if n, err := r.(io.WriterTo).WriteTo(&w); n != int64(stop) || err != io.ErrClosedPipe {
				t.Errorf("%d: wrote %d, %v", stop, n, err)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != "abcdef"[stop:] {
				t.Errorf("%d: got %q, %v", stop, rest, err)
			}
		}
	}
}

func TestOpenAllocates(t *testing.T) {
	for _, blocks := range [][][]byte{{[]byte("abcdef")}, {[]byte("ab"), []byte("cdef")}} {
		b := memory.NewBody(blocks)
		if n := testing.AllocsPerRun(100, func() {
			r, _ := b.Open()
			if _, err := r.(io.WriterTo).WriteTo(io.Discard); err != nil {
				t.Error(err)
			}
		}); n > 1 {
			t.Errorf("reading allocates %v times", n)
		}
	}
}
