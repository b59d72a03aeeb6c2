package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis/redistest"
)

// connected returns a store in a Redis, with a connection of its own.
func connected(t *testing.T, s *redistest.Server) *remote {
	t.Helper()
	r, err := newRemote(s.URL() + "/3")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedis(t *testing.T) {
	s := redistest.New(t)
	r, ctx := connected(t, s), t.Context()
	if _, err := r.load(ctx, "a"); err == nil || errors.Is(err, errNotStored) {
		t.Errorf("without a server: %v", err)
	}
	s.Run()
	if _, err := r.load(ctx, "a"); !errors.Is(err, errNotStored) {
		t.Errorf("got %v", err)
	}
	if err := r.save(ctx, "a", []byte("b\x00c")); err != nil {
		t.Fatal(err)
	}
	if got, err := connected(t, s).load(ctx, "a"); string(got) != "b\x00c" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for range 2 {
		if err := r.remove(ctx, "a"); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.load(ctx, "a"); !errors.Is(err, errNotStored) {
		t.Errorf("got %v", err)
	}
}

func TestRedisLocks(t *testing.T) {
	s := redistest.Start(t)
	stores := []*remote{connected(t, s), connected(t, s)}
	var all sync.WaitGroup
	var inside sync.Mutex
	for i := range 6 {
		all.Go(func() {
			unlock, err := stores[i%2].lock(t.Context(), "x")
			if err != nil {
				t.Error(err)
				return
			}
			if inside.TryLock() {
				_, _ = stores[i%2].load(t.Context(), "something that takes a moment")
				inside.Unlock()
			} else {
				t.Error("two held the lock at once")
			}
			unlock()
		})
	}
	all.Wait()

	unlock, err := stores[0].lock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := stores[1].lock(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	text, err := stores[1].do(t.Context(), "PTTL", redisPrefix+"lock:x")
	if left, _ := strconv.Atoi(text); err != nil || left <= 0 || int64(left) > redisLock.Milliseconds() {
		t.Errorf("the lock outlives its holder by %sms, %v", text, err)
	}
	// One that has ended and is held by another now is left alone.
	if err := stores[1].save(t.Context(), "lock:x", []byte("another's")); err != nil {
		t.Fatal(err)
	}
	unlock()
	if got, err := stores[1].load(t.Context(), "lock:x"); string(got) != "another's" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestRedisIsMute has a server that takes connections and says nothing.
func TestRedisIsMute(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := newRemote("redis://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.load(t.Context(), "a"); err == nil || errors.Is(err, errNotStored) {
		t.Errorf("got %v", err)
	}
}

func TestRedisCluster(t *testing.T) {
	url, servers := redistest.Cluster(t)
	r, err := newRemote(url)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		name := fmt.Sprint("a", i)
		unlock, err := r.lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.save(t.Context(), name, []byte(name)); err != nil {
			t.Error(err)
		}
		unlock()
		if _, err := r.load(t.Context(), "lock:"+name); !errors.Is(err, errNotStored) {
			t.Errorf("it is locked still: %v", err)
		}
		if got, err := r.load(t.Context(), name); string(got) != name || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	for _, s := range servers {
		if s.Must("DBSIZE") == ":0\r\n" {
			t.Error("a server has nothing")
		}
	}
}
