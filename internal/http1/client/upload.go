package client

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1"
)

// upload sends the body of a request. What is there of it is sent at once, as long as the endpoint takes it without waiting. A goroutine
// sends the rest, as the answer may come before its end. It ends with the body, or when the exchange is over; if the body makes it
// wait then, after that.
type upload struct {
	x       *trip
	src     io.ReadCloser
	length  int64 // -1: not known
	trailer *http.Header
	memory  bool // src is in memory, and is to be closed
	touched bool // src is read from

	buf   []byte // what pieces are made in: one of the next
	huge  *[hugeBuffer]byte
	big   *[http1.BigBuffer]byte
	small *[http1.SmallBuffer]byte
	full  bool   // the last piece filled it
	total int64  // bytes of the body so far
	rest  []byte // in buf, to be sent before more is read
	last  bool   // rest is the last

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
	}
}

// begin starts the goroutine.
func (u *upload) begin() {
	u.x.disarmWrite()
	u.touched, u.done = true, make(chan struct{})
	u.move()
	go u.run()
}

// eagerly is up to how much of a body is sent at once. After that somebody has to see whether the answer has begun.
const eagerly = 256 << 10

// sendReady sends the head of the request and what is there of the body, as far as neither makes it wait. It says whether that was
// all.
func (u *upload) sendReady(head []byte) (all bool, err *Error) {
	x := u.x
	u.huge, u.touched = hugeBuffers.Get().(*[hugeBuffer]byte), true
	u.buf = u.huge[:]
	for u.total < eagerly && len(u.rest) == 0 && !u.last {
		if failed := u.fill(u.readReady); failed != nil {
			u.close()
			return false, x.fail(WritePhase, u.giveUp(failed))
		}
		if len(u.rest) == 0 && !u.last {
			break // nothing is there
		}
		n := x.c.direct.WriteSomeOf([][]byte{head, u.rest})
		x.sent = x.sent || n > 0
		ofHead := min(n, len(head))
		head, u.rest = head[ofHead:], u.rest[n-ofHead:]
		if len(head) > 0 {
			break
		}
	}
	if len(head) > 0 {
		if err := x.write(head); err != nil || x.partly {
			u.close()
			return false, err
		}
	}
	x.since = x.c.now()
	if !u.last || len(u.rest) > 0 {
		return false, nil
	}
	u.close()
	return true, nil
}

// readReady reads what is there.
func (u *upload) readReady(p []byte) (int, error) {
	if u.memory {
		return u.src.Read(p)
	}
	if there, ok := u.src.(interface{ ReadReady([]byte) (int, error) }); ok {
		return there.ReadReady(p)
	}
	return 0, nil
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
	if len(u.rest) == 0 { // or it is in the buffer
		u.end()
		u.small = http1.TakeSmall()
		u.buf = u.small[:]
	}
	end := u.copy()
	u.close()
	u.move()
	u.state.Store(end)
	// Who waits for the answer has another limit from now on.
	if o := &u.x.c.o; o.FirstByte > 0 && !u.over.Load() {
		_ = u.x.c.nc.SetReadDeadline(fired)
	}
	close(u.done)
}

// hugeBuffer is for what is sent at once: few calls for many bytes. What has to be waited for comes in smaller pieces.
const hugeBuffer = 64<<10 + 2*chunkRoom

var hugeBuffers = sync.Pool{New: func() any { return new([hugeBuffer]byte) }}

// end gives the buffer back.
func (u *upload) end() {
	if u.huge != nil {
		hugeBuffers.Put(u.huge)
	}
	http1.Recycle(u.small, u.big)
	u.huge, u.big, u.small, u.buf, u.rest = nil, nil, nil, nil, nil
}

// chunkRoom is kept free before the data of a chunk, for its size, and after it, for its end.
const chunkRoom = 8

// copy sends the body piece by piece. It returns the state that it ends in.
func (u *upload) copy() uint32 {
	for {
		if len(u.rest) == 0 && !u.last {
			if u.full && u.small != nil { // more comes at a time than a slow client sends
				u.end()
				u.big = http1.TakeBig()
				u.buf = u.big[:]
			}
			err := u.fill(u.read)
			if u.over.Load() {
				return uploadOff
			}
			if err != nil {
				_ = u.giveUp(err)
				return uploadOff
			}
		}
		if u.last || u.total == u.length {
			u.state.Store(uploadLast)
		}
		if len(u.rest) > 0 {
			if _, werr := u.x.c.write(u.rest); werr != nil {
				return uploadOff // who reads the answer finds out what the endpoint had to say
			}
		}
		u.rest = nil
		u.move()
		if u.last {
			return uploaded
		}
	}
}

// fill reads a piece of the body and makes of it what is sent.
func (u *upload) fill(read func([]byte) (int, error)) error {
	room := u.buf[chunkRoom : len(u.buf)-chunkRoom]
	n, err := read(room)
	for m := n; m > 0 && err == nil && n < len(room) && u.total+int64(n) != u.length; n += m { // what is there too
		m, err = u.readReady(room[n:])
	}
	u.total, u.full = u.total+int64(n), n == len(room)
	switch {
	case u.length >= 0 && u.total > u.length:
		return errLonger
	case err == io.EOF && u.total < u.length:
		return io.ErrUnexpectedEOF
	case err != nil && err != io.EOF:
		return err
	}
	u.last = err == io.EOF
	u.rest, err = u.piece(n, u.last)
	return err
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

// piece makes what is sent of n bytes in the buffer.
func (u *upload) piece(n int, last bool) ([]byte, error) {
	buf := u.buf
	start, end := chunkRoom, chunkRoom+n
	if u.length >= 0 {
		return buf[start:end], nil
	}
	if n > 0 {
		var line [chunkRoom]byte
		size := http1.AppendChunkSize(line[:0], n)
		start -= len(size)
		copy(buf[start:], size)
		end += copy(buf[end:], "\r\n")
	} else {
		start, end = 0, 0
	}
	if !last {
		return buf[start:end], nil
	}
	return appendTrailer(buf[start:end:len(buf)], *u.trailer)
}

// close gives the buffer back, and a body in memory up: nothing more will be sent.
func (u *upload) close() {
	u.end()
	if u.memory {
		_ = u.src.Close()
	}
}

// giveUp breaks the exchange off, as the request cannot be completed. It returns why.
func (u *upload) giveUp(err error) error {
	u.mu.Lock()
	u.err = err
	u.mu.Unlock()
	u.x.c.abort()
	return err
}
