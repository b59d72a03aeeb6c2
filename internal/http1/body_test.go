package http1

import (
	"bytes"
	"io"
	"testing"
)

func TestBufferedBody(t *testing.T) {
	l := limits{}.orDefaults()
	for _, test := range []struct {
		framing framing
		length  int64
		in      string
		want    int
	}{
		{fixed, 5, "abc", 3},
		{fixed, 2, "abc", 2},
		{untilClose, -1, "abc", 3},
		{noBody, 0, "abc", 0},
		{chunked, -1, "3\r\nab", 2},
		{chunked, -1, "2\r\nab\r\n", 2},
		{chunked, -1, "0\r\n\r\n", 0},
		{chunked, -1, "3", 0},
		{chunked, -1, "x\r\nabc", 0},
	} {
		var r reader
		r.attach(bytes.NewReader(nil))
		r.feed([]byte(test.in))
		var b bodyReader
		b.begin(&r, test.framing, test.length, &l)
		if got := b.buffered(); got != test.want {
			t.Errorf("%v %q: %d, want %d", test.framing, test.in, got, test.want)
		}
	}
}

// TestBodyOfLargeChunks reads chunks that go far beyond the buffer, which are read past it.
func TestBodyOfLargeChunks(t *testing.T) {
	l := limits{}.orDefaults()
	data := bytes.Repeat([]byte("0123456789"), 20000)
	var in []byte
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)/3)
		in = append(append(appendChunkSize(in, n), rest[:n]...), crlf...)
		rest = rest[n:]
	}
	in = append(in, "0\r\n\r\nrest"...)
	for _, size := range []int{1 << 20, 5000, 100, 1} {
		var r reader
		r.attach(&pieces{in, size})
		var b bodyReader
		b.begin(&r, chunked, -1, &l)
		got, err := io.ReadAll(&b)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("pieces of %d: %d bytes, %v", size, len(got), err)
		}
		if rest, _ := io.ReadAll(&r); string(rest) != "rest" {
			t.Errorf("pieces of %d: %q is left", size, rest)
		}
		r.drop()
	}
}
