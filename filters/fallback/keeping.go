package fallback

import (
	"context"
	"io"
	"net/http"
	"slices"
	"time"

	"cardea.dev/cardea/internal/stored"
)

// keeping is a body that is kept while it is read. Only a whole one is stored.
type keeping struct {
	io.ReadCloser
	good   *lastGood
	resp   *http.Response // its trailers come after its body
	answer *stored.Response
	names  []string
	client http.Header
	length int64 // -1: not known
	blocks [][]byte
	size   int64
	done   bool
}

// Read reads on, and stores the answer at the end.
func (k *keeping) Read(p []byte) (int, error) {
	n, err := k.ReadCloser.Read(p)
	if k.done {
		return n, err
	}
	k.take(p[:n])
	switch {
	case k.done:
	case err == io.EOF && len(k.resp.Trailer) > 0:
		k.giveUp()
	case err == io.EOF, err == nil && k.size == k.length && k.resp.ProtoMajor < 2: // trailers of HTTP/2 may come after a known length, too
		k.commit()
	case err != nil:
		k.giveUp()
	}
	return n, err
}

// take copies what was read.
func (k *keeping) take(p []byte) {
	k.size += int64(len(p))
	if k.size > k.good.maxObject || k.length >= 0 && k.size > k.length {
		k.giveUp()
		return
	}
	for len(p) > 0 {
		last := len(k.blocks) - 1
		if last < 0 || len(k.blocks[last]) == cap(k.blocks[last]) {
			k.blocks = append(k.blocks, make([]byte, 0, k.next(len(p))))
			last++
		}
		b := k.blocks[last]
		n := copy(b[len(b):cap(b)], p)
		k.blocks[last], p = b[:len(b)+n], p[n:]
	}
}

// next is how large the next block is.
func (k *keeping) next(n int) int {
	if k.length >= 0 {
		return int(min(k.length-k.size+int64(n), 64<<10))
	}
	return min(max(n, 4<<10), 64<<10)
}

func (k *keeping) giveUp() { k.done, k.blocks = true, nil }

// Buffered says how many bytes can be read without waiting, at least.
func (k *keeping) Buffered() int {
	if b, ok := k.ReadCloser.(interface{ Buffered() int }); ok {
		return b.Buffered()
	}
	return 0
}

// commit stores the answer, if the body is whole.
func (k *keeping) commit() {
	blocks := k.blocks
	k.giveUp()
	if k.length >= 0 && k.size != k.length {
		return
	}
	if n := len(blocks); n > 0 {
		blocks[n-1] = slices.Clip(blocks[n-1])
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r := *k.answer
	r.Size = k.size
	w := k.good.cache.Begin(ctx, &r, k.names, k.client)
	defer w.Close()
	defer w.End()
	if store := w.Store(); store != nil {
		for _, b := range blocks {
			if _, err := store.Write(b); err != nil {
				break
			}
		}
	}
	w.Commit(&r, blocks, r.Size <= w.Memory())
}
