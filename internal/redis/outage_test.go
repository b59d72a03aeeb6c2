package redis

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/rueidis"

	"cardea.dev/cardea/internal/redis/redistest"
)

// lost is an outage with what it says of itself.
type lost struct {
	*Outage
	log     redistest.Log
	up      atomic.Bool
	probes  atomic.Int64
	keys    sync.Map
	settled atomic.Int64
	answer  atomic.Pointer[func() error]
}

func newLost(t *testing.T, s *Server) *lost {
	t.Helper()
	l := &lost{}
	l.says(func() error { return nil })
	l.up.Store(true)
	l.Outage = NewOutage(OutageOptions{
		Server: s, Log: slog.New(slog.NewTextHandler(&l.log, nil)), Lost: "is-lost", Back: "is-back", Refused: "is-refused",
		Probe: func(_ context.Context, key string) error {
			l.probes.Add(1)
			l.keys.Store(key, true)
			return (*l.answer.Load())()
		},
		Settle: func(context.Context) error {
			if l.settled.Add(1) == 1 {
				return errors.New("once more")
			}
			return nil
		},
		Changed: l.up.Store,
	})
	l.Patience(time.Minute)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// says has probes get another answer.
func (l *lost) says(answer func() error) { l.answer.Store(&answer) }

// TestOutage: a server that is lost is probed by one, less and less often, and it is logged once.
func TestOutage(t *testing.T) {
	s := open(t, "redis://127.0.0.1:1")
	synctest.Test(t, func(t *testing.T) {
		l := newLost(t, s)
		l.says(func() error { return errors.New("no") })
		for range 100 {
			if reason := l.Failed("k", errors.New("broken")); reason != "connection" {
				t.Error(reason)
			}
			l.Late("other")
		}
		if !l.Down() || l.up.Load() {
			t.Error("it is up")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := l.probes.Load(); n < 6 || n > 25 || !l.Down() || l.settled.Load() != 0 {
			t.Errorf("%d probes, settled %d times", n, l.settled.Load())
		}
		l.keys.Range(func(key, _ any) bool {
			if key != "k" {
				t.Errorf("it is probed with %q", key)
			}
			return true
		})
		l.says(func() error { return nil })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l.Down() || !l.up.Load() || l.settled.Load() != 2 {
			t.Errorf("it is down, settled %d times", l.settled.Load())
		}
		if l.log.Count("is-lost") != 1 || l.log.Count("is-back") != 1 || l.log.Count("\n") != 2 {
			t.Errorf("logged %s", l.log.String())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l.Failed("k", errors.New("broken"))
		if l.Down() {
			t.Error("after the end it is probed")
		}
	})
}

// TestFlapping: a server that answers probes and nothing else is neither probed nor written of all the time.
func TestFlapping(t *testing.T) {
	s := open(t, "redis://127.0.0.1:1")
	synctest.Test(t, func(t *testing.T) {
		l := newLost(t, s)
		l.settled.Store(1)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			l.Failed("k", errors.New("broken"))
		}
		if n := l.log.Count("is-lost"); n < 2 || n > 130 {
			t.Errorf("logged %d times in a minute", n)
		}
		_ = l.Close()
	})
}

// TestSlow: only answers that come too late one after the other make a server one that is down, and it is up when it answers in time.
func TestSlow(t *testing.T) {
	s := open(t, "redis://127.0.0.1:1")
	synctest.Test(t, func(t *testing.T) {
		l := newLost(t, s)
		l.settled.Store(1)
		for range SlowAnswers - 1 {
			l.Late("k")
		}
		l.InTime()
		for range SlowAnswers - 1 {
			l.Late("k")
		}
		if l.Down() {
			t.Error("it is down")
		}
		l.Patience(time.Second) // is less than what was said
		l.says(func() error { time.Sleep(3 * time.Minute); return nil })
		l.Late("k")
		time.Sleep(30 * time.Minute)
		if !l.Down() {
			t.Error("it is up, and answers too late")
		}
		l.says(func() error { time.Sleep(time.Minute); return nil })
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if l.Down() {
			t.Error("it answers in time, and is down")
		}
		_ = l.Close()
	})
}

// TestRefused: what a server refuses for one key says nothing of it, unless it is a state of its own.
func TestRefused(t *testing.T) {
	r := redistest.Start(t)
	s := open(t, r.URL())
	l := newLost(t, s)
	ask := func(command ...string) error {
		return s.Ask(t.Context(), func(ctx context.Context, c rueidis.Client) error {
			return c.Do(ctx, c.B().Arbitrary(command...).Build()).Error()
		})
	}
	for range 10 {
		if reason := l.Failed("k", ask("HGET", "k")); reason != "refused" {
			t.Error(reason)
		}
		if reason := l.Failed("k", ErrAnswer); reason != "refused" {
			t.Error(reason)
		}
	}
	if l.Down() || l.log.Count("is-refused") != 1 || l.log.Count("\n") != 1 {
		t.Errorf("down: %t, logged %s", l.Down(), l.log.String())
	}
	r.Must("REPLICAOF", "127.0.0.1", "1")
	l.says(func() error { return io.EOF })
	if reason := l.Failed("k", ask("SET", "k", "v")); reason != "refused" || !l.Down() {
		t.Errorf("%s, down: %t", reason, l.Down())
	}
}
