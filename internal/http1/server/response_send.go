package server

import (
	"errors"
	"io"
	"net/http"

	"cardea.dev/cardea/internal/http1"
)

// ResponseSender is what a ResponseWriter of this package is beside the usual: it takes a whole response.
type ResponseSender interface {
	// WriteResponse writes a response: its status, its header together with the writer's own, which goes first, its body to the end,
	// its trailers. It returns how many bytes of the body it took. A small response leaves in one write, together with its head.
	// The framing is the writer's business: Content-Length is that of resp.ContentLength. It does not close the body. Readers that
	// failed are told from clients that left by WriteError.
	WriteResponse(resp *http.Response) (n int64, err error)

	// Abort makes the client see a broken message when the handler returns, as a panic with http.ErrAbortHandler does.
	Abort()
}

// WriteError says that a response could not be written: the client left, or took nothing for too long.
type WriteError struct{ Err error }

// Error says why.
func (e *WriteError) Error() string { return "cannot write the response: " + e.Err.Error() }

// Unwrap returns the connection's error.
func (e *WriteError) Unwrap() error { return e.Err }

var _ ResponseSender = (*response)(nil)

var errSent = errors.New("a response has begun already")

// spliceFrom is the length from which on a body is passed on by its WriteTo.
const spliceFrom = 64 << 10

// WriteResponse writes a whole response.
func (w *response) WriteResponse(resp *http.Response) (int64, error) {
	switch {
	case w.hijacked:
		return 0, http.ErrHijacked
	case w.status != 0:
		return 0, errSent
	}
	w.status = resp.StatusCode
	w.bodyless = w.bodyless || !bodyAllowed(w.status)
	w.openHead(resp)
	if w.bodyless || resp.Body == nil || resp.Body == http.NoBody {
		w.closeHead(resp, true)
		return 0, w.failed()
	}
	err := w.pass(resp)
	for name := range resp.Trailer {
		w.trail(name, resp.Trailer[name])
	}
	return w.written, err
}

