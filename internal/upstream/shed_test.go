package upstream

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/keep"
	"cardea.dev/cardea/observe"
)

// ask sends a request of a class.
func ask(c *Cluster, p filter.Priority) (*http.Response, *filter.Error) {
	ex := &filter.Exchange{Request: get(), Priority: p, Start: time.Now()}
	resp, err := c.Do(ex, ex.Request)
	if err != nil {
		return nil, filter.AsError(err)
	}
	_ = resp.Body.Close()
	return resp, nil
}

// When the line is full a more important request takes the place of the least important, which is refused, and is served before the others.
func TestImportantRequestsGoFirst(t *testing.T) {
	arrived, free := make(chan struct{}), make(chan struct{})
	b := newBackend(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-free })
	c := newCluster(t, func(u *config.Upstream) { u.Limits.Requests, u.Limits.Pending, u.Limits.PendingWait = 1, 2, 0 }, b.URL)
	done := make(chan filter.Priority, 10)
	refused := make(chan *filter.Error, 10)
	send := func(p filter.Priority, waiting int) {
		go func() {
			if _, err := ask(c, p); err != nil {
				refused <- err
			} else {
				done <- p
			}
		}()
		if waiting > 0 {
			waitFor(t, func() bool { return c.Status().Limit.Waiting == waiting })
		}
	}
	send(filter.Normal, 0)
	<-arrived
	send(filter.Low, 1)
	send(filter.Normal, 2)
	if _, err := ask(c, filter.Low); err == nil || err.Code != filter.UpstreamOverloaded {
		t.Errorf("one that is not more important than those who wait: %v", err)
	}
	send(filter.Critical, 0)
	err := <-refused
	if seconds, bad := strconv.Atoi(err.Header.Get("Retry-After")); err.Code != filter.UpstreamOverloaded || bad != nil || seconds < 1 {
		t.Errorf("who was put out: %v, %v", err, err.Header)
	}
	for i, want := range []filter.Priority{filter.Normal, filter.Critical, filter.Normal} {
		if i > 0 {
			<-arrived
		}
		free <- struct{}{}
		if got := <-done; got != want {
			t.Errorf("%s was served, want %s", got, want)
		}
	}
	idle(t, c)
}

// What a limit and hedging have learned outlives a reload as far as their settings stay.
func TestWhatWasLearnedOutlivesReloads(t *testing.T) {
	b := newBackend(t, says(200, ""))
	r := &reloads{t: t, keeper: keep.New(), metrics: observe.NewMetrics()}
	adaptive := func(u *config.Upstream) {
		u.Limits.Adaptive = &config.AdaptiveLimit{Min: 2, Start: 7}
		u.Hedge = new(config.Hedge)
		u.Hedge.Default()
	}
	first := r.load(adaptive, b.URL)
	second := r.load(func(u *config.Upstream) { adaptive(u); u.Retry.Off, u.Limits.Header = true, 1<<10 }, b.URL)
	if second == first || second.gate != first.gate || second.hedge != first.hedge {
		t.Error("with other settings for retries, the limit or what hedges is not that of before")
	}
	third := r.load(func(u *config.Upstream) { adaptive(u); u.Limits.Adaptive.Min, u.Hedge.Max = 3, 0.5 }, b.URL)
	if third.gate == second.gate || third.hedge == second.hedge {
		t.Error("with other settings for them they are the same")
	}
	_ = r.scope.Close()
	if n := len(third.memory.parts); n != 0 {
		t.Errorf("at the end %d parts are held", n)
	}
}

// Where fewer requests are allowed than the limit should come to at least, that counts.
func TestAdaptiveBelowAFixedLimit(t *testing.T) {
	c := newCluster(t, func(u *config.Upstream) { u.Limits.Adaptive, u.Limits.Requests = &config.AdaptiveLimit{Start: 20}, 3 }, "http://127.0.0.1:1")
	if s := c.Status().Limit; s.Requests != 3 || !s.Adaptive {
		t.Errorf("%+v", s)
	}
}

// snapshot is an upstream between two reloads, which is closed when nothing uses it any more.
type snapshot struct {
	*Cluster
	users sync.WaitGroup
	scope *keep.Scope
}

// Whatever is reloaded under load, the limit holds over all of it while its settings stay, all is accounted for, and nothing is left over.
func TestReloadsUnderLoad(t *testing.T) {
	var inside, most atomic.Int64
	handle := func(http.ResponseWriter, *http.Request) {
		if n := inside.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(time.Millisecond)
		inside.Add(-1)
	}
	a, b := newBackend(t, handle), newBackend(t, handle)
	keeper, metrics := keep.New(), observe.NewMetrics()
	build := func(i int) *snapshot {
		s := &snapshot{scope: keeper.Scope()}
		var err error
		s.Cluster, err = Kept("orders", settings(func(u *config.Upstream) {
			hedging(u)
			u.Limits.Requests, u.Limits.Pending = 6, 6
			u.Retry.Times = 1 + i%2
			u.Timeout.Request = config.Duration(time.Minute)
		}, a.URL, b.URL), Env{Metrics: metrics, Keeper: s.scope})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		return s
	}
	var mu sync.Mutex
	now := build(0)
	use := func() *snapshot {
		mu.Lock()
		defer mu.Unlock()
		now.users.Add(1)
		return now
	}
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			for range 60 {
				s := use()
				if _, err := ask(s.Cluster, filter.Priority(i%4)+filter.Low); err != nil && err.Code != filter.UpstreamOverloaded {
					t.Error(err)
				}
				s.users.Done()
			}
		})
	}
	for i := range 20 {
		time.Sleep(2 * time.Millisecond)
		next := build(i + 1)
		mu.Lock()
		old := now
		now = next
		mu.Unlock()
		old.users.Wait()
		if err := old.scope.Close(); err != nil {
			t.Error(err)
		}
	}
	wait.Wait()
	if most.Load() > 2*6 { // a try that was given up may still be worked on
		t.Errorf("%d were under way at once", most.Load())
	}
	idle(t, now.Cluster)
	memory := now.memory
	if err := now.scope.Close(); err != nil || len(memory.parts) != 0 {
		t.Errorf("at the end %d parts are held, %v", len(memory.parts), err)
	}
}

// Under load from all classes with a limit that adapts, all is accounted for.
func TestSheddingUnderLoad(t *testing.T) {
	b := newBackend(t, func(http.ResponseWriter, *http.Request) { time.Sleep(2 * time.Millisecond) })
	c := newCluster(t, func(u *config.Upstream) {
		u.Limits.Adaptive = &config.AdaptiveLimit{Min: 2, Start: 3}
		u.Limits.Requests, u.Limits.Pending = 4, 4
		u.Limits.PendingWait = config.Duration(5 * time.Millisecond)
	}, b.URL)
	var served, refused [classes]atomic.Int64
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			p := filter.Priority(i%4) + filter.Low
			for range 40 {
				if _, err := ask(c, p); err == nil {
					served[classOf(p)].Add(1)
				} else if err.Code == filter.UpstreamOverloaded {
					refused[classOf(p)].Add(1)
				} else {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for class := range classes {
		if n := served[class].Load() + refused[class].Load(); n != 200 {
			t.Errorf("of class %d %d are accounted for", class, n)
		}
	}
	if low, critical := served[0].Load(), served[classes-1].Load(); low >= critical {
		t.Errorf("%d of the least important were served, and %d of the most important", low, critical)
	}
	idle(t, c)
}
