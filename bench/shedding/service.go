package main

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// The service: it works on so many requests at once, and on each for so long. That is 500 requests a second.
const (
	workers = 10
	takes   = 20 * time.Millisecond
)

// service is what is protected. Requests that it cannot work on yet wait in it, in the order in which they came. Like most services it does not notice when nobody
// waits for an answer any more, and works on it all the same.
type service struct {
	server *http.Server

	mu    sync.Mutex
	limit int
	busy  int
	line  []chan struct{}
}

// startService starts a service with its whole capacity.
func startService() (*service, string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	s := &service{limit: workers}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(l) }() // ends with close
	return s, l.Addr().String(), nil
}

func (s *service) close() { _ = s.server.Close() }

// capacity sets how many requests are worked on at once.
func (s *service) capacity(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = n
	s.next()
}

// ServeHTTP works on a request.
func (s *service) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	turn := make(chan struct{})
	s.mu.Lock()
	s.line = append(s.line, turn)
	s.next()
	s.mu.Unlock()
	<-turn
	time.Sleep(takes)
	s.mu.Lock()
	s.busy--
	s.next()
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// next begins with those who wait. The lock is held.
func (s *service) next() {
	for s.busy < s.limit && len(s.line) > 0 {
		close(s.line[0])
		s.line = s.line[1:]
		s.busy++
	}
}
