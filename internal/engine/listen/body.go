package listen

import (
	"io"
	"net/http"
	"os"
	"time"

	"cardea.dev/cardea/internal/http1/server"
)

// idleBody is a request's body whose bytes must not be too long in coming. Only the time counts in which somebody waits for them. It may
// be read after the request has been served.
type idleBody struct {
	io.ReadCloser
	idle  time.Duration // 0: without end
	meter server.Meter
	alarm alarm // set during a Read
}

// limitBody bounds how long reads of a request's body may wait, and at which pace it must come. The body is nil where there is nothing to
// bound. Its alarm must be ended when the request has been served.
func limitBody(w http.ResponseWriter, r *http.Request, idle time.Duration, pace server.Pace) *idleBody {
	if idle <= 0 && pace.Bytes == 0 || r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &idleBody{ReadCloser: r.Body, idle: idle, meter: server.NewMeter(pace)}
	b.alarm.ring = func() { _ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) } // in HTTP/1.1 and HTTP/2 alike
	r.Body = b
	return b
}

// Read fails with a timeout when nothing came, or too little.
func (b *idleBody) Read(p []byte) (int, error) {
	if b.meter.Slow() {
		b.alarm.now()
		return 0, os.ErrDeadlineExceeded
	}
	wait := b.idle
	if left, enough := b.meter.Left(); b.meter.On() && !enough && (wait <= 0 || left < wait) {
		wait = left
	}
	at := time.Now()
	b.alarm.arm(wait)
	n, err := b.ReadCloser.Read(p)
	b.alarm.disarm()
	if b.meter.On() {
		b.meter.Note(n, time.Since(at))
	}
	return n, err
}
