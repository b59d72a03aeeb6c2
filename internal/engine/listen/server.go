package listen

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/http1/server"
)

// settings are what an http.Server cannot change while it runs. When they change, a new server takes the new connections, and the
// one before keeps those that it has until they end: none is cut.
type settings struct {
	http1, http2, h2c          bool
	headerTimeout, idleTimeout time.Duration
	bodyIdle, writeIdle        time.Duration
	bodyPace, writePace        server.Pace
	maxHeader, streams         int
	requests                   int
}

func newSettings(c *config.Listener) settings {
	speaks := c.Speaks()
	return settings{
		http1: slices.Contains(speaks, "http1"), http2: slices.Contains(speaks, "http2"), h2c: slices.Contains(speaks, "h2c"),
		headerTimeout: c.Limits.HeaderTimeout.Std(), idleTimeout: c.Limits.IdleTimeout.Std(),
		bodyIdle: c.Limits.BodyIdle.Std(), writeIdle: c.Limits.WriteIdle.Std(),
		maxHeader: int(headerRoom * c.Limits.Header), streams: c.Limits.Streams,
		bodyPace: paceOf(c.Limits.BodyRate), writePace: paceOf(c.Limits.WriteRate), requests: c.Limits.Requests,
	}
}

func paceOf(p config.Pace) server.Pace { return server.Pace{Bytes: p.Bytes(), Within: p.Over} }

// headerRoom is how many times the limit of headers net/http reads, so that the handler can refuse larger ones itself. What is
// larger still gets net/http's own 431.
const headerRoom = 2

// defaultStreams is how many requests one HTTP/2 connection may have at once where that is not said.
const defaultStreams = 128

// pingAfter is after how much silence an HTTP/2 connection is asked whether it still lives, and pingWait how long it may take to
// say so.
const (
	pingAfter = 30 * time.Second
	pingWait  = 15 * time.Second
)

// pair is the two servers of a listener, for HTTP/1.1 and for HTTP/2, with the connections that they have.
type pair struct {
	settings settings
	one      *server.Server
	http     *http.Server
	log      *serverLog
	queue    *queue
	ended    chan struct{} // closed when it takes no more connections
	shake    func() (done func(), ok bool)

	mu      sync.Mutex
	conns   int
	retired bool // another has taken its place
	closed  bool
}

// newPair starts a pair of servers. It runs until it is shut down, or retired and without connections.
func newPair(s settings, handler http.Handler, addr net.Addr, o Options, errors *serverLog) *pair {
	var protocols http.Protocols
	protocols.SetHTTP1(s.http1)
	protocols.SetHTTP2(s.http2)
	protocols.SetUnencryptedHTTP2(s.h2c)
	if s.streams == 0 {
		s.streams = defaultStreams
	}
	srv := &pair{settings: s, queue: newQueue(addr), ended: make(chan struct{}), one: newHTTP1(s, handler, o), log: errors}
	srv.http = &http.Server{
		Handler:                      handler,
		Protocols:                    &protocols,
		ReadHeaderTimeout:            s.headerTimeout,
		IdleTimeout:                  s.idleTimeout,
		MaxHeaderBytes:               s.maxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the handler's
		ErrorLog:                     log.New(errors, "", 0),
		ConnContext:                  withConnection,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: s.streams, SendPingTimeout: pingAfter, PingTimeout: pingWait,
		},
	}
	go func() { // ends with the queue
		defer close(srv.ended)
		_ = srv.http.Serve(srv.queue)
	}()
	return srv
}

// hold counts a connection that will be handed over, unless the pair takes no more.
func (s *pair) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns++
	return true
}

// release counts a connection that has ended. It may be called with locks of the http.Server held.
func (s *pair) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	s.endIfDone()
}

// retire makes the pair end with its last connection.
func (s *pair) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
	s.endIfDone()
}

func (s *pair) endIfDone() {
	if s.retired && s.conns == 0 {
		s.closed = true
		_ = s.queue.Close()
	}
}

// over says whether the pair has ended.
func (s *pair) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed && s.conns == 0
}

// shutdown lets what runs end; what has not when ctx ends is cut.
func (s *pair) shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	one := make(chan error, 1)
	go func() { one <- s.one.Shutdown(ctx) }() // ends with ctx
	err := errors.Join(s.http.Shutdown(ctx), <-one)
	if err != nil {
		_ = s.http.Close()
		_ = s.one.Close()
	}
	<-s.ended
	return err
}

// close cuts all.
func (s *pair) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	_ = s.http.Close()
	_ = s.one.Close()
	<-s.ended
}

// queue hands connections that were accepted elsewhere to an http.Server, as a net.Listener.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

func newQueue(addr net.Addr) *queue {
	return &queue{conns: make(chan net.Conn), done: make(chan struct{}), addr: addr}
}

// put hands a connection over, or closes it when nobody takes it any more.
func (q *queue) put(c net.Conn) {
	select {
	case q.conns <- c:
	case <-q.done:
		_ = c.Close()
	}
}

// Accept waits for the next connection.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr is where the connections come in.
func (q *queue) Addr() net.Addr { return q.addr }

// serverLog takes what an http.Server says of its connections. Nearly all of it is what clients do, and of interest only to who
// looks for it.
type serverLog struct {
	log    *slog.Logger
	counts func() *counts
}

func (s *serverLog) handshakeFailed(err error) {
	s.counts().failedHandshakes.Inc()
	s.log.Debug("TLS handshake failed", "error", err)
}

// Write takes one line.
func (s *serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	text = strings.TrimPrefix(text, "http: ")
	switch {
	case strings.HasPrefix(text, "TLS handshake error from "):
		s.handshakeFailed(errors.New(strings.TrimPrefix(text, "TLS handshake error from ")))
	case strings.HasPrefix(text, "panic serving "), strings.HasPrefix(text, "http2: panic serving "):
		s.log.Error("panic while serving a connection", "panic", text)
	default:
		s.log.Debug("connection", "message", text)
	}
	return len(line), nil
}
