package pool

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"cardea.dev/cardea/internal/http1/client"
)

// upload is the body of a request on its way to an endpoint. The HTTP library waits for a Read of the body to return before it
// says that a request has failed, and a client may leave it waiting for long. So the client is read from by a goroutine, and
// Read returns once the exchange is over, whatever the client does.
type upload struct {
	a   *attempt
	src io.Reader

	touched atomic.Bool // src has been read from
	waiting atomic.Bool // for the client
	want    chan struct{}
	got     chan chunk
	done    chan struct{}
	once    sync.Once
	rest    []byte
	end     error // after rest
	total   int64 // read of the client; the goroutine's own

	mu  sync.Mutex
	err error // of src, io.EOF apart
}

type chunk struct {
	data []byte
	err  error
}

const chunkSize = 32 << 10

var (
	errUploadOver = errors.New("the exchange is over")
	errLonger     = client.ErrBodyTooLong
)

func newUpload(a *attempt, src io.Reader) *upload {
	u := &upload{a: a, src: src, want: make(chan struct{}), got: make(chan chunk, 1), done: make(chan struct{})}
	if a.idle != nil {
		a.idle.uploading()
	}
	return u
}

// Read returns what the client sends. Only the HTTP library calls it, one call at a time.
func (u *upload) Read(p []byte) (int, error) {
	if len(u.rest) == 0 && u.end == nil {
		if err := u.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	if len(u.rest) == 0 && u.end != nil {
		if u.a.idle != nil {
			u.a.idle.uploaded()
		}
		return n, u.end
	}
	return n, nil
}

// count holds the client to the length it announced.
func (u *upload) count(n int, err error) error {
	u.total += int64(n)
	announced := u.a.length
	switch {
	case announced > 0 && u.total > announced:
		err = errLonger
	case announced > 0 && err == io.EOF && u.total < announced:
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}
	return err
}

// fetch gets the next chunk of the client.
func (u *upload) fetch() error {
	select {
	case <-u.done:
		return errUploadOver
	default:
	}
	if u.touched.CompareAndSwap(false, true) {
		go u.pump() // ends with src, or after its current Read once the upload is closed
	}
	u.waiting.Store(true)
	select {
	case u.want <- struct{}{}:
	case <-u.done:
		return errUploadOver
	}
	select {
	case c := <-u.got:
		u.waiting.Store(false)
		u.rest, u.end = c.data, c.err
		if u.a.idle != nil {
			u.a.idle.touch()
		}
		return nil
	case <-u.done:
	case <-u.a.grant.c.done:
	case <-u.a.ctx.Done():
	}
	u.Close()
	return errUploadOver
}

// pump reads the client, a chunk for each want. The chunk is the reader's until the next want.
func (u *upload) pump() {
	buf := make([]byte, u.size())
	for {
		select {
		case <-u.want:
		case <-u.done:
			return
		}
		n, err := u.src.Read(buf)
		err = u.count(n, err)
		u.got <- chunk{buf[:n], err}
		if err != nil {
			return
		}
	}
}

func (u *upload) size() int {
	if n := u.a.length; n > 0 && n < chunkSize {
		return int(n) + 1 // with room to see the end
	}
	return chunkSize
}

// Close ends the upload, not the client's body. The HTTP library calls it when it wants no more.
func (u *upload) Close() error {
	u.once.Do(func() { close(u.done) })
	return nil
}

// failed returns the error of reading the client, if that is what ended the upload.
func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
