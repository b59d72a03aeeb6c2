package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/filter"
)

// tee is a request's body that is copied while the target reads it. The target may read it in a goroutine of its own, even
// after the exchange has ended.
type tee struct {
	io.ReadCloser
	m      *mirror
	child  *filter.Exchange
	length int64 // -1: unknown
	buf    []byte
	taken  atomic.Bool // the copy was sent or given up
}

// take says, once, that the caller decides what becomes of the copy.
func (t *tee) take() bool { return !t.taken.Swap(true) }

// Read reads on, and sends the copy at the end.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if !t.taken.Load() {
		t.note(p[:n], err)
	}
	return n, err
}

// note copies what was read, and decides when there is something to decide.
func (t *tee) note(p []byte, err error) {
	if int64(len(t.buf)+len(p)) > t.m.maxBody {
		t.giveUp(t.m.metrics.tooLarge.Inc)
		return
	}
	t.buf = append(t.buf, p...)
	switch {
	case err == io.EOF, int64(len(t.buf)) == t.length:
		if t.take() {
			t.m.send(t.child, t.buf)
			t.buf, t.child = nil, nil
		}
	case err != nil:
		t.giveUp(t.m.metrics.unread.Inc)
	}
}

func (t *tee) giveUp(count func()) {
	if t.take() {
		count()
		t.m.release()
		t.buf, t.child = nil, nil
	}
}

// send sends a copy in a goroutine of its own, which ends with its timeout or with Close.
func (m *mirror) send(child *filter.Exchange, body []byte) {
	go func() {
		defer m.release()
		defer m.recovered()
		m.deliver(child, body)
	}()
}

// recovered keeps a panic of an upstream's from ending the process.
func (m *mirror) recovered() {
	if p := recover(); p != nil {
		m.metrics.failed.Inc()
		m.log.Error("panic while mirroring a request", "upstream", m.to.Name(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

// deliver sends a copy, and reads the answer to its end.
func (m *mirror) deliver(child *filter.Exchange, body []byte) {
	ctx, cancel := context.WithTimeout(m.ctx, m.timeout)
	defer cancel()
	r := child.Request.WithContext(ctx)
	if len(body) > 0 {
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
	}
	child.Request, child.Start = r, time.Now()
	defer child.Release()
	begin := child.Start
	resp, err := m.to.Do(child, r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		err = errors.Join(err, resp.Body.Close())
	}
	m.count(ctx, resp, err, begin)
}

// count records what became of a copy.
func (m *mirror) count(ctx context.Context, resp *http.Response, err error, begin time.Time) {
	switch {
	case err == nil && resp.StatusCode >= 100 && resp.StatusCode < 600:
		m.metrics.answered[resp.StatusCode/100].Inc()
		m.metrics.duration.Observe(time.Since(begin).Seconds())
	case m.ctx.Err() != nil:
		m.metrics.canceled.Inc()
	case ctx.Err() != nil:
		m.metrics.timeout.Inc()
	default:
		m.metrics.failed.Inc()
	}
}
