package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// The load: so many requests a second, whose senders wait so long and no longer.
const (
	rate    = 400
	patient = time.Second
)

// result is what came of a request.
type result struct {
	at    time.Duration // when it was sent
	class string
	took  time.Duration
	good  bool // it was answered by the service
	shed  bool // it was refused by the gateway
}

// classes are the classes of requests, with how many of a hundred are of each.
func classes() []struct {
	name  string
	share int
} {
	return []struct {
		name  string
		share int
	}{{"low", 30}, {"normal", 50}, {"high", 20}}
}

// load sends requests at a steady rate, whatever becomes of them: clients do not slow down because a service does.
func load(ctx context.Context, address string, d time.Duration) []result {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * rate}, Timeout: patient}
	defer client.CloseIdleConnections()
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	var all []result
	var wait sync.WaitGroup
	start := time.Now()
	for at := time.Duration(0); at < d && ctx.Err() == nil; at += time.Duration(random.ExpFloat64() / rate * 1e9) {
		class := classOf(random.IntN(100))
		time.Sleep(time.Until(start.Add(at)))
		wait.Go(func() {
			r := ask(ctx, client, address, class)
			r.at = at
			mu.Lock()
			all = append(all, r)
			mu.Unlock()
		})
	}
	wait.Wait()
	return all
}

// classOf is the class for a number below a hundred.
func classOf(n int) string {
	for _, c := range classes() {
		if n -= c.share; n < 0 {
			return c.name
		}
	}
	return ""
}

// ask sends a request.
func ask(ctx context.Context, client *http.Client, address, class string) result {
	r := result{class: class}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
	if err != nil {
		return r
	}
	req.Header.Set("X-Class", class)
	start := time.Now()
	resp, err := client.Do(req)
	r.took = time.Since(start)
	if err != nil {
		return r
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	r.good, r.shed = resp.StatusCode == http.StatusNoContent, resp.StatusCode == http.StatusServiceUnavailable
	return r
}
