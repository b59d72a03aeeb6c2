package http1

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"cardea.dev/cardea/internal/socket"
)

// This file is the shared vocabulary of the server and the client half: what both know of a message on the wire.
//
//	reader.go   (*reader).attach, buffered, peek, discard, fill, Read, release   bytes from a connection, in a pooled buffer
//	head.go     (*reader).readRequestHead, readResponseHead                      one head, strictly
//	            parseRequestHead, parseResponseHead                              the same, of complete bytes
//	fields.go   the fields of heads and trailers
//	framing.go  requestLength, responseLength                                    where a body ends (RFC 9112, section 6.3)
//	body.go     bodyReader                                                       a body, whichever way it ends
//	chunked.go  chunkedReader, appendChunkSize                                   chunked coding
//	writer.go   writer, appendField, appendHeader                                bytes to a connection, few writes
//	link.go     link                                                             a connection with limits on time
//	direct.go   direct                                                           a connection by system calls of its own

// ParseError says why a message is refused. After it the connection is good for nothing: nobody knows where the message ends.
type ParseError struct {
	Status int    // what a server answers: 400, 408, 413, 414, 417, 431, 501, 505
	Reason string // plain words, without bytes of the message that could harm a log
}

// Error says why.
func (e *ParseError) Error() string { return "cannot read the message: " + e.Reason }

// limits bound what a peer may send. Zero fields take defaults (see orDefaults).
type limits struct {
	head    int // bytes of a head, start line and all
	target  int // bytes of a request target
	fields  int // fields of a head, and of a trailer section
	line    int // bytes of a chunk-size line with its extensions
	trailer int // bytes of a trailer section
}

// head is the parsed head of a message. All its strings are pieces of one. It is reused: every parse resets it, and its
// header is another's then. The strings stay as they are.
type head struct {
	method string // of requests
	target string // of requests, as it came
	host   string // of requests: the value of Host, or ""; not in header

	status int    // of responses
	reason string // of responses; may be ""

	minor int // of HTTP/1.x: 0 or 1

	header  http.Header // canonical names; without Host, Transfer-Encoding and, in chunked messages, Trailer
	trailer http.Header // announced in chunked messages: names without values; nil: none

	length    int64 // Content-Length, or -1
	chunked   bool  // Transfer-Encoding: chunked
	close     bool  // Connection: close
	keepAlive bool  // Connection: keep-alive
	upgrade   bool  // Connection: upgrade, and there is an Upgrade field
	expects   bool  // Expect: 100-continue

	values   []string // what header's values are slices of
	spans    []span   // where fields lie in the bytes, while parsing
	repeated int      // how many fields have a name that stood there before
}

// persistent says whether the connection may be used after this message, as far as its head says (RFC 9112, section 9.3).
func (h *head) persistent() bool {
	if h.close {
		return false
	}
	return h.minor == 1 || h.keepAlive
}

// framing is how a body ends.
type framing uint8

const (
	noBody     framing = iota
	fixed              // after a known number of bytes
	chunked            // with its last chunk
	untilClose         // with the connection; responses only
)

// reader reads a connection through a buffer that it takes from a pool when there is something to read, and gives back when it is
// empty. It is for one goroutine at a time.
type reader struct {
	src  io.Reader
	buf  []byte // nil: none taken
	r, w int    // what is buffered is buf[r:w]

	small *[smallBuffer]byte
	big   *[bigBuffer]byte
}

// bodyReader reads the body of a message from a reader, up to its end and not a byte further. It is no io.Closer and knows no
// locks: the halves wrap it. Errors: io.EOF at the end of a complete body, io.ErrUnexpectedEOF when the peer left before, a
// *ParseError, or the connection's.
type bodyReader struct {
	r       *reader
	framing framing
	left    int64 // of fixed
	chunks  chunkedReader
	err     error // what every further read returns
}

// chunkedReader decodes chunked coding.
type chunkedReader struct {
	r       *reader
	limits  *limits
	trailer http.Header // filled at the end, before io.EOF is returned; nil when there was none
	left    uint64      // of the current chunk
	state   chunkState
	chunks  uint  // so far
	excess  int64 // bytes that were no data, less what is reasonable for the data that came
	err     error
}

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
	small   *[smallBuffer]byte
	big     *[bigBuffer]byte
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

// link is a connection with limits on how long its reads and writes may stand still. It moves the deadlines of the connection
// rarely: a deadline that passes too early is found out when it does, and moved then.
type link struct {
	conn  net.Conn
	plain net.Conn // *net.TCPConn or *net.UnixConn: conn itself, or what it stands for; nil: TLS or unknown

	direct socket.Direct // to plain

	readWithin time.Duration // how long reads may take from the next one on; then that is readUntil; 0: no limit
	readUntil  int64         // when a read must have ended (see now); 0: no limit
	readStall  time.Duration // how long one read may wait for its first byte; 0: no limit
	writeStall time.Duration // how long a peer may take nothing; 0: no limit
	impatient  bool          // reads must not wait, but fail with ErrWouldWait
	readPace   Meter         // of reads that readStall bounds
	writePace  Meter         // of writes, on plain connections

	mu     sync.Mutex
	reads  deadline
	writes deadline
}
