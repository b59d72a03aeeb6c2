package server

import (
	"io"
	"net/http"
	"strings"

	"cardea.dev/cardea/internal/http1"
)

// response is the ResponseWriter of a request. What is small leaves in one write, when the handler returns.
type response struct {
	call   *call
	out    writer
	header http.Header

	status    int
	began     bool  // the head is in out
	headEnd   int   // where it ends there, but for the empty line
	before    int64 // what out had sent then
	close     bool  // the connection ends after this response
	hijacked  bool
	bodyless  bool // no body, whatever the handler writes
	framing   http1.Framing
	length    int64  // of fixed
	written   int64  // of the body
	pending   []byte // body that waits for the length to be known
	small     *[http1.SmallBuffer]byte
	announced []string // trailer fields
}

// begin readies w for a request.
func (w *response) begin() {
	k := w.call
	if w.header == nil {
		w.header = http.Header{}
	}
	w.status, w.began, w.hijacked, w.framing, w.length, w.written = 0, false, false, http1.NoBody, -1, 0
	w.close = !k.head.Persistent() || k.conn.server.draining.Load()
	w.bodyless = k.head.Method == http.MethodHead
	w.announced = w.announced[:0]
	w.out.attach(&k.conn.link)
}

// release gives buffers back and forgets the header.
func (w *response) release() {
	w.out.release()
	http1.Recycle(w.small, nil)
	w.small, w.pending = nil, nil
	clear(w.header)
	clear(w.announced)
}

// Header returns the fields of the response. Changes after WriteHeader have no effect, but for trailers.
func (w *response) Header() http.Header { return w.header }

// WriteHeader sends an interim response (1xx) at once, any number of times, or begins the final one.
func (w *response) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic("http1: the status is no number from 100 to 999")
	}
	if w.hijacked || w.status != 0 {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.interim(status)
		return
	}
	w.status = status
	if !bodyAllowed(status) {
		w.bodyless = true
	}
	w.decide(w.header)
}

// interim sends an interim response.
func (w *response) interim(status int) {
	k := w.call
	if k.head.Minor == 0 {
		return // HTTP/1.0 knows none (RFC 9110, section 15.2)
	}
	if status == http.StatusContinue {
		if k.body != nil {
			_ = k.body.proceed()
		}
		return
	}
	b := appendStatus(w.out.take(), 1, status)
	b = appendHeader(b, w.header, framingField)
	w.out.buf = append(b, '\r', '\n')
	_ = w.out.flush()
}

// bodyAllowed says whether a response with a status may have a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// framingField says whether a field is the server's own to write.
func framingField(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Connection", "Trailer":
		return true
	}
	return strings.HasPrefix(name, http.TrailerPrefix)
}

// Write writes a piece of the body. It is kept until the handler returns, the buffer is full, or Flush.
func (w *response) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		return 0, http.ErrContentLength
	}
	if w.bodyless {
		w.written += int64(len(p))
		return len(p), nil
	}
	if err := w.put(p); err != nil {
		return 0, err
	}
	w.written += int64(len(p))
	return len(p), nil
}

// WriteString writes a piece of the body.
func (w *response) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// put writes body bytes.
func (w *response) put(p []byte) error {
	if !w.began {
		if len(w.pending)+len(p) <= http1.SmallBuffer {
			w.keep(p)
			return nil
		}
		w.settle(false)
	}
	if w.framing == http1.Chunked {
		return w.out.writeChunk(p)
	}
	return w.out.write(p)
}

// keep holds body bytes back until it is known how many there are.
func (w *response) keep(p []byte) {
	if w.pending == nil {
		w.small = http1.TakeSmall()
		w.pending = w.small[:0]
	}
	w.pending = append(w.pending, p...)
}

// settle writes the head when the length of the body was not known so far. complete says that what is pending is the whole body.
func (w *response) settle(complete bool) {
	switch {
	case w.bodyless && w.written > 0:
		w.framing, w.length = http1.Fixed, w.written
	case w.bodyless:
		w.framing = http1.NoBody
	case complete && !w.hasTrailers():
		w.framing, w.length = http1.Fixed, int64(len(w.pending))
	case w.call.head.Minor == 1:
		w.framing = http1.Chunked
	default:
		w.framing, w.close = http1.UntilClose, true
	}
	w.endHead()
	if len(w.pending) == 0 || w.bodyless {
		return
	}
	if w.framing == http1.Chunked {
		_ = w.out.writeChunk(w.pending)
	} else {
		_ = w.out.write(w.pending)
	}
	w.pending = w.pending[:0]
}

// hasTrailers says whether trailer fields were announced or set.
func (w *response) hasTrailers() bool {
	if w.call.head.Minor == 0 {
		return false
	}
	if len(w.announced) > 0 {
		return true
	}
	for name := range w.header {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return true
		}
	}
	return false
}

// finish completes the response. It returns false when it is not whole.
func (w *response) finish() bool {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if !w.began {
		w.settle(true)
	}
	if w.framing == http1.Chunked && !w.bodyless {
		w.lastChunk()
	}
	short := w.framing == http1.Fixed && !w.bodyless && w.written < w.length
	return w.out.flush() == nil && !short
}

// lastChunk ends a chunked body, with its trailer fields.
func (w *response) lastChunk() {
	b := append(w.out.take(), "0\r\n"...)
	for _, name := range w.announced {
		for _, value := range w.header[name] {
			b = appendField(b, name, value)
		}
	}
	for name, values := range w.header {
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && http1.IsName(bare) && http1.PassesInTrailer(bare) {
			for _, value := range values {
				b = appendField(b, bare, value)
			}
		}
	}
	w.out.buf = append(b, '\r', '\n')
}

var _ io.StringWriter = (*response)(nil)
