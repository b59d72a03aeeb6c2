package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
)

// outcome is what came of a limit.
type outcome struct {
	limit   string
	callers []caller // the greedy one is the first
}

// caller is what became of a caller's requests.
type caller struct {
	name            string
	served, refused int
	most            int // at the service at once
	waits           []time.Duration
}

// try has all callers use the gateway with a limit.
func try(ctx context.Context, s settings, policy string) (*outcome, error) {
	service := &service{slots: make(chan struct{}, s.capacity), work: s.work, here: map[string]int{}, most: map[string]int{}}
	server := httptest.NewServer(service)
	defer server.Close()
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: off\nlog: off\n%s\nupstreams: {u: {endpoints: %s}}\nroutes: [{match: /**, to: u}]\n", policy, server.URL)
	g := control.New(control.Options{
		Load:  func() (*config.Config, error) { return config.Parse("fairness.yaml", []byte(text), config.Options{}) },
		Kinds: compile.Builtin(), Log: slog.New(slog.DiscardHandler), Version: "bench",
	})
	defer g.Close()
	if _, err := g.Start(ctx); err != nil {
		return nil, fmt.Errorf("the gateway does not start: %w", err)
	}
	o := &outcome{limit: called(policy), callers: make([]caller, s.polite+1)}
	limited, cancel := context.WithTimeout(ctx, s.time)
	defer cancel()
	var all sync.WaitGroup
	for i := range o.callers {
		c, connections := &o.callers[i], 1
		if c.name = fmt.Sprintf("polite-%02d", i); i == 0 {
			c.name, connections = "greedy", s.greedy
		}
		all.Go(func() { c.call(limited, "http://"+g.Listen.Addrs()[0].Actual, connections) })
	}
	all.Wait()
	for i := range o.callers {
		o.callers[i].most = service.mostOf(o.callers[i].name)
	}
	return o, ctx.Err()
}

// service is what all want: it works at so many requests at once, and the others wait for their turn.
type service struct {
	slots chan struct{}
	work  time.Duration

	mu         sync.Mutex
	here, most map[string]int // requests by caller: now, and at most
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-User")
	s.come(user, 1)
	defer s.come(user, -1)
	select {
	case s.slots <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	time.Sleep(s.work)
	<-s.slots
	_, _ = io.WriteString(w, "done\n")
}

// come counts a request that comes, or goes.
func (s *service) come(user string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.here[user] += n
	s.most[user] = max(s.most[user], s.here[user])
}

// mostOf is how many requests of a caller there were at once.
func (s *service) mostOf(user string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most[user]
}

// pause is how long a caller waits after a refusal: less than anybody should.
const pause = 5 * time.Millisecond

// call makes requests on so many connections, each as soon as the one before is answered.
func (c *caller) call(ctx context.Context, url string, connections int) {
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var all sync.WaitGroup
	var mu sync.Mutex
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				status, err := c.once(ctx, client, url)
				mu.Lock()
				switch {
				case err != nil: // the time is over
				case status == http.StatusOK:
					c.served++
					c.waits = append(c.waits, time.Since(began))
				default:
					c.refused++
				}
				mu.Unlock()
				if err == nil && status != http.StatusOK {
					time.Sleep(pause)
				}
			}
		})
	}
	all.Wait()
}

// once makes a request.
func (c *caller) once(ctx context.Context, client *http.Client, url string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-User", c.name)
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}
