package listen

import (
	"io"
	"net/http"
	"os"
	"time"

	"cardea.dev/cardea/internal/http1"
)

// idleBody is a request's body whose bytes must not be too long in coming. Only the time counts in which somebody waits for them.
type idleBody struct {
	io.ReadCloser
	writer http.ResponseWriter
	idle   time.Duration // 0: without end
	meter  http1.Meter
	timer  *time.Timer // runs during a Read
}

// limitBody bounds how long reads of a request's body may wait, and at which pace it must come.
func limitBody(w http.ResponseWriter, r *http.Request, idle time.Duration, pace http1.Pace) {
	if idle <= 0 && pace.Bytes == 0 || r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	r.Body = &idleBody{ReadCloser: r.Body, writer: w, idle: idle, meter: http1.NewMeter(pace)}
}

// Read fails with a timeout when nothing came, or too little.
func (b *idleBody) Read(p []byte) (int, error) {
	if !b.meter.On() {
		return b.read(p, b.idle)
	}
	if b.meter.Slow() {
		b.expire()
		return 0, os.ErrDeadlineExceeded
	}
	wait := b.idle
	if left, enough := b.meter.Left(); !enough && (wait <= 0 || left < wait) {
		wait = left
	}
	at := time.Now()
	n, err := b.read(p, wait)
	b.meter.Note(n, time.Since(at))
	return n, err
}

// read waits no longer than for a time; 0: without end.
func (b *idleBody) read(p []byte, wait time.Duration) (int, error) {
	switch {
	case wait <= 0:
		return b.ReadCloser.Read(p)
	case b.timer == nil:
		b.timer = time.AfterFunc(wait, b.expire)
	default:
		b.timer.Reset(wait)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	return n, err
}

// expire ends the read that waits: a deadline that has passed does so in HTTP/1.1 and HTTP/2 alike.
func (b *idleBody) expire() {
	_ = http.NewResponseController(b.writer).SetReadDeadline(time.Unix(1, 0))
}
