package listen

import (
	"io"
	"net/http"
	"time"
)

// idleBody is a request's body whose bytes must not be too long in coming. Only the time counts in which somebody waits for them.
type idleBody struct {
	io.ReadCloser
	writer http.ResponseWriter
	idle   time.Duration
	timer  *time.Timer // runs during a Read
}

// limitBody bounds how long reads of a request's body may wait.
func limitBody(w http.ResponseWriter, r *http.Request, idle time.Duration) {
	if idle <= 0 || r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		return
	}
	r.Body = &idleBody{ReadCloser: r.Body, writer: w, idle: idle}
}

// Read fails with a timeout when nothing came.
func (b *idleBody) Read(p []byte) (int, error) {
	if b.timer == nil {
		b.timer = time.AfterFunc(b.idle, b.expire)
	} else {
		b.timer.Reset(b.idle)
	}
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	return n, err
}

// expire ends the read that waits: a deadline that has passed does so in HTTP/1.1 and HTTP/2 alike.
func (b *idleBody) expire() {
	_ = http.NewResponseController(b.writer).SetReadDeadline(time.Unix(1, 0))
}
