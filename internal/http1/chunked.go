package http1

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"

	"cardea.dev/cardea/internal/socket"
)

// chunkState is what a chunkedReader expects next.
type chunkState uint8

const (
	atSize chunkState = iota
	atData
	atDataEnd // the CRLF after the data
	atTrailer
)

// maxExcess bounds what is sent in chunked coding beside the data: long extensions of many small chunks are a way to keep a
// receiver busy with nothing. A chunk of one byte without extensions counts as reasonable.
const maxExcess = 16 << 10

// yieldAfter is after how many chunks others get their turn. Tiny ones cost far more time than their bytes take to come, so that who
// reads them never has to wait, and would have a processor for itself until the scheduler takes it away.
const yieldAfter = 512

// chunkedReader decodes chunked coding.
type chunkedReader struct {
	r       *Reader
	limits  *Limits
	trailer http.Header // filled at the end, before io.EOF is returned; nil when there was none
	left    uint64      // of the current chunk
	state   chunkState
	chunks  uint  // so far
	excess  int64 // bytes that were no data, less what is reasonable for the data that came
	err     error
}

// begin readies c for a body.
func (c *chunkedReader) begin(r *Reader, l *Limits) { *c = chunkedReader{r: r, limits: l} }

// Read fills p with the data of as many chunks as there are without waiting, at least of one.
func (c *chunkedReader) Read(p []byte) (n int, err error) {
	for c.err == nil {
		if n > 0 && !c.ready() {
			return n, nil // the rest has to be waited for
		}
		var m int
		m, c.err = c.step(p[n:])
		n += m
		if n == len(p) && c.state != atDataEnd && c.state != atTrailer && c.err == nil {
			return n, nil
		}
	}
	err = c.err
	if socket.Temporary(err) {
		c.err = nil
	}
	if n > 0 && err != io.EOF {
		return n, nil // the error comes with the next call
	}
	return n, err
}

// ready says whether the next step needs no byte that is not buffered yet.
func (c *chunkedReader) ready() bool {
	b := c.r.Peek()
	switch c.state {
	case atData:
		return len(b) > 0
	case atDataEnd:
		return len(b) >= 2
	case atTrailer:
		return bytes.HasPrefix(b, crlf) || bytes.Contains(b, headEnd)
	}
	return bytes.IndexByte(b, '\n') >= 0
}

// buffered says how many bytes of data can be read without waiting: of the current chunk, or of the next one.
func (c *chunkedReader) buffered() int {
	b, left := c.r.Peek(), c.left
	if c.state == atDataEnd && bytes.HasPrefix(b, crlf) {
		b = b[2:]
	} else if c.state == atDataEnd || c.state == atTrailer {
		return 0
	}
	if c.state != atData {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			return 0
		}
		size, bad := parseChunkLine(b[:end+1])
		if bad != nil {
			return 0
		}
		b, left = b[end+1:], size
	}
	return int(min(uint64(len(b)), left))
}

