package acme

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/observe"
)

// slowStore takes its time to say that there is nothing, and counts how many ask.
type slowStore struct {
	folder
	loads, now, most atomic.Int64
}

func (s *slowStore) load(ctx context.Context, _ string) ([]byte, error) {
	s.loads.Add(1)
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.C:
		return nil, errNotStored
	}
}

// TestFlood has strangers ask as an authority does: the store must not be flooded, and nobody waits for long.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{Log: slog.New(slog.DiscardHandler), Metrics: observe.NewMetrics()})
		defer m.Close()
		store := &slowStore{}
		names := serving(100).served.Load()
		for _, d := range names.order {
			d.authority = &authority{store: store}
		}
		m.served.Store(names)
		began := time.Now()
		var all sync.WaitGroup
		for _, d := range names.order {
			for range 20 {
				all.Go(func() {
					r := httptest.NewRequest("GET", "http://"+d.name+"/.well-known/acme-challenge/x", nil)
					if m.Answer(httptest.NewRecorder(), r) {
						t.Error("answered")
					}
				})
				all.Go(func() {
					if m.Challenge(d.name) != nil {
						t.Error("answered")
					}
				})
			}
		}
		all.Wait()
		if took := time.Since(began); took > lookUp {
			t.Errorf("it took %v", took)
		}
		if n := store.most.Load(); n > lookUps {
			t.Errorf("%d asked the store at once", n)
		}
		if n := store.loads.Load(); n > 200 {
			t.Errorf("the store was asked %d times by 4000", n)
		}
	})
}
