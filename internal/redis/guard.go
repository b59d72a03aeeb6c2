package redis

import (
	"errors"
	"net"
	"sync"
)

// guard is a connection that ends when the server says what no Redis does: lengths without measure, answers within answers without end, answers
// to nothing that was asked. The library would allocate what it is told to, or panic in a goroutine of its own, and the gateway would end.
type guard struct {
	net.Conn

	mu       sync.Mutex
	asked    uint64
	answered uint64
	failed   error // of reading
	out, in  stream
}

// newGuard guards a connection. Messages that nobody asked for may come only where subscriptions are made, as to sentinels.
func newGuard(conn net.Conn, pushes bool) *guard {
	return &guard{Conn: conn, in: stream{pushes: pushes}}
}

// Read reads what was checked. After an error nothing more comes.
func (g *guard) Read(p []byte) (int, error) {
	if g.failed != nil {
		return 0, g.failed
	}
	n, err := g.Conn.Read(p)
	messages, wrong := g.in.pass(p[:n])
	if wrong == nil && messages > 0 {
		g.mu.Lock()
		g.answered += messages
		if g.answered > g.asked {
			wrong = errors.New("an answer to nothing that was asked")
		}
		g.mu.Unlock()
	}
	if wrong != nil {
		g.failed = wrong
		return 0, wrong
	}
	return n, err
}

// Write counts the questions before it sends them: the answer may be there before it returns.
func (g *guard) Write(p []byte) (int, error) {
	messages, err := g.out.pass(p)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	g.asked += messages
	g.mu.Unlock()
	return g.Conn.Write(p)
}

const (
	maxLine     = 64 << 10  // of a simple text
	maxText     = 256 << 20 // of a text with a length
	maxElements = 1 << 20   // of all arrays of a message
	maxDepth    = 16
)

// stream follows messages of RESP, the protocol of Redis, in whatever pieces they come.
type stream struct {
	line   [24]byte // the begin of a line: its type, and a number
	length int      // of the line so far
	skip   int64    // bytes of a text that are still to come, with its end of line
	levels [maxDepth]int64
	depth  int
	total  int64 // elements of this message
	push   bool  // it is no answer
	pushes bool  // there may be such
}

// pass follows what comes next, and returns how many messages ended in it, other than pushed ones.
func (s *stream) pass(p []byte) (messages uint64, err error) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := min(s.skip, int64(len(p)))
			s.skip -= n
			p = p[n:]
			if s.skip == 0 && s.ended() && !s.push {
				messages++
			}
			continue
		}
		c := p[0]
		p = p[1:]
		if c != '\n' {
			if s.length < len(s.line) {
				s.line[s.length] = c
			}
			if s.length++; s.length > maxLine {
				return messages, errors.New("a line without end")
			}
			continue
		}
		done, err := s.header()
		s.length = 0
		if err != nil {
			return messages, err
		}
		if done && !s.push {
			messages++
		}
	}
	return messages, nil
}

// header reads a line. It says whether the message ends with it.
func (s *stream) header() (bool, error) {
	if s.length < 2 || s.length <= len(s.line) && s.line[s.length-1] != '\r' {
		return false, errors.New("a line that does not end as lines do")
	}
	kind := s.line[0]
	if s.depth == 0 {
		s.push, s.total = kind == '>', 0
	}
	switch kind {
	case '+', '-', ':', ',', '(':
		return s.ended(), nil
	case '_', '#':
		if want := map[byte]int{'_': 2, '#': 3}[kind]; s.length != want {
			return false, errors.New("a value that is longer than such values are")
		}
		return s.ended(), nil
	case '$', '=', '!':
		n, err := s.number(maxText)
		if err != nil {
			return false, err
		}
		if n < 0 {
			return s.ended(), nil
		}
		s.skip = n + 2
		return false, nil
	case '*', '~', '>', '%':
		return s.open(kind)
	}
	return false, errors.New("a message of an unknown type")
}

// open begins an array.
func (s *stream) open(kind byte) (bool, error) {
	n, err := s.number(maxElements)
	if err != nil {
		return false, err
	}
	switch {
	case kind == '%' && n > 0:
		n *= 2
	case kind == '%' && n < 0, kind == '>' && n < 1:
		return false, errors.New("a length that is none")
	case kind == '>' && !s.pushes:
		return false, errors.New("a message that nobody asked for")
	}
	if n <= 0 {
		return s.ended(), nil
	}
	if s.total += n; s.total > maxElements {
		return false, errors.New("a message with too many elements")
	}
	if s.depth == maxDepth {
		return false, errors.New("a message that is nested too deeply")
	}
	s.levels[s.depth] = n
	s.depth++
	return false, nil
}

// ended is called where an element ends. It says whether the message does.
func (s *stream) ended() bool {
	for s.depth > 0 {
		if s.levels[s.depth-1]--; s.levels[s.depth-1] > 0 {
			return false
		}
		s.depth--
	}
	return true
}

// number reads the number of a line: a length, or -1 for none.
func (s *stream) number(most int64) (int64, error) {
	wrong := errors.New("a length that is none")
	if s.length > len(s.line) {
		return 0, wrong
	}
	text := s.line[1 : s.length-1]
	if string(text) == "-1" {
		return -1, nil
	}
	if len(text) == 0 || len(text) > 12 {
		return 0, wrong
	}
	var n int64
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, wrong
		}
		n = n*10 + int64(c-'0')
	}
	if n > most {
		return 0, errors.New("a length beyond measure")
	}
	return n, nil
}
