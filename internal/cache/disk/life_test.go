package disk

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cardea.dev/cardea/filter"
)

// TestItFindsOutByItself that the directory can be used again.
func TestItFindsOutByItself(t *testing.T) {
	dir := fast(t)
	synctest.Test(t, func(t *testing.T) {
		b := newBenchIn(t, dir, Options{})
		b.put(version("a", 1, -1), versionBody("a", 1, 300_000))
		for _, away := range []time.Duration{0, 10 * time.Minute} {
			if err := os.RemoveAll(b.dir); err != nil {
				t.Fatal(err)
			}
			if away > 0 {
				if err := os.WriteFile(b.dir, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if !b.refused("b", 300_000) {
				t.Error("it is kept")
			}
			time.Sleep(away)
			if !b.Stats().Down || !b.refused("b", 10) || b.get("a") != nil {
				t.Error("it is not down")
			}
			if away > 0 {
				if err := os.Remove(b.dir); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(probeLast + time.Second)
			synctest.Wait()
			if b.Stats().Down || b.refused("b", 10) {
				t.Error("it is still down")
			}
		}
		b.said(2, "level=ERROR")
		b.said(2, "level=INFO")
	})
}

// TestWhileTheIndexIsMade: objects are found, and nothing is added.
func TestWhileTheIndexIsMade(t *testing.T) {
	b := newBench(t, Options{})
	for i := range 50 {
		k := fmt.Sprint("k", i)
		b.put(version(k, i, -1), versionBody(k, i, sizes[i%len(sizes)]))
		if i%3 == 0 {
			changed := *b.get(k)
			changed.Seq++
			b.Update(t.Context(), &changed)
		}
	}
	before := b.Stats()
	v := b.use()
	defer v.release()
	b.mu.Lock()
	b.ix, b.scanned = newIndex(), false
	b.mu.Unlock()
	b.files.reset()
	for i := range 20 {
		if !checkVersion(t, b.Store, fmt.Sprint("k", i)) {
			t.Errorf("%d is not found", i)
		}
	}
	if !b.refused("new", 10) || b.get("new") != nil {
		t.Error("it is kept")
	}
	if err := b.Sweep(t.Context(), 0, nil); err == nil {
		t.Error("it went through what is not known")
	}
	b.Delete(t.Context(), "k49")
	b.atMost(before.Bytes)
	b.scan(v, false)
	if after := b.Stats(); after.Objects != 49 {
		t.Errorf("%+v", after)
	}
	b.counted(t)
	b.reopen()
	b.counted(t)
}

// atMost checks that what is counted so far is not more than there was.
func (b *bench) atMost(most int64) {
	b.Helper()
	if s := b.Stats(); s.Bytes > most {
		b.Errorf("%+v, there were %d bytes", s, most)
	}
}

// TestCloseAtAnyTime: those who are under way find nothing, and break nothing.
func TestCloseAtAnyTime(t *testing.T) {
	dir := fast(t)
	for range 20 {
		b := newBenchIn(t, dir, Options{})
		var all sync.WaitGroup
		begun := make(chan bool, 100)
		for g := range 4 {
			all.Go(func() {
				for n := range 60 {
					k := fmt.Sprint("k", n%5)
					putSome(t, b.Store, version(k, g*1000+n, -1), versionBody(k, g*1000+n, sizes[n%7]))
					checkVersion(t, b.Store, k)
					_ = b.NoteMark(uint64(n), filter.Purge{Tag: k})
					b.Stats()
					select {
					case begun <- true:
					default:
					}
				}
			})
		}
		for range 10 {
			<-begun
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		again, err := Open(b.dir, b.o)
		if err != nil {
			t.Fatal(err)
		}
		all.Wait()
		for k := range 5 {
			checkVersion(t, again, fmt.Sprint("k", k))
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestMemoryOfLongBodies does not grow with them.
func TestMemoryOfLongBodies(t *testing.T) {
	b := newBenchIn(t, fast(t), Options{Limit: 512 << 20})
	var before, after runtime.MemStats
	piece := bodyOf("a", 1<<20)
	runtime.ReadMemStats(&before)
	w, err := b.Put(t.Context(), response("a", -1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for range 100 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.Commit(response("a", -1))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Body.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var to nowhere
	if _, err := f.(*reader).WriteTo(&to); err != nil || to.n != 100<<20 {
		t.Errorf("%d, %v", to.n, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes were allocated for 100 MiB", n)
	}
}

// TestBackoff: a directory that is of use only for moments at a time is tried, and logged, less and less.
func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Now()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := b.next(now); got != want*time.Second {
			t.Errorf("%d: %v", i, got)
		}
		now = now.Add(want*time.Second + 5*time.Second)
	}
	if got := b.next(now.Add(time.Minute)); got != probeFirst {
		t.Errorf("after a minute of use: %v", got)
	}
}
