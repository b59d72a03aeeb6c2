package transform

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// hold reads a body whole, if it has no more than max bytes. If not, it is not held: body is as it came.
func hold(body io.ReadCloser, length, max int64) (held []byte, rest io.ReadCloser, err error) {
	if length > max {
		return nil, body, tooLong(max)
	}
	if length > 0 {
		held = make([]byte, length)
		n, err := io.ReadFull(body, held)
		if err != nil {
			return nil, body, err
		}
		return held[:n], body, nil
	}
	held, err = io.ReadAll(io.LimitReader(body, max+1))
	if err == nil && int64(len(held)) > max {
		return nil, &joined{io.MultiReader(bytes.NewReader(held), body), body}, tooLong(max)
	}
	return held, body, err
}

// joined is a body of which the beginning has been read.
type joined struct {
	io.Reader
	io.Closer
}

// flow is a body that is transformed while it passes.
type flow struct {
	src     io.ReadCloser
	s       *stream
	head    []byte // was read before
	headErr error  // came with it
	way     *way
	trailer func() http.Header // of the message; filled once the source has ended
	wrap    func(error) error  // makes an answer of what is wrong
	wrote   int

	mu    sync.Mutex // Close may come while Read waits
	ended error
	gone  atomic.Bool // nobody will read any more
}

// begin reads until there is something to pass on.
func (f *flow) begin() error {
	buf := make([]byte, 4<<10)
	n, err := f.s.Read(buf)
	for n == 0 && err == nil {
		n, err = f.s.Read(buf)
	}
	if n == 0 && err != io.EOF {
		return err
	}
	f.head, f.headErr = buf[:n], err
	return nil
}

// Read returns what has been transformed.
func (f *flow) Read(p []byte) (int, error) {
	n, err := f.next(p)
	if f.gone.Load() {
		f.release()
	}
	return n, err
}

// release ends the converters once nobody reads any more, for those who never close a body. It does not wait: a Read that is under way does it
// when it returns.
func (f *flow) release() {
	f.gone.Store(true)
	if !f.mu.TryLock() {
		return
	}
	defer f.mu.Unlock()
	f.s.close()
	if f.ended == nil {
		f.ended = http.ErrBodyReadAfterClose
	}
}

func (f *flow) next(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != nil {
		return 0, f.ended
	}
	n, err := f.read(p)
	f.wrote += n
	if err != nil {
		f.end(err)
		return n, f.ended
	}
	return n, nil
}

func (f *flow) read(p []byte) (int, error) {
	if len(f.head) > 0 {
		n := copy(p, f.head)
		f.head = f.head[n:]
		return n, nil
	}
	if f.headErr != nil {
		return 0, f.headErr
	}
	return f.s.Read(p)
}

// end notes how the body ended.
func (f *flow) end(err error) {
	if err == io.EOF {
		forgetDigests(f.trailer())
		f.way.done(int(f.s.read), f.wrote)
		f.ended = err
		return
	}
	f.way.failed.Inc()
	f.ended = f.wrap(err)
}

// Close ends the converters and closes the source.
func (f *flow) Close() error {
	err := f.src.Close() // first: a Read that waits for it returns
	f.mu.Lock()
	defer f.mu.Unlock()
	f.s.close()
	if f.ended == nil {
		f.ended = http.ErrBodyReadAfterClose
	}
	return err
}

// forgetDigests takes digests of the bytes as they were out of trailers.
func forgetDigests(h http.Header) {
	for _, name := range [...]string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(h, name)
	}
}