// openHead writes the head but for what depends on the body.
func (w *response) openHead(resp *http.Response) {
	k := w.call
	if k.body != nil {
		k.body.answer()
	}
	b := appendStatus(w.out.take(), 1, w.status)
	b = appendFields(b, w.header)
	for name, values := range resp.Header {
		if _, ok := w.header[name]; ok || framingField(name) || !http1.IsName(name) {
			continue
		}
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	if len(w.header["Date"])+len(resp.Header["Date"]) == 0 {
		b = k.conn.server.appendDate(b)
	}
	b = w.appendConnection(b, w.header["Connection"])
	w.out.buf = w.appendConnection(b, resp.Header["Connection"])
	if k.head.Minor == 1 {
		for name := range resp.Trailer {
			if http1.IsName(name) && http1.PassesInTrailer(name) {
				w.announced = append(w.announced, name)
			}
		}
	}
}

// closeHead decides on the framing and ends the head. empty says that there is no body.
func (w *response) closeHead(resp *http.Response, empty bool) {
	known := resp.ContentLength > 0 || resp.ContentLength == 0 && empty
	switch {
	case w.bodyless:
		w.framing = http1.NoBody
		if values := resp.Header["Content-Length"]; len(values) == 1 {
			if n, ok := http1.Decimal(values[0]); ok {
				w.framing, w.length = http1.Fixed, n // what a GET would have
			}
		}
	case len(w.announced) > 0:
		w.framing = http1.Chunked
	case known:
		w.framing, w.length = http1.Fixed, resp.ContentLength
	case empty:
		w.framing, w.length = http1.Fixed, 0
	case w.call.head.Minor == 1:
		w.framing = http1.Chunked
	default:
		w.framing, w.close = http1.UntilClose, true
	}
	w.endHead()
}

// pass writes the rest of the head, and the body as it comes: what was read short of a whole buffer is sent on at once, for nothing
// more was there.
func (w *response) pass(resp *http.Response) error {
	if resp.ContentLength > 0 || resp.ContentLength < 0 {
		w.closeHead(resp, false)
	}
	if resp.ContentLength < 0 && !hasBuffered(resp.Body) {
		if err := w.out.flush(); err != nil { // it may be long until the first byte comes
			return w.failed()
		}
	}
	if w.framing == http1.Fixed && w.length >= spliceFrom && w.call.conn.link.plain != nil {
		if body, ok := resp.Body.(io.WriterTo); ok {
			return w.splice(body)
		}
	}
	if w.framing == http1.Fixed && w.length <= int64(cap(w.out.buf)-len(w.out.buf)) {
		return w.passSmall(resp.Body)
	}
	buf := http1.TakeBig()
	defer http1.Recycle(nil, buf)
	for {
		n, err := resp.Body.Read(buf[:])
		if !w.began {
			w.closeHead(resp, n == 0 && err == io.EOF)
		}
		if werr := w.passOn(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return w.atEnd()
		}
		if err != nil {
			w.call.aborted = true
			return err
		}
		if n > 0 && n < len(buf) && (w.framing != http1.Fixed || w.written < w.length) {
			_ = w.out.flush() // an error comes again
		}
	}
}

// hasBuffered says whether bytes of a body are there already.
func hasBuffered(body io.Reader) bool {
	b, ok := body.(interface{ Buffered() int })
	return ok && b.Buffered() > 0
}

// passSmall reads a body that fits behind the head straight there.
func (w *response) passSmall(body io.Reader) error {
	for {
		b := w.out.buf
		n, err := body.Read(b[len(b) : len(b)+int(w.length-w.written)])
		w.out.buf = b[:len(b)+n]
		w.written += int64(n)
		switch {
		case err == io.EOF:
			return w.atEnd()
		case err != nil:
			w.call.aborted = true
			return err
		case w.written == w.length:
			return w.expectEnd(body)
		}
		_ = w.out.flush() // the rest is long in coming
		if w.out.err != nil {
			return w.failed()
		}
	}
}

// expectEnd reads on at the end of a body whose length is known: whoever gave it may wait for that.
func (w *response) expectEnd(body io.Reader) error {
	var one [1]byte
	n, err := body.Read(one[:])
	switch {
	case n > 0:
		w.call.aborted = true
		return http.ErrContentLength
	case err != nil && err != io.EOF:
		w.call.aborted = true
		return err
	}
	return nil
}

// passOn writes a piece of the body.
func (w *response) passOn(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if w.framing == http1.Fixed && w.written+int64(len(p)) > w.length {
		w.call.aborted = true
		return http.ErrContentLength
	}
	if w.framing == http1.Chunked {
		_ = w.out.writeChunk(p)
	} else {
		_ = w.out.write(p)
	}
	if w.out.err == nil {
		w.written += int64(len(p))
	}
	return w.failed()
}

// splice lets a large body write itself.
func (w *response) splice(body io.WriterTo) error {
	if w.out.flush() != nil {
		return w.failed()
	}
	n, err := body.WriteTo(&w.call.conn.link)
	w.written += n
	w.out.sent += n
	if err != nil {
		w.call.aborted = true
		return err
	}
	return w.atEnd()
}

// atEnd is called at the end of the body.
func (w *response) atEnd() error {
	if w.framing == http1.Fixed && w.written != w.length {
		w.call.aborted = true
		return io.ErrUnexpectedEOF
	}
	return w.failed()
}

func (w *response) failed() error {
	if w.out.err == nil {
		return nil
	}
	w.call.aborted = true
	return &WriteError{w.out.err}
}

// trail keeps a trailer field for the end.
func (w *response) trail(name string, values []string) {
	delete(w.header, name) // what was in the head is no trailer
	if w.framing == http1.Chunked {
		w.header[http.TrailerPrefix+name] = values
	}
}

// ReadFrom writes what src has as the body. It is what io.Copy calls.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	link := &w.call.conn.link
	if w.framing == http1.Fixed && !w.bodyless && w.length-w.written >= spliceFrom && link.plain != nil {
		if err := w.out.flush(); err != nil {
			return 0, err
		}
		n, err = link.ReadFrom(io.LimitReader(src, w.length-w.written))
		w.written += n
		return n, err
	}
	buf := http1.TakeBig()
	defer http1.Recycle(nil, buf)
	return io.CopyBuffer(onlyWriter{w}, onlyReader{src}, buf[:])
}