// step does the next thing: it reads a size, data, the end of data, or the trailer section. Without room for data it does
// nothing but that.
func (c *chunkedReader) step(p []byte) (int, error) {
	switch c.state {
	case atSize:
		return 0, c.readSize()
	case atDataEnd:
		return 0, c.readDataEnd()
	case atTrailer:
		return 0, c.readTrailer()
	}
	if uint64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.readData(p)
	if c.left -= uint64(n); c.left == 0 {
		c.state = atDataEnd
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// readData reads into p directly when the data of the chunk goes far beyond the buffer, and through the buffer when more chunks
// may come with it.
func (c *chunkedReader) readData(p []byte) (int, error) {
	if c.r.Buffered() == 0 && len(p) < SmallBuffer {
		if err := c.fill(SmallBuffer); err != nil {
			return 0, err
		}
	}
	return c.r.Read(p)
}

// fill waits for more bytes.
func (c *chunkedReader) fill(limit int) error {
	err := c.r.Fill(limit)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var crlf = []byte("\r\n")

func (c *chunkedReader) readDataEnd() error {
	for c.r.Buffered() < 2 {
		if b := c.r.Peek(); len(b) == 1 && b[0] != '\r' {
			break
		}
		if err := c.fill(SmallBuffer); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(c.r.Peek(), crlf) {
		return fault("there is no CRLF after the data of a chunk")
	}
	c.r.Discard(2)
	c.state = atSize
	return nil
}

// readSize reads a line with the size of a chunk (RFC 9112, section 7.1).
func (c *chunkedReader) readSize() error {
	for {
		b := c.r.Peek()
		end := bytes.IndexByte(b, '\n')
		if end < 0 && len(b) < c.limits.Line {
			if bad := earlySizeFault(b); bad != nil {
				return bad
			}
			if err := c.fill(c.limits.Line); err != nil {
				return err
			}
			continue
		}
		if end < 0 || end >= c.limits.Line {
			return &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the line with the size of a chunk is too long"}
		}
		size, bad := parseChunkLine(b[:end+1])
		c.r.Discard(end + 1)
		if bad != nil {
			return bad
		}
		return c.beginChunk(size, end+1)
	}
}

// beginChunk is told the size of the chunk, and the length of the line that said so.
func (c *chunkedReader) beginChunk(size uint64, line int) error {
	if size == 0 {
		c.state = atTrailer
		return nil
	}
	c.excess = max(0, c.excess+int64(line)+2-16-2*int64(min(size, 1<<40)))
	if c.excess > maxExcess {
		return fault("there is far more chunk extension than data")
	}
	c.left, c.state = size, atData
	if c.chunks++; c.chunks%yieldAfter == 0 {
		runtime.Gosched()
	}
	return nil
}

// earlySizeFault says what is wrong already with the beginning of a line.
func earlySizeFault(b []byte) *ParseError {
	if len(b) > 0 && hexValue(b[0]) < 0 {
		return fault("the size of a chunk is malformed")
	}
	return nil
}

// parseChunkLine parses the size, and checks the extensions, of a line that ends in LF.
func parseChunkLine(line []byte) (uint64, *ParseError) {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return 0, fault("the line with the size of a chunk ends in a bare LF")
	}
	line = line[:len(line)-2]
	var n uint64
	i := 0
	for ; i < len(line); i++ {
		v := hexValue(line[i])
		if v < 0 {
			break
		}
		n = n<<4 | uint64(v)
	}
	switch {
	case i == 0:
		return 0, fault("the size of a chunk is malformed")
	case i > 16 || n > 1<<62:
		return 0, fault("the size of a chunk is too large")
	case !isExtensions(line[i:]):
		return 0, fault("the size of a chunk, or its extension, is malformed")
	}
	return n, nil
}

func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// isExtensions says whether s is a list of chunk extensions: ;name, ;name=token or ;name="quoted" (RFC 9112, section 7.1.1).
// Whitespace is let pass nowhere.
func isExtensions(s []byte) bool {
	for len(s) > 0 {
		if s[0] != ';' {
			return false
		}
		name := tokenLength(s[1:])
		if name == 0 {
			return false
		}
		if s = s[1+name:]; len(s) == 0 || s[0] != '=' {
			continue
		}
		value := tokenLength(s[1:])
		if value == 0 {
			value = quotedLength(s[1:])
		}
		if value == 0 {
			return false
		}
		s = s[1+value:]
	}
	return true
}

func tokenLength(s []byte) int {
	for i, c := range s {
		if classes[c]&inToken == 0 {
			return i
		}
	}
	return len(s)
}

// quotedLength returns the length of the quoted string that s begins with, or 0.
func quotedLength(s []byte) int {
	if len(s) == 0 || s[0] != '"' {
		return 0
	}
	escaped := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return 0 // behind a backslash too
		case escaped:
			escaped = false
		case c == '"':
			return i + 1
		case c == '\\':
			escaped = true
		}
	}
	return 0
}

// readTrailer reads the trailer section and ends the body.
func (c *chunkedReader) readTrailer() error {
	for seen := 0; ; {
		b := c.r.Peek()
		if bytes.HasPrefix(b, crlf) {
			c.r.Discard(2)
			return io.EOF
		}
		if i := bytes.Index(b, headEnd); i >= 0 && i+4 <= c.limits.Trailer {
			bad := c.parseTrailer(b[:i+4])
			c.r.Discard(i + 4)
			if bad != nil {
				return bad
			}
			return io.EOF
		}
		if bad := hopeless(b, seen, false); bad != nil {
			return bad
		}
		seen = len(b)
		err := c.fill(c.limits.Trailer)
		if err == errFull {
			return &ParseError{Status: http.StatusRequestHeaderFieldsTooLarge, Reason: "the trailer section is too large"}
		}
		if err != nil {
			return err
		}
	}
}

// parseTrailer parses a trailer section, with the empty line at its end. Fields that may not be in one are dropped, and those that
// could change where a message ends or goes are refused (RFC 9110, section 6.5.1).
func (c *chunkedReader) parseTrailer(b []byte) *ParseError {
	spans, bad := scanFields(b, 0, c.limits.Fields, nil)
	if bad != nil {
		return bad
	}
	text := string(b)
	for _, s := range spans {
		name := text[s.name:s.nameEnd]
		switch inTrailer(name) {
		case trailerRefused:
			return fault("the trailer section has a field that says where messages end or go")
		case trailerDropped:
			continue
		}
		if c.trailer == nil {
			c.trailer = http.Header{}
		}
		c.trailer[name] = append(c.trailer[name], text[s.value:s.valueEnd])
	}
	return nil
}

// trailerRule is what becomes of a field in a trailer section.
type trailerRule uint8

const (
	trailerPasses trailerRule = iota
	trailerDropped
	trailerRefused
)

// inTrailer says what becomes of a field with a canonical name.
func inTrailer(name string) trailerRule {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Host", "Connection", "Trailer", "Upgrade", "Te", "Keep-Alive", "Proxy-Connection":
		return trailerRefused
	case "Content-Encoding", "Content-Type", "Content-Range", "Authorization", "Proxy-Authorization", "Proxy-Authenticate",
		"Www-Authenticate", "Cookie", "Set-Cookie", "Cache-Control", "Expect", "Max-Forwards", "Pragma", "Range", "Age", "Date",
		"Expires", "Location", "Retry-After", "Vary", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range",
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip":
		return trailerDropped
	}
	return trailerPasses
}

// PassesInTrailer says whether a field with a canonical name may be sent in a trailer section (RFC 9110, section 6.5.1).
func PassesInTrailer(name string) bool { return inTrailer(name) == trailerPasses }

// AppendChunkSize appends the line before the data of a chunk of n bytes. CRLF goes after the data.
func AppendChunkSize(b []byte, n int) []byte {
	return append(strconv.AppendUint(b, uint64(n), 16), '\r', '\n')
}
