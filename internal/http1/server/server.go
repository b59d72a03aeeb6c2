package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1"
)

// Server serves HTTP/1.1 and HTTP/1.0 on connections that were accepted elsewhere. Its fields must not change once it serves.
// Durations and sizes of zero take the defaults; negative durations mean no limit.
type Server struct {
	// Handler answers the requests. It must not use its ResponseWriter, nor its Request apart from the body, after it has returned:
	// both are used again for the next request.
	Handler http.Handler

	// HeaderTimeout bounds how long the head of a request may take from its first byte on, and how long a new connection may send
	// nothing. What takes longer is answered with 408. Default 10 s.
	HeaderTimeout time.Duration

	// IdleTimeout is how long a connection is kept open between requests. Default 75 s.
	IdleTimeout time.Duration

	// BodyTimeout is how long a read of a request's body may wait for a byte. It fails with os.ErrDeadlineExceeded. Default 30 s.
	BodyTimeout time.Duration

	// WriteTimeout is how long a client may take nothing of what is written. Default 30 s.
	WriteTimeout time.Duration

	// BodyPace is the least pace at which a request's body must come, as far as it is waited for. A read fails with os.ErrDeadlineExceeded
	// when it has come more slowly.
	BodyPace Pace

	// WritePace is the least pace at which a client must take what is written, on connections without TLS. A write fails with
	// os.ErrDeadlineExceeded when it has taken it more slowly.
	WritePace Pace

	// MaxRequests is how many requests a connection may bring; 0: as many as it likes.
	MaxRequests int

	// MaxHeaderBytes bounds the head of a request, request line and all. Default 64 KiB.
	MaxHeaderBytes int

	// MaxTargetBytes bounds the target in the request line. Default MaxHeaderBytes.
	MaxTargetBytes int

	// MaxFields bounds the number of fields of a head, and of a trailer section. Default 256.
	MaxFields int

	// MaxTrailerBytes bounds the trailer section of a chunked body. Default 16 KiB.
	MaxTrailerBytes int

	// MaxDrain bounds how much is read of a body that the handler left unread, so that the connection can be used again. Default
	// 256 KiB; negative: nothing.
	MaxDrain int64

	// DrainTimeout bounds how long that may take. Default 500 ms.
	DrainTimeout time.Duration

	// KeepOnHalfClose lets a client that has ended its side of the connection, while it waits for an answer, get that answer however
	// long it takes. Without it such a client counts as gone, as there is no telling it from one that is: the context of a request
	// that has waited for long ends.
	KeepOnHalfClose bool

	// Refuse returns what is written to a client whose message cannot be read, before the connection is closed: a whole response,
	// which should say Connection: close. Nil, or when it returns nothing: a short text.
	Refuse func(c net.Conn, e *http1.ParseError) []byte

	// ConnState is told of the states of connections, as by net/http.
	ConnState func(net.Conn, http.ConnState)

	// Log is told of panics in handlers. Nil: slog.Default.
	Log *slog.Logger

	once     sync.Once
	limits   http1.Limits
	tracked  tracker
	watched  watcher
	calls    sync.Pool // of *call
	date     atomic.Pointer[dateLine]
	draining atomic.Bool
}

// ready fills in the defaults.
func (s *Server) ready() {
	s.once.Do(func() {
		set := func(d *time.Duration, standard time.Duration) {
			if *d == 0 {
				*d = standard
			}
		}
		set(&s.HeaderTimeout, 10*time.Second)
		set(&s.IdleTimeout, 75*time.Second)
		set(&s.BodyTimeout, 30*time.Second)
		set(&s.WriteTimeout, 30*time.Second)
		set(&s.DrainTimeout, 500*time.Millisecond)
		if s.MaxDrain == 0 {
			s.MaxDrain = 256 << 10
		}
		if s.Log == nil {
			s.Log = slog.Default()
		}
		s.limits = http1.Limits{Head: s.MaxHeaderBytes, Target: s.MaxTargetBytes, Fields: s.MaxFields, Trailer: s.MaxTrailerBytes}.OrDefaults()
		s.calls.New = func() any { return newCall() }
		s.watched.server = s
	})
}

// ServeConn serves a connection until it ends, is hijacked, or the server is shut down. first is what was read of it already; it is
// copied. A TLS connection must have shaken hands. It may return before the connection has ended, when that is idle: a goroutine of the
// server's waits on then.
func (s *Server) ServeConn(c net.Conn, first []byte) {
	s.ready()
	sc := newConn(s, c)
	if !s.tracked.add(sc) {
		_ = c.Close()
		return
	}
	sc.tell(http.StateNew)
	if len(first) > 0 {
		sc.reader.Feed(first)
	}
	sc.serve()
}

// Shutdown ends the server: connections without a request are closed at once, others after the response they wait for. It returns
// when all have ended, or with the error of ctx. Hijacked connections are not waited for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.ready()
	s.draining.Store(true)
	s.tracked.each(func(c *conn) { c.closeIdle() })
	select {
	case <-s.tracked.ended():
		s.watched.stop()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes all connections at once and takes no more. The contexts of their requests end; it does not wait for the handlers.
func (s *Server) Close() error {
	s.ready()
	s.draining.Store(true)
	s.tracked.ended()
	s.tracked.each(func(c *conn) {
		c.closing.Store(true)
		_ = c.conn.Close()
	})
	s.watched.cut()
	return nil
}

// Connections says how many connections there are.
func (s *Server) Connections() int { return int(s.tracked.count.Load()) }

// dateLine is a Date field for one second.
type dateLine struct {
	second int64
	line   [37]byte
}

// appendDate appends the Date field. It is made anew once a second.
func (s *Server) appendDate(b []byte) []byte {
	at := time.Now()
	d := s.date.Load()
	if d == nil || d.second != at.Unix() {
		d = &dateLine{second: at.Unix()}
		at.UTC().AppendFormat(append(d.line[:0], "Date: "...), http.TimeFormat+"\r\n")
		s.date.Store(d)
	}
	return append(b, d.line[:]...)
}
