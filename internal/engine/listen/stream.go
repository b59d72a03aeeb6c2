package listen

import (
	"context"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/http1/server"
)

// connectionKey is what the context of a request in HTTP/2 has its connection under.
type connectionKey struct{}

// connection is what is counted of a connection that net/http serves.
type connection struct {
	net.Conn
	requests atomic.Int64

	mu      sync.Mutex
	arrival time.Duration // of resets; see gate
	began   time.Time
}

// withConnection puts the connection into the contexts of its requests.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, &connection{Conn: c, began: time.Now()})
}

// stream is the writer of a request in HTTP/2. It holds the client to the limits of its listener, as package http1 does in HTTP/1.1: how long it may
// take nothing of the answer, at which pace it must, and how often it may cancel requests.
type stream struct {
	http.ResponseWriter
	context context.Context // of the request as it came
	conn    *connection
	resets  gate
	counts  *counts
	idle    time.Duration
	meter   server.Meter
	alarm   alarm     // set during a write
	body    *idleBody // nil: it is not bounded
}

func newStream(w http.ResponseWriter, r *http.Request, now *live) *stream {
	limits := &now.config.Limits
	s := &stream{
		ResponseWriter: w, context: r.Context(), counts: now.counts, resets: newGate(limits.Resets), idle: limits.WriteIdle.Std(),
		meter: server.NewMeter(paceOf(limits.WriteRate)),
	}
	s.conn, _ = r.Context().Value(connectionKey{}).(*connection)
	s.alarm.ring = func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) } // ends the stream
	s.body = limitBody(w, r, limits.BodyIdle.Std(), paceOf(limits.BodyRate))
	if s.conn != nil && limits.Requests > 0 && s.conn.requests.Add(1) >= int64(limits.Requests) {
		w.Header().Set("Connection", "close") // net/http says so with GOAWAY, and lets what runs end
	}
	return s
}

// Unwrap is for http.ResponseController.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// piece is how much is written at once, so that it shows whether the client takes something.
const piece = 16 << 10

// Write writes all of p, for as long as the client goes on taking some of it.
func (s *stream) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var m int
		m, err = s.write(p[:min(len(p), piece)])
		n += m
		p = p[m:]
	}
	return n, err
}

func (s *stream) write(p []byte) (int, error) {
	at, err := s.begin()
	if err != nil {
		return 0, err
	}
	n, err := s.ResponseWriter.Write(p)
	s.done(at, n)
	return n, err
}

// FlushError sends what was written, for as long as the client goes on taking some of it.
func (s *stream) FlushError() error {
	at, err := s.begin()
	if err != nil {
		return err
	}
	err = http.NewResponseController(s.ResponseWriter).Flush()
	s.done(at, 0)
	return err
}

// begin bounds what may wait for the client, until done.
func (s *stream) begin() (at time.Time, err error) {
	if s.meter.Slow() {
		s.alarm.now()
		return at, os.ErrDeadlineExceeded
	}
	wait := s.idle
	if s.meter.On() {
		at = time.Now()
		if left, enough := s.meter.Left(); !enough && (wait <= 0 || left < wait) {
			wait = left
		}
	}
	s.alarm.arm(wait)
	return at, nil
}

func (s *stream) done(at time.Time, n int) {
	s.alarm.disarm()
	if s.meter.On() {
		s.meter.Note(n, time.Since(at))
	}
}

// end is called when the request has been served. What is still to be written may wait no longer than all else.
func (s *stream) end() {
	s.alarm.end()
	if s.body != nil {
		s.body.alarm.end()
	}
	if s.context.Err() == nil {
		if s.idle > 0 {
			_ = http.NewResponseController(s.ResponseWriter).SetWriteDeadline(time.Now().Add(s.idle))
		}
		return
	}
	if s.conn != nil && s.resets.on() && s.conn.cancelled(s.resets) {
		s.counts.resets.Inc()
		_ = s.conn.Close()
	}
}

// cancelled counts a request that its client cancelled. It says whether these are too many, the first time that they are.
func (c *connection) cancelled(g gate) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.arrival < 0 {
		return false
	}
	after, ok := g.next(c.arrival, time.Since(c.began))
	if c.arrival = after; !ok {
		c.arrival = -1
	}
	return !ok
}
