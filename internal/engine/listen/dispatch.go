package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"cardea.dev/cardea/internal/http1/server"
)

// newHTTP1 makes the server of HTTP/1.1 and HTTP/1.0, which is our own. HTTP/2 is net/http's.
func newHTTP1(s settings, handler http.Handler, o Options) *server.Server {
	return &server.Server{
		Handler:       handler,
		HeaderTimeout: unlimited(s.headerTimeout), IdleTimeout: unlimited(s.idleTimeout),
		BodyTimeout: unlimited(s.bodyIdle), WriteTimeout: unlimited(s.writeIdle),
		BodyPace: s.bodyPace, WritePace: s.writePace,
		MaxHeaderBytes: s.maxHeader, MaxRequests: s.requests,
		Refuse: o.Refuse,
		Log:    o.Log,
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateHijacked {
				hold(c, s.writeIdle, server.Meter{})
			}
		},
	}
}

// unbounded takes the limits of writes off a plain connection: package http1 has its own, as long as it has the connection.
func unbounded(c net.Conn) { hold(c, 0, server.Meter{}) }

// unstalled is unbounded for TLS, where the pace is that of what is written below.
func unstalled(c *tls.Conn) {
	if below := inner(c); below != nil {
		below.stall = 0
	}
}

// hold bounds how long the client of a connection may take nothing, and at which pace it must take what is written.
func hold(c net.Conn, stall time.Duration, m server.Meter) {
	if below := inner(c); below != nil {
		below.stall, below.meter = stall, m
	}
}

// inner returns the connection that was accepted.
func inner(c net.Conn) *conn {
	for {
		switch t := c.(type) {
		case *conn:
			return t
		case *proxied:
			c = t.inner
		case *tls.Conn:
			c = t.NetConn()
		default:
			return nil
		}
	}
}

// unlimited is a time as http1 takes it, for whom 0 is a default and less than that no limit.
func unlimited(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// take serves a connection, by the protocol that it speaks.
func (s *pair) take(c net.Conn) {
	if _, secure := c.(*tls.Conn); !secure && !s.settings.http1 {
		s.queue.put(c)
		return
	}
	go s.serve(c) // ends with the connection, or when net/http has it
}

// serve finds out which protocol a connection speaks: by ALPN, or without TLS by how it begins.
func (s *pair) serve(c net.Conn) {
	if secure, ok := c.(*tls.Conn); ok {
		switch err := s.shakeHands(secure); {
		case err != nil:
			_ = c.Close()
		case secure.ConnectionState().NegotiatedProtocol == challengeProtocol:
			_ = c.Close() // the certificate was the answer
		case secure.ConnectionState().NegotiatedProtocol == "h2" || !s.settings.http1:
			s.queue.put(c)
		default:
			unstalled(secure)
			s.one.ServeConn(c, nil)
		}
		return
	}
	if !s.settings.h2c {
		unbounded(c)
		s.one.ServeConn(c, nil)
		return
	}
	first, err := s.sniff(c)
	switch {
	case err != nil:
		_ = c.Close()
	case string(first) == preface:
		s.queue.put(&replayed{Conn: c, first: first})
	default:
		unbounded(c)
		s.one.ServeConn(c, first)
	}
}

// shakeHands does the handshake, in the time that the head of a request may take.
func (s *pair) shakeHands(c *tls.Conn) error {
	done, ok := s.shake()
	if !ok {
		return errors.New("too many handshakes are under way")
	}
	defer done()
	ctx := context.Background()
	if d := s.settings.headerTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	err := c.HandshakeContext(ctx)
	var plain tls.RecordHeaderError
	if errors.As(err, &plain) && plain.Conn != nil && looksLikeHTTP(plain.RecordHeader) {
		_ = plain.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = plain.Conn.Write([]byte("HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThis port speaks https.\n"))
	}
	if err != nil {
		s.log.handshakeFailed(err)
	}
	return err
}

// looksLikeHTTP says whether a client began with a request instead of a handshake.
func looksLikeHTTP(h [5]byte) bool {
	return strings.Contains("GET /|HEAD |POST |PUT /|OPTIO|DELET|PATCH", string(h[:]))
}

// preface is what an HTTP/2 connection begins with (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// sniff reads from a connection until it is clear whether it begins with the preface of HTTP/2. It returns what it read.
func (s *pair) sniff(c net.Conn) ([]byte, error) {
	if d := s.settings.headerTimeout; d > 0 {
		_ = c.SetReadDeadline(time.Now().Add(d))
		defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	}
	var buf [len(preface)]byte
	n := 0
	for n < len(buf) {
		got, err := c.Read(buf[n:])
		n += got
		if string(buf[:n]) != preface[:n] {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return append([]byte(nil), buf[:n]...), nil
}

// replayed is a connection of which something was read already, which is read first.
type replayed struct {
	net.Conn
	first []byte
}

// Read reads what was read already, and then the connection.
func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}
