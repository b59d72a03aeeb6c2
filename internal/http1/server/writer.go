package server

import (
	"net"
	"net/http"

	"cardea.dev/cardea/internal/http1"
)

// writer collects small pieces and writes them with few system calls. It is for one goroutine at a time. The buffer comes from a
// pool with the first byte, and goes back with release. Once a write has failed, all that follow do.
//
//	w.buf = appendField(w.take(), …)   pieces of heads are appended to the buffer directly
//	w.write(p)                         p is copied when it fits; else it leaves with what is buffered in one call (writev)
//	w.writeChunk(p)                    the same as a chunk of chunked coding
//	w.flush()                          what is buffered leaves
type writer struct {
	dst     sink
	buf     []byte
	small   *[http1.SmallBuffer]byte
	big     *[http1.BigBuffer]byte
	vectors [3][]byte   // what net.Buffers are made of: head, data, end of the chunk
	buffers net.Buffers // of vectors; here because its address escapes
	sent    int64       // bytes that dst took
	err     error
}

// sink is where a writer writes to: a link.
type sink interface {
	Write(p []byte) (int, error)
	writeBuffers(v *net.Buffers) (int64, error) // may be many writes, where the connection has no writev
	vectored() bool                             // it is one
}

var lineEnd = []byte("\r\n")

// attach makes the writer write to a connection.
func (w *writer) attach(dst sink) { w.dst, w.err, w.sent = dst, nil, 0 }

// take returns the buffer, to append to. What is appended is written in any case, at the latest with the next flush.
func (w *writer) take() []byte {
	if w.buf == nil {
		w.small = http1.TakeSmall()
		w.buf = w.small[:0]
	}
	return w.buf
}

// release gives the buffer back. What is in it is lost.
func (w *writer) release() {
	http1.Recycle(w.small, w.big)
	w.buf, w.small, w.big = nil, nil, nil
}

// write writes p, now or with the next flush.
func (w *writer) write(p []byte) error {
	if len(w.take())+len(p) <= w.limit() {
		w.append(p)
		return w.err
	}
	return w.send(w.buf, p, nil)
}

// writeChunk writes p as a chunk, now or with the next flush. Without data it writes nothing, for that would be the end.
func (w *writer) writeChunk(p []byte) error {
	if len(p) == 0 {
		return w.err
	}
	const around = 20 // size line and CRLF
	if len(w.take())+len(p)+around <= w.limit() {
		var line [around]byte
		w.append(http1.AppendChunkSize(line[:0], len(p)))
		w.append(p)
		w.append(lineEnd)
		return w.err
	}
	return w.send(http1.AppendChunkSize(w.buf, len(p)), p, lineEnd)
}

// limit is up to which length bytes are collected. Where there is no writev, copying is cheaper than writing twice.
func (w *writer) limit() int {
	if w.dst.vectored() {
		return http1.SmallBuffer
	}
	return http1.BigBuffer
}

// append copies p to the end of the buffer, which it makes larger where that is needed.
func (w *writer) append(p []byte) {
	if len(w.buf)+len(p) > cap(w.buf) && len(w.buf)+len(p) <= http1.BigBuffer && w.big == nil {
		w.big = http1.TakeBig()
		w.buf = append(w.big[:0], w.buf...)
		http1.Recycle(w.small, nil)
		w.small = nil
	}
	w.buf = append(w.buf, p...)
}

// insert puts p into what is buffered.
func (w *writer) insert(at int, p []byte) {
	w.append(p)
	copy(w.buf[at+len(p):], w.buf[at:])
	copy(w.buf[at:], p)
}

// flush writes what is buffered.
func (w *writer) flush() error {
	if len(w.buf) == 0 || w.err != nil {
		return w.err
	}
	n, err := w.dst.Write(w.buf)
	w.done(int64(n), err)
	return w.err
}

// send writes what is buffered, with pieces after it, in as few calls as the connection allows.
func (w *writer) send(buffered, p, end []byte) error {
	if w.err != nil {
		return w.err
	}
	if !w.dst.vectored() && len(p)+len(end) <= http1.BigBuffer {
		w.buf = buffered
		if err := w.flush(); err != nil {
			return err
		}
		w.append(p)
		w.append(end)
		return nil
	}
	w.vectors = [3][]byte{buffered, p, end}
	w.buffers = w.vectors[:]
	n, err := w.dst.writeBuffers(&w.buffers)
	w.vectors, w.buffers = [3][]byte{}, nil
	w.done(n, err)
	return w.err
}

// done notes what became of a write.
func (w *writer) done(n int64, err error) {
	w.sent += n
	w.buf = w.buf[:0]
	if err != nil {
		w.err = err
	}
}

// appendField appends a line with a field. Line breaks and NUL, which would make it more than that, become spaces.
func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ':', ' ')
	start := len(b)
	b = append(b, value...)
	if http1.IsValue(b[start:]) {
		return append(b, '\r', '\n')
	}
	for i, c := range b[start:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[start+i] = ' '
		}
	}
	return append(b, '\r', '\n')
}

// appendHeader appends the fields of a header but those that skip tells to leave out. Names that are no names are left out.
func appendHeader(b []byte, h http.Header, skip func(name string) bool) []byte {
	for name, values := range h {
		if skip != nil && skip(name) || !http1.IsName(name) {
			continue
		}
		for _, value := range values {
			b = appendField(b, name, value)
		}
	}
	return b
}
