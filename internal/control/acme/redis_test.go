package acme

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis/redistest"
)

// FreePort is a port that nobody listens on now.
func FreePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// StartRedis starts a Redis that ends with the test.
func StartRedis(t *testing.T, port int, more ...string) {
	t.Helper()
	args := append([]string{"--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir()}, more...)
	server := exec.Command("redis-server", args...)
	if err := server.Start(); err != nil {
		t.Fatalf("the tests need redis-server, which scripts/deps installs: %v", err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-look.C {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// connected returns a store in a Redis, with a connection of its own.
func connected(t *testing.T, port int) *remote {
	t.Helper()
	r, err := newRemote(fmt.Sprintf("redis://127.0.0.1:%d/3", port))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedis(t *testing.T) {
	port := FreePort(t)
	r, ctx := connected(t, port), t.Context()
	if _, err := r.load(ctx, "a"); err == nil || errors.Is(err, errNotStored) {
		t.Errorf("without a server: %v", err)
	}
	StartRedis(t, port)
	if _, err := r.load(ctx, "a"); !errors.Is(err, errNotStored) {
		t.Errorf("got %v", err)
	}
	if err := r.save(ctx, "a", []byte("b\x00c")); err != nil {
		t.Fatal(err)
	}
	if got, err := connected(t, port).load(ctx, "a"); string(got) != "b\x00c" || err != nil {
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
	port := FreePort(t)
	StartRedis(t, port)
	stores := []*remote{connected(t, port), connected(t, port)}
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
