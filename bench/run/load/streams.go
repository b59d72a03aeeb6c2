//go:build linux

package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// streams is a job whose connections have a goroutine each.
type streams struct {
	job   Job
	trust *tls.Config // nil without TLS
	texts [][]byte

	due     chan time.Time // requests that became due, in an open loop; closed after the last
	expires time.Time      // when all must be over

	mu     sync.Mutex // guards the rest
	next   int        // the next of texts
	window window
}

// runStreams does a job. All its goroutines have ended when it returns.
func runStreams(job Job, clock Clock) (Result, error) {
	trust, err := job.trust()
	if err != nil {
		return Result{}, err
	}
	s := &streams{job: job, trust: trust, texts: job.texts(), window: window{clock: clock, job: &job}}
	conns, err := s.connectAll()
	if err != nil {
		return Result{}, fmt.Errorf("cannot load %s: %w", job.Address, err)
	}
	start := time.Now()
	s.window.plan(start)
	s.expires = s.window.until.Add(2 * stall)
	s.due = make(chan time.Time, int(job.Rate*(job.Warmup+job.Time+stall).Seconds())+1)
	var all sync.WaitGroup
	for _, conn := range conns {
		all.Go(func() { s.work(conn) })
	}
	if job.Rate > 0 {
		all.Go(func() { s.pace(start) })
	}
	time.Sleep(job.Warmup)
	err = s.turn()
	time.Sleep(time.Until(s.until()))
	err = errors.Join(err, s.turn())
	all.Wait()
	if err != nil {
		return Result{}, err
	}
	return s.window.result()
}

func (s *streams) turn() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.turn(time.Now())
}

// until is when the window ends, as far as is known.
func (s *streams) until() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.window.until
}

// connectAll opens all connections, or none where each request has its own.
func (s *streams) connectAll() ([]net.Conn, error) {
	conns := make([]net.Conn, s.job.Connections)
	if s.job.Reconnect {
		return conns, nil
	}
	for i := range conns {
		var err error
		if conns[i], err = s.connect(); err != nil {
			for _, opened := range conns[:i] {
				_ = opened.Close()
			}
			return nil, err
		}
	}
	return conns, nil
}

func (s *streams) connect() (net.Conn, error) {
	dialer := &net.Dialer{Timeout: stall}
	if s.trust == nil {
		return dialer.Dial("tcp", s.job.Address)
	}
	return tls.DialWithDialer(dialer, "tcp", s.job.Address, s.trust)
}

// pace says when requests are due. Timers of the runtime are too coarse for that, those of the kernel are not.
func (s *streams) pace(start time.Time) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.due)
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	for i := 0; ; i++ {
		due := start.Add(time.Duration(float64(i) * float64(time.Second) / s.job.Rate))
		if !due.Before(s.until()) {
			return
		}
		if wait := time.Until(due); wait > 0 {
			pause := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&pause, nil) // cut short by a signal, one request is a little early
		}
		select {
		case s.due <- due:
		default: // the window is late by more than there is patience for
			return
		}
	}
}

// work makes requests on one connection until the job is over.
func (s *streams) work(conn net.Conn) {
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	buffer, answer := make([]byte, 64<<10), response{want: s.job.Want}
	for {
		due, more := s.await()
		if !more {
			return
		}
		var err error
		if conn == nil {
			conn, err = s.connect()
		}
		if err == nil {
			err = s.exchange(conn, buffer, &answer)
		}
		s.mu.Lock()
		if err != nil {
			s.window.fail(err)
			s.mu.Unlock()
			return
		}
		s.window.count(due, time.Now())
		s.mu.Unlock()
		if s.job.Reconnect {
			_ = conn.Close()
			conn = nil
		}
	}
}

// await waits for the next request of this connection and says when it was due.
func (s *streams) await() (due time.Time, more bool) {
	if s.job.Rate > 0 {
		due, more = <-s.due
		return due, more
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now(), !s.window.over
}

// exchange sends a request and reads its answer.
func (s *streams) exchange(conn net.Conn, buffer []byte, answer *response) error {
	s.mu.Lock()
	text := s.texts[s.next%len(s.texts)]
	s.next++
	s.mu.Unlock()
	if err := conn.SetDeadline(s.expires); err != nil {
		return err
	}
	if _, err := conn.Write(text); err != nil {
		return err
	}
	answer.reset()
	for {
		n, err := conn.Read(buffer)
		complete, wrong := answer.feed(buffer[:n])
		switch {
		case wrong != nil:
			return wrong
		case complete:
			return nil
		case err != nil:
			return fmt.Errorf("cannot read: %w", err)
		}
	}
}
