package coalesce

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// file is a store, which can be made to fail.
type file struct {
	mu       sync.Mutex
	b        []byte
	most     int // bytes that it takes; 0: all
	writes   bool
	released atomic.Bool
}

var errFull, errWriteOnly = errors.New("full"), errors.New("it does not give back")

func (f *file) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.most > 0 && len(f.b)+len(p) > f.most {
		return 0, errFull
	}
	f.b = append(f.b, p...)
	return len(p), nil
}

func (f *file) ReadAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writes {
		return 0, errWriteOnly
	}
	if f.released.Load() {
		return 0, os.ErrClosed
	}
	return bytes.NewReader(f.b).ReadAt(p, at)
}

func (f *file) release() {
	if f.released.Swap(true) {
		panic("released twice")
	}
}

// TestManyJoinAKeptFetch at any time of it.
func TestManyJoinAKeptFetch(t *testing.T) {
	body := text(200_000)
	dir := t.TempDir()
	for name, keeping := range map[string]func() Keeping{
		"in memory":            func() Keeping { return Keeping{Memory: 1 << 20, Size: -1} },
		"in memory, of a size": func() Keeping { return Keeping{Memory: 1 << 20, Size: int64(len(body))} },
		"in a file": func() Keeping {
			f, err := os.CreateTemp(dir, "")
			if err != nil {
				t.Fatal(err)
			}
			return Keeping{Memory: 1 << 10, Size: -1, Store: f, Release: func() { _ = f.Close() }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &group{Options: Options{Patience: time.Nanosecond}}
				var fetches atomic.Int64
				var all sync.WaitGroup
				src := bytes.NewReader(body)
				run := func(f *fetch) {
					fetches.Add(1)
					f.Keep("head", keeping())
					err := f.Copy(readerFunc(func(p []byte) (int, error) {
						time.Sleep(10 * time.Millisecond)
						return src.Read(p[:min(len(p), 2000)])
					}))
					if err != io.EOF {
						t.Error(err)
					}
				}
				for i := range 1000 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * time.Millisecond)
						r, _ := join(g, "a", run)
						defer r.Close()
						time.Sleep(time.Duration(i%7) * 50 * time.Millisecond) // some begin to read late, or after its end
						if head, got, err := whole(t, r); head != "head" || !bytes.Equal(got, body) || err != nil {
							t.Errorf("%q, %d bytes, %v", head, len(got), err)
						}
					})
				}
				all.Wait()
				g.Wait()
				if n := fetches.Load(); n != 1 {
					t.Errorf("%d fetches", n)
				}
				if len(g.open) != 0 {
					t.Error("it can be joined still")
				}
			})
		})
	}
}

func TestKept(t *testing.T) {
	const memory = 100_000
	for _, test := range []struct {
		body, size int
		lens       []int // of the blocks
		most       int   // bytes of them all, with what is not used
	}{
		{0, 0, nil, 0},
		{0, -1, nil, 0},
		{300, 300, []int{300}, 300},
		{300, -1, []int{300}, 300},
		{4000, -1, []int{4000}, 4096},
		{4096, -1, []int{4096}, 4096},
		{5000, -1, []int{4096, 904}, 5000},
		{70_000, 70_000, []int{65536, 4464}, 70_000},
		{memory, -1, []int{4096, 16384, 16384, 16384, 16384, 16384, 13984}, memory},
		{memory, memory, []int{65536, 34464}, memory},
		{500, 300, []int{300, 200}, 500},
		{300, 500, []int{300}, 300},
		{memory + 1, -1, nil, -1},
		{memory + 1, memory + 1, nil, -1},
		{memory + 1, memory, nil, -1},
	} {
		g := &group{Options: options}
		body := text(test.body)
		r, _ := join(g, "a", func(f *fetch) {
			var blocks [][]byte
			ok := false
			f.Keep("head", Keeping{Memory: memory, Size: int64(test.size), Whole: func(b [][]byte, inMemory bool) { blocks, ok = b, inMemory }})
			if err := f.Copy(bytes.NewReader(body)); err != io.EOF {
				t.Error(err)
			}
			var lens []int
			caps := 0
			for _, b := range blocks {
				lens, caps = append(lens, len(b)), caps+cap(b)
			}
			if ok != (test.most >= 0) || ok && (!slices.Equal(lens, test.lens) || caps > test.most || !bytes.Equal(slices.Concat(blocks...), body)) {
				t.Errorf("%d bytes, said to be %d: %v of %d bytes, %v", test.body, test.size, lens, caps, ok)
			}
		})
		if _, got, err := whole(t, r); !bytes.Equal(got, body) || err != nil {
			t.Errorf("%d bytes, said to be %d: %d bytes were read, %v", test.body, test.size, len(got), err)
		}
		_ = r.Close()
		g.Wait()
	}
}

func TestNobodyNeedReadWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, keeping := range []Keeping{{Memory: 1 << 20, Size: -1}, {Size: -1, Store: &file{}}, {Size: -1, Store: &file{writes: true}}} {
			g := &group{Options: options}
			body := text(300_000)
			var done atomic.Bool
			src, w := io.Pipe()
			r, _ := join(g, "a", func(f *fetch) {
				f.Keep("head", keeping)
				done.Store(f.Copy(src) == io.EOF && f.Context().Err() == nil)
			})
			_, _ = w.Write(body[:100])
			_ = r.Close()
			_, _ = w.Write(body[100:])
			_ = w.Close()
			g.Wait()
			if f, ok := keeping.Store.(*file); !done.Load() || ok && !bytes.Equal(f.b, body) {
				t.Error("it ended with its reader")
			}
		}
	})
}

// TestWhatIsKeptNoLonger: its readers read on, in the bounded window, and nobody joins.
func TestWhatIsKeptNoLonger(t *testing.T) {
	const size = 1 << 20
	for name, keeping := range map[string]func() Keeping{
		"memory is full":          func() Keeping { return Keeping{Memory: 200_000, Size: -1} },
		"the size was not true":   func() Keeping { return Keeping{Memory: 200_000, Size: 150_000} },
		"the store fails":         func() Keeping { return Keeping{Size: -1, Store: &file{most: 200_000}} },
		"it fails with memory":    func() Keeping { return Keeping{Memory: 250_000, Size: -1, Store: &file{most: 200_000}} },
		"it fails after memory":   func() Keeping { return Keeping{Memory: 150_000, Size: -1, Store: &file{most: 200_000}} },
		"it does not give back":   func() Keeping { return Keeping{Memory: 200_000, Size: -1, Store: &file{writes: true}} },
		"too large and no store":  func() Keeping { return Keeping{Memory: 200_000, Size: size} },
		"it does so, of a length": func() Keeping { return Keeping{Memory: 200_000, Size: size, Store: &file{writes: true}} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &group{Options: options}
				body := text(size)
				var released atomic.Bool
				joined := make(chan struct{})
				run := func(f *fetch) {
					<-joined
					k := keeping()
					k.Release = func() { released.Store(true) }
					k.Whole = func(_ [][]byte, inMemory bool) {
						if f, ok := k.Store.(*file); inMemory || !ok || !f.writes {
							t.Error("it is kept")
						}
					}
					f.Keep("head", k)
					if err := f.Copy(bytes.NewReader(body)); err != io.EOF {
						t.Error(err)
					}
				}
				still, _ := join(g, "a", run)
				late, _ := join(g, "a", run)
				close(joined)
				synctest.Wait()
				if w := late.fetch.body.window; w > 250_000 {
					t.Errorf("%d bytes are held", w)
				}
				if _, leads := join(g, "a", func(*fetch) {}); !leads {
					t.Error("somebody joins")
				}
				if n, err := slow(late, 1<<10, time.Millisecond); n != size || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
				if n, err := io.Copy(io.Discard, still); !errors.Is(err, ErrSlow) {
					t.Errorf("the one that stood still: %d bytes, %v", n, err)
				}
				_ = still.Close()
				_ = late.Close()
				g.Wait()
				if !released.Load() {
					t.Error("it was not released")
				}
			})
		})
	}
}

func TestSlowReadersOfWhatIsKeptHoldUpNobody(t *testing.T) {
	const size = 1 << 20
	for name, keeping := range map[string]Keeping{
		"by memory":              {Memory: size, Size: size},
		"by a store":             {Memory: 100_000, Size: -1, Store: &file{}},
		"by a store, of a size":  {Memory: 100_000, Size: size, Store: &file{}},
		"by a store and memory":  {Memory: size, Size: -1, Store: &file{}},
		"by a store, not memory": {Size: -1, Store: &file{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &group{Options: options}
				body, begin := text(size), time.Now()
				run := func(f *fetch) {
					f.Keep("head", keeping)
					if err := f.Copy(bytes.NewReader(body)); err != io.EOF || time.Since(begin) > 0 {
						t.Errorf("%v after %s", err, time.Since(begin))
					}
				}
				still, _ := join(g, "a", run)
				synctest.Wait()
				if w := still.fetch.body.window; keeping.Memory < size && w > 64<<10 {
					t.Errorf("%d bytes are held", w)
				}
				time.Sleep(time.Hour)
				if got, err := io.ReadAll(still); !bytes.Equal(got, body) || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				_ = still.Close()
				g.Wait()
			})
		})
	}
}

func TestAKeptFetchThatBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		for _, keeping := range []Keeping{{Memory: 1 << 20, Size: 100}, {Memory: 1 << 20, Size: 200_000}, {Size: -1, Store: &file{}}} {
			g := &group{Options: options}
			body := strings.Repeat("x", 100_000)
			hold := make(chan struct{})
			r, _ := join(g, "a", func(f *fetch) {
				keeping.Whole = func([][]byte, bool) { t.Error("it is whole") }
				f.Keep("head", keeping)
				if err := f.Copy(io.MultiReader(strings.NewReader(body), iotest.ErrReader(broken))); !errors.Is(err, broken) {
					t.Error(err)
				}
				<-hold
			})
			synctest.Wait()
			if _, leads := join(g, "a", func(*fetch) {}); !leads {
				t.Error("somebody joins")
			}
			if _, got, err := whole(t, r); string(got) != body || !errors.Is(err, broken) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			_ = r.Close()
			close(hold)
			g.Wait()
		}
	})
}

// TestWhatAFailedStoreHasIsReadBeforeCopyReturns, since it is thrown away then.
func TestWhatAFailedStoreHasIsReadBeforeCopyReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		store := &file{most: 200_000}
		body := text(220_000)
		var copied atomic.Bool
		r, _ := join(g, "a", func(f *fetch) {
			f.Keep("head", Keeping{Size: -1, Store: store})
			if err := f.Copy(bytes.NewReader(body)); err != io.EOF {
				t.Error(err)
			}
			store.release()
			copied.Store(true)
		})
		synctest.Wait()
		time.Sleep(time.Hour)
		if copied.Load() {
			t.Error("it does not wait")
		}
		if got, err := io.ReadAll(r); !bytes.Equal(got, body) || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		synctest.Wait()
		if !copied.Load() {
			t.Error("it waits for nothing")
		}
		_ = r.Close()
		g.Wait()
	})
}

// TestAStoreThatLosesWhatItHad: a reader that needs it learns so, others do not notice.
func TestAStoreThatLosesWhatItHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		store := &file{}
		body := text(1 << 20)
		run := func(f *fetch) { f.Keep("head", Keeping{Size: -1, Store: store}); _ = f.Copy(bytes.NewReader(body)) }
		a, _ := join(g, "a", run)
		synctest.Wait()
		store.mu.Lock()
		store.b = store.b[:1000]
		store.mu.Unlock()
		if got, err := io.ReadAll(a); len(got) != 1000 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_ = a.Close()
		g.Wait()
	})
}

// TestWhatHasEndedIsStored: whoever has read all of an answer finds it stored, and whoever asks then joins no more.
func TestWhatHasEndedIsStored(t *testing.T) {
	for name, size := range map[string]int64{"of a length": 100_000, "of no length": -1} {
		t.Run(name, func(t *testing.T) {
			g := &group{Options: options}
			body := text(100_000)
			stored, hold := atomic.Bool{}, make(chan struct{})
			r, _ := join(g, "a", func(f *fetch) {
				f.Keep("head", Keeping{Memory: 1 << 20, Size: size, Whole: func([][]byte, bool) { runtime.Gosched(); stored.Store(true) }})
				_ = f.Copy(iotest.HalfReader(bytes.NewReader(body)))
				<-hold
			})
			if n, err := io.ReadFull(r, make([]byte, len(body))); err != nil || size >= 0 && !stored.Load() {
				t.Errorf("%d bytes, %v; stored: %v", n, err, stored.Load())
			}
			if _, err := r.Read(make([]byte, 1)); err != io.EOF || !stored.Load() {
				t.Errorf("%v; stored: %v", err, stored.Load())
			}
			if n, _ := g.Readers("a"); n != 0 {
				t.Error("it can be joined still")
			}
			_ = r.Close()
			close(hold)
			g.Wait()
		})
	}
}
