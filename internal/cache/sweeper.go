package cache

import (
	"sync"
	"time"
)

// sweeper runs a sweep a while after it was asked for, one at a time.
type sweeper struct {
	mu      sync.Mutex
	timer   *time.Timer
	running bool
	again   bool
	closed  bool
	stop    chan struct{}
	all     sync.WaitGroup
}

// sweepPause is how long purges are collected for one sweep.
const sweepPause = time.Second

// soon has a sweep run soon.
func (s *sweeper) soon(sweep func(stop <-chan struct{})) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.timer != nil {
		return
	}
	if s.running {
		s.again = true
		return
	}
	if s.stop == nil {
		s.stop = make(chan struct{})
	}
	s.timer = time.AfterFunc(sweepPause, func() { s.run(sweep) })
}

func (s *sweeper) run(sweep func(stop <-chan struct{})) {
	s.mu.Lock()
	s.timer = nil
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.running = true
	stop := s.stop
	s.all.Add(1)
	s.mu.Unlock()

	sweep(stop)

	s.mu.Lock()
	s.running = false
	again := s.again
	s.again = false
	s.mu.Unlock()
	s.all.Done()
	if again {
		s.soon(sweep)
	}
}

// close ends a sweep that runs, and has none begin.
func (s *sweeper) close() {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.stop != nil {
		close(s.stop)
		s.stop = nil
	}
	s.mu.Unlock()
	s.all.Wait()
}
