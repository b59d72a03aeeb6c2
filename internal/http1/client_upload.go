package http1

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// upload sends the body of a request that is not there all at once. A goroutine does that, as the answer may come before its end. It
// ends with the body, or when the exchange is over; if the body makes it wait then, after that.
type upload struct {
	x       *trip
	src     io.ReadCloser
	length  int64 // -1: not known
	trailer *http.Header
	memory  bool // src is in memory, and is to be closed
	touched bool // src is read from

	waiting atomic.Bool   // for src
	moved   atomic.Int64  // when a byte moved last, since the trip's start
	over    atomic.Bool   // the exchange is: src must not be read any more
	state   atomic.Uint32 // uploading, …
	done    chan struct{} // closed when nothing will be sent any more

	mu  sync.Mutex
	err error // of src, io.EOF apart
}

// The states of an upload.
const (
	uploading  uint32 = iota
	uploadLast        // the last of it is being sent
	uploaded          // all of it was sent
	uploadOff         // it was broken off
)

func newUpload(x *trip, req *http.Request, length int64) *upload {
	x.inMemory = req.GetBody != nil
	return &upload{
		x: x, src: req.Body, length: length, trailer: &req.Trailer, memory: x.inMemory,
		done: make(chan struct{}),
	}
}

// begin starts the goroutine.
func (u *upload) begin() {
	u.x.disarmWrite()
	u.touched = true
	u.move()
	go u.run()
}

func (u *upload) move() { u.moved.Store(int64(time.Since(u.x.start))) }

// lastMove is when a byte moved last; at the end, when that was.
func (u *upload) lastMove() time.Time { return u.x.start.Add(time.Duration(u.moved.Load())) }

// finished says whether nothing more will be sent.
func (u *upload) finished() bool { return u.state.Load() >= uploaded }

// failed returns the error of reading the body, if that is what ended the upload.
func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// lastWait is how long the end of an upload is waited for when the answer to it has come already.
const lastWait = 50 * time.Millisecond

// completed says whether all was sent. If the last of it is on its way, it waits.
func (u *upload) completed() bool {
	if u.state.Load() == uploadLast {
		t := time.NewTimer(lastWait)
		defer t.Stop()
		select {
		case <-u.done:
		case <-t.C:
		}
	}
	if u.state.Load() != uploaded {
		return false
	}
	<-u.done
	return true
}

func (u *upload) run() {
	buf := bigBuffers.Get().(*[bigBuffer]byte)
	end := u.copy(buf)
	bigBuffers.Put(buf)
	if u.memory {
		_ = u.src.Close()
	}
	u.move()
	u.state.Store(end)
	// Who waits for the answer has another limit from now on.
	if o := &u.x.c.o; o.FirstByte > 0 && !u.over.Load() {
		_ = u.x.c.nc.SetReadDeadline(fired)
	}
	close(u.done)
}

// chunkRoom is kept free before the data of a chunk, for its size, and after it, for its end.
const chunkRoom = 8

// copy sends the body piece by piece. It returns the state that it ends in.
func (u *upload) copy(buf *[bigBuffer]byte) uint32 {
	total := int64(0)
	for {
		n, err := u.read(buf[chunkRoom : bigBuffer-chunkRoom])
		if u.over.Load() {
			return uploadOff
		}
		total += int64(n)
		if u.length >= 0 && total > u.length {
			err = errLonger
		} else if err == io.EOF && total < u.length {
			err = io.ErrUnexpectedEOF
		}
		if err != nil && err != io.EOF {
			return u.giveUp(err)
		}
		if err == io.EOF || total == u.length {
			u.state.Store(uploadLast)
		}
		p, bad := u.piece(buf, n, err == io.EOF)
		if bad != nil {
			return u.giveUp(bad)
		}
		if len(p) > 0 {
			if _, werr := u.x.c.write(p); werr != nil {
				return uploadOff // who reads the answer finds out what the endpoint had to say
			}
		}
		u.move()
		if err == io.EOF {
			return uploaded
		}
	}
}

// read reads the body.
func (u *upload) read(p []byte) (int, error) {
	u.waiting.Store(true)
	defer u.waiting.Store(false)
	for range 100 {
		if n, err := u.src.Read(p); n > 0 || err != nil {
			return n, err
		}
		if u.over.Load() {
			return 0, nil
		}
	}
	return 0, io.ErrNoProgress
}

// piece makes what is sent of n bytes in buf.
func (u *upload) piece(buf *[bigBuffer]byte, n int, last bool) ([]byte, error) {
	start, end := chunkRoom, chunkRoom+n
	if u.length >= 0 {
		return buf[start:end], nil
	}
	if n > 0 {
		var line [chunkRoom]byte
		size := appendChunkSize(line[:0], n)
		start -= len(size)
		copy(buf[start:], size)
		end += copy(buf[end:], crlf)
	} else {
		start, end = 0, 0
	}
	if !last {
		return buf[start:end], nil
	}
	return appendTrailer(buf[start:end:bigBuffer], *u.trailer)
}

// giveUp breaks the exchange off, as the request cannot be completed.
func (u *upload) giveUp(err error) uint32 {
	u.mu.Lock()
	u.err = err
	u.mu.Unlock()
	u.x.c.abort()
	return uploadOff
}
