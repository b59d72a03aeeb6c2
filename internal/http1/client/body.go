package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"cardea.dev/cardea/internal/http1"
)

// body is the body of an answer. It may be closed while it is being read.
type body struct {
	x      *trip
	closed atomic.Bool

	mu     sync.Mutex // held while it is read
	reader http1.BodyReader
	err    error
}

// Read returns what the endpoint sends, io.EOF at the end of a complete answer.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	n, err := b.read(p)
	b.mu.Unlock()
	b.closeLate()
	return n, err
}

func (b *body) read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.reader.Read(p)
	if err != nil {
		b.finish(err)
	}
	return n, b.err
}

// finish ends the exchange with what ended the body. mu is held.
func (b *body) finish(err error) {
	x := b.x
	switch {
	case err == io.EOF:
		b.err = err
		b.keepTrailer()
	case b.closed.Load():
		b.err = http.ErrBodyReadAfterClose
	default:
		b.err = x.wrap(x.fail(BodyPhase, err))
	}
	x.end(err == io.EOF)
	b.reader.Detach()
}

// keepTrailer adds the trailer fields to those that were announced.
func (b *body) keepTrailer() {
	trailer, r := b.reader.Trailer(), &b.x.resp
	if r.Trailer == nil {
		r.Trailer = trailer
		return
	}
	for name, values := range trailer {
		r.Trailer[name] = values
	}
}

// Close gives up what was not read. The connection lives on if all of it has come already.
func (b *body) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	if !b.closeLate() {
		b.x.abort() // who reads it ends the exchange
	}
	return nil
}

// closeLate ends the exchange of a body that was closed, unless it is being read.
func (b *body) closeLate() bool {
	if !b.closed.Load() {
		return true
	}
	if !b.mu.TryLock() {
		return false
	}
	defer b.mu.Unlock()
	if b.err != nil {
		return true
	}
	b.err = http.ErrBodyReadAfterClose
	left := b.reader.Remaining()
	whole := left >= 0 && left <= int64(b.x.c.in.Buffered())
	if whole {
		b.x.c.in.Discard(int(left))
	}
	b.x.end(whole)
	b.reader.Detach()
	return true
}

// Recycle gives the answer back, header and all, for use by another exchange. It may be called once, by who knows that nobody holds
// any of it. It says whether it did so: an answer that was not read to its end, or came before that of its request, is kept.
func (b *body) Recycle() bool {
	x := b.x
	if b.err != io.EOF || x.upload != nil || x.stop != nil {
		return false
	}
	x.recycle()
	return true
}

// Buffered says how many bytes can be read without waiting.
func (b *body) Buffered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0
	}
	return b.reader.Buffered()
}

// splices is from which length a body is left to the system to copy.
const splices = 64 << 10

// WriteTo copies the rest of the body. Where it is long and goes from one TCP connection to another, the system does that without
// the bytes being copied here.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	b.mu.Lock()
	n, err := b.writeTo(w)
	b.mu.Unlock()
	b.closeLate()
	return n, err
}

func (b *body) writeTo(w io.Writer) (total int64, err error) {
	if b.err == io.EOF {
		return 0, nil
	}
	buf := http1.TakeBig()
	defer http1.Recycle(nil, buf)
	for {
		if to, ok := b.splicesTo(w); ok {
			n, err := b.splice(to)
			return total + n, err
		}
		n, err := b.read(buf[:])
		if n > 0 {
			m, werr := w.Write(buf[:n])
			total += int64(m)
			if werr != nil {
				return total, werr
			}
			if m < n {
				return total, io.ErrShortWrite
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return total, nil
		default:
			return total, err
		}
	}
}

// splicesTo says whether the system can copy the rest of the body. It cannot while some of it is buffered here.
func (b *body) splicesTo(w io.Writer) (*net.TCPConn, bool) {
	if b.err != nil || b.reader.Remaining() < splices || b.x.c.in.Buffered() > 0 {
		return nil, false
	}
	to, ok := w.(*net.TCPConn)
	if !ok {
		return nil, false
	}
	_, ok = b.x.c.nc.(*net.TCPConn)
	return to, ok
}

// splice has the system copy the rest of the body. A Read's limits hold, but that it is looked only now and then whether a byte
// has moved, so that the limit on standing still is up to twice as long.
func (b *body) splice(to *net.TCPConn) (total int64, err error) {
	x := b.x
	from := io.LimitedReader{R: x.c.nc, N: b.reader.Remaining()}
	x.since = x.c.now()
	now := x.since
	for {
		x.arm(now)
		n, err := to.ReadFrom(&from)
		total += n
		b.reader.Passed(b.reader.Remaining() - from.N)
		now = x.c.now()
		switch {
		case from.N == 0:
			b.finish(io.EOF)
			return total, nil
		case err == nil:
			b.finish(io.ErrUnexpectedEOF)
			return total, b.err
		case !errors.Is(err, os.ErrDeadlineExceeded), x.c.armed.IsZero(), now.Before(x.c.armed): // or it is a limit of the other side's
			return total, b.spliceFault(err)
		}
		if n > 0 {
			x.since = now
		}
		if err := x.late(now); err != nil {
			b.finish(err)
			return total, b.err
		}
	}
}

// spliceFault ends the exchange, and says which side it was.
func (b *body) spliceFault(err error) error {
	ours := b.x.c.probe.Closed()
	b.finish(err)
	if ours {
		return b.err
	}
	return err
}
