package http1

import (
	"bytes"
	"io"
	"testing"

	"cardea.dev/cardea/internal/http1/http1test"
)

func TestBufferedBody(t *testing.T) {
	l := Limits{}.OrDefaults()
	for _, test := range []struct {
		framing Framing
		length  int64
		in      string
		want    int
	}{
		{Fixed, 5, "abc", 3},
		{Fixed, 2, "abc", 2},
		{UntilClose, -1, "abc", 3},
		{NoBody, 0, "abc", 0},
		{Chunked, -1, "3\r\nab", 2},
		{Chunked, -1, "2\r\nab\r\n", 2},
		{Chunked, -1, "0\r\n\r\n", 0},
		{Chunked, -1, "3", 0},
		{Chunked, -1, "x\r\nabc", 0},
	} {
		var r Reader
		r.Attach(bytes.NewReader(nil))
		r.Feed([]byte(test.in))
		var b BodyReader
		b.Begin(&r, test.framing, test.length, &l)
		if got := b.Buffered(); got != test.want {
			t.Errorf("%v %q: %d, want %d", test.framing, test.in, got, test.want)
		}
	}
}

// TestBodyOfLargeChunks reads chunks that go far beyond the buffer, which are read past it.
func TestBodyOfLargeChunks(t *testing.T) {
	l := Limits{}.OrDefaults()
	data := bytes.Repeat([]byte("0123456789"), 20000)
	var in []byte
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)/3)
		in = append(append(AppendChunkSize(in, n), rest[:n]...), crlf...)
		rest = rest[n:]
	}
	in = append(in, "0\r\n\r\nrest"...)
	for _, size := range []int{1 << 20, 5000, 100, 1} {
		var r Reader
		r.Attach(&http1test.Pieces{Data: in, Size: size})
		var b BodyReader
		b.Begin(&r, Chunked, -1, &l)
		got, err := io.ReadAll(&b)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("pieces of %d: %d bytes, %v", size, len(got), err)
		}
		if rest, _ := io.ReadAll(&r); string(rest) != "rest" {
			t.Errorf("pieces of %d: %q is left", size, rest)
		}
		r.Drop()
	}
}
