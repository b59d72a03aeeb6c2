package coalesce

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	group  = Group[string, string]
	fetch  = Fetch[string, string]
	reader = Reader[string, string]
)

// join joins a fetch that run carries out.
func join(g *group, key string, run func(*fetch)) (*reader, bool) {
	return g.Join(key, func(f *fetch) func() { return func() { run(f) } })
}

var options = Options{Buffer: 64 << 10, Patience: time.Second}

// text is a body that is different everywhere.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>7 ^ i)
	}
	return b
}

// whole reads a reader's answer.
func whole(t testing.TB, r *reader) (string, []byte, error) {
	head, err := r.Head(t.Context(), 0)
	if err != nil {
		return "", nil, err
	}
	body, err := io.ReadAll(r)
	return head, body, err
}

func TestOneFetchForMany(t *testing.T) {
	g := &group{Options: Options{Buffer: 64 << 10, Patience: time.Hour}}
	body := text(200_000)
	var fetches atomic.Int64
	begin := make(chan struct{})
	var all, joined sync.WaitGroup
	joined.Add(1000)
	for range 1000 {
		all.Go(func() {
			r, _ := join(g, "a", func(f *fetch) {
				fetches.Add(1)
				<-begin
				f.Answer("head")
				_ = f.Copy(iotest.HalfReader(bytes.NewReader(body)))
			})
			joined.Done()
			defer r.Close()
			if head, got, err := whole(t, r); head != "head" || !bytes.Equal(got, body) || err != nil {
				t.Errorf("%q, %d bytes, %v", head, len(got), err)
			}
		})
	}
	joined.Wait()
	close(begin)
	all.Wait()
	g.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	if n, _ := g.Readers("a"); n != 0 || len(g.open) != 0 {
		t.Errorf("%d readers are left", n)
	}
}

func TestNobodyJoinsOnceTheHeadIsKnown(t *testing.T) {
	g := &group{Options: options}
	end := make(chan struct{})
	run := func(f *fetch) { f.Answer("head"); <-end }
	a, leads := join(g, "a", run)
	_, _ = a.Head(t.Context(), 0)
	b, leadsToo := join(g, "a", run)
	if !leads || !leadsToo {
		t.Errorf("leads: %v, %v", leads, leadsToo)
	}
	close(end)
	_ = a.Close()
	_ = b.Close()
	g.Wait()
}

func TestTheFetchEndsWithTheLastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		var ended atomic.Bool
		run := func(f *fetch) { <-f.Context().Done(); ended.Store(true) }
		leader, _ := join(g, "a", run)
		other, _ := join(g, "a", run)
		_ = leader.Close()
		_ = leader.Close()
		synctest.Wait()
		if ended.Load() {
			t.Error("it ended with the leader")
		}
		if _, err := other.Head(t.Context(), time.Second); !errors.Is(err, ErrLate) {
			t.Errorf("the other: %v", err)
		}
		_ = other.Close()
		g.Wait()
		if !ended.Load() {
			t.Error("it went on")
		}
		if _, leads := join(g, "b", func(*fetch) {}); !leads {
			t.Error("another key")
		}
		g.Wait()
	})
}

func TestWhatBreaksOffIsNotWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		for name, run := range map[string]func(f *fetch){
			"in the middle": func(f *fetch) {
				f.Answer("head")
				_ = f.Copy(io.MultiReader(bytes.NewReader(text(100_000)), iotest.ErrReader(broken)))
			},
			"before the head": func(f *fetch) { f.Fail("known", broken) },
			"no answer":       func(*fetch) {},
			"no end":          func(f *fetch) { f.Answer("head") },
		} {
			g := &group{Options: options}
			var all sync.WaitGroup
			for range 10 {
				r, _ := join(g, "a", func(f *fetch) { time.Sleep(time.Second); run(f) })
				all.Go(func() {
					defer r.Close()
					if _, body, err := whole(t, r); err == nil || name[0] != 'n' && !errors.Is(err, broken) || name == "in the middle" && len(body) != 100_000 {
						t.Errorf("%s: %d bytes, %v", name, len(body), err)
					}
				})
			}
			all.Wait()
			g.Wait()
		}
	})
}

// slow reads a piece after each pause.
func slow(r io.Reader, piece int, pause time.Duration) (n int, err error) {
	buf := make([]byte, piece)
	for {
		time.Sleep(pause)
		m, err := r.Read(buf)
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func TestSlowReaders(t *testing.T) {
	const size = 1 << 20
	for name, test := range map[string]struct {
		pauses []time.Duration // of readers that take 1 KiB after each; 0: they take what comes
		cut    int
		most   time.Duration // for those that are not slow
	}{
		"one alone is waited for":          {[]time.Duration{10 * time.Millisecond}, 0, 0},
		"all are slow":                     {[]time.Duration{10 * time.Millisecond, 10 * time.Millisecond}, 0, 0},
		"the slow one is cut":              {[]time.Duration{0, 0, 10 * time.Millisecond}, 1, 1500 * time.Millisecond},
		"one that stands still is cut":     {[]time.Duration{0, time.Hour}, 1, 1500 * time.Millisecond},
		"a little slower is waited for":    {[]time.Duration{0, 500 * time.Microsecond}, 0, time.Second},
		"the leader is cut as any other":   {[]time.Duration{time.Hour, 0, 0}, 1, 1500 * time.Millisecond},
		"several that stand still at once": {[]time.Duration{time.Hour, time.Hour, time.Hour, 0}, 3, 1500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &group{Options: options}
				body := text(size)
				var all sync.WaitGroup
				var cut atomic.Int64
				begin, joined := time.Now(), make(chan struct{})
				for _, pause := range test.pauses {
					r, _ := join(g, "a", func(f *fetch) { <-joined; f.Answer("head"); _ = f.Copy(bytes.NewReader(body)) })
					all.Go(func() {
						defer r.Close()
						if pause > 0 {
							n, err := slow(r, 1<<10, pause)
							switch {
							case errors.Is(err, ErrSlow):
								cut.Add(1)
							case err != nil || n != size:
								t.Errorf("a slow one: %d bytes, %v", n, err)
							}
							return
						}
						_, got, err := whole(t, r)
						if took := time.Since(begin); !bytes.Equal(got, body) || err != nil || took > test.most {
							t.Errorf("%d bytes, %v after %s", len(got), err, took)
						}
					})
				}
				close(joined)
				all.Wait()
				g.Wait()
				if int(cut.Load()) != test.cut {
					t.Errorf("%d were cut", cut.Load())
				}
			})
		})
	}
}

// Clients that agree on standing still one after the other cannot hold up the others for as long as each of them could.
func TestSlowReadersThatTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		body, joined := text(1<<20), make(chan struct{})
		var all sync.WaitGroup
		begin := time.Now()
		for i := range 9 {
			r, _ := join(g, "a", func(f *fetch) { <-joined; f.Answer("head"); _ = f.Copy(bytes.NewReader(body)) })
			all.Go(func() {
				defer r.Close()
				if i == 0 {
					_, got, err := whole(t, r)
					if took := time.Since(begin); !bytes.Equal(got, body) || err != nil || took > 4*time.Second {
						t.Errorf("%d bytes, %v after %s", len(got), err, took)
					}
					return
				}
				_, _ = io.CopyN(io.Discard, r, int64(i)*100_000)
				time.Sleep(time.Hour)
				if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrSlow) {
					t.Errorf("the %dth that stood still: %v", i, err)
				}
			})
		}
		close(joined)
		all.Wait()
		g.Wait()
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		var taken atomic.Int64
		r, _ := join(g, "a", func(f *fetch) {
			f.Answer("head")
			_ = f.Copy(readerFunc(func(p []byte) (int, error) { taken.Add(int64(len(p))); return len(p), nil }))
		})
		synctest.Wait()
		if n := taken.Load(); n > 64<<10 || n < 32<<10 {
			t.Errorf("%d bytes were read ahead", n)
		}
		_, _ = io.CopyN(io.Discard, r, 1<<20)
		synctest.Wait()
		if n := taken.Load() - 1<<20; n > 64<<10 || r.fetch.body.window > 64<<10 {
			t.Errorf("%d bytes were read ahead, %d are kept", n, r.fetch.body.window)
		}
		_ = r.Close()
		g.Wait()
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestWhatAllHavePassedIsLetGo looks at the heap while somebody still reads, or was cut and has yet to learn of it.
func TestWhatAllHavePassedIsLetGo(t *testing.T) {
	const size = 64 << 20
	for name, test := range map[string]struct{ still, kept bool }{
		"all read":                           {},
		"one stands still":                   {still: true},
		"a store keeps it":                   {kept: true},
		"a store keeps it, one stands still": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &group{Options: options}
				joined := make(chan struct{})
				run := func(f *fetch) {
					<-joined
					if test.kept {
						f.Keep("head", Keeping{Memory: 1 << 20, Size: -1, Store: zeros{}})
					} else {
						f.Answer("head")
					}
					_ = f.Copy(io.LimitReader(zeros{}, size))
				}
				r, _ := join(g, "a", run)
				other, _ := join(g, "a", run)
				if !test.still {
					_ = other.Close()
				}
				before := heap()
				close(joined)
				if n, err := io.CopyN(io.Discard, r, size); n != size || err != nil {
					t.Fatalf("%d bytes, %v", n, err)
				}
				if n := heap() - before; n > size/8 {
					t.Errorf("%d bytes are held of %d that were read", n, size)
				}
				if n, err := io.Copy(io.Discard, other); test.still && test.kept && (n != size || err != nil) {
					t.Errorf("the one that stood still: %d bytes, %v", n, err)
				}
				_ = r.Close()
				_ = other.Close()
				g.Wait()
			})
		})
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// zeros is a body without an end, and a store of it.
type zeros struct{}

func (zeros) Read(p []byte) (int, error)            { return len(p), nil }
func (zeros) Write(p []byte) (int, error)           { return len(p), nil }
func (zeros) ReadAt(p []byte, _ int64) (int, error) { return len(p), nil }

func TestBytesComeAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		src, w := io.Pipe()
		r, _ := join(g, "a", func(f *fetch) { f.Answer("head"); _ = f.Copy(src) })
		buf := make([]byte, 5)
		for range 5000 {
			go func() { _, _ = w.Write([]byte("event")) }()
			if n, err := io.ReadFull(r, buf); string(buf[:n]) != "event" || err != nil {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		}
		_ = w.Close()
		if _, err := r.Read(buf); err != io.EOF {
			t.Error(err)
		}
		_ = r.Close()
		g.Wait()
	})
}

func TestTheContextEndsARead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		r, _ := join(g, "a", func(f *fetch) { f.Answer("head"); <-f.Context().Done() })
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		r.Follow(ctx)
		time.AfterFunc(time.Second, func() { cancel(gone) })
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, gone) {
			t.Error(err)
		}
		_ = r.Close()
		g.Wait()
		r, _ = join(g, "a", func(f *fetch) { <-f.Context().Done() })
		if _, err := r.Head(ctx, time.Minute); !errors.Is(err, gone) {
			t.Error(err)
		}
		_ = r.Close()
		g.Wait()
	})
}

func TestKeysApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &group{Options: options}
		g.KeepApart("a", time.Now().Add(time.Second))
		if r, _ := g.Join("a", nil); r != nil {
			t.Error("it joins")
		}
		time.Sleep(2 * time.Second)
		r, _ := join(g, "a", func(f *fetch) {})
		if r == nil {
			t.Fatal("it is kept apart for ever")
		}
		_ = r.Close()
		for i := range maxApart + 10 {
			g.KeepApart(string(rune(i)), time.Now().Add(time.Hour))
		}
		if len(g.apart) > maxApart {
			t.Errorf("%d keys", len(g.apart))
		}
		g.Wait()
	})
}

// TestReadersSeeTheSame: whatever pieces a body comes in, and readers read and leave, each gets the body, or a beginning of it and an error.
func TestReadersSeeTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		body := text(rapid.IntRange(0, 200_000).Draw(rt, "size"))
		pieces := rapid.SliceOfN(rapid.IntRange(1, 40_000), 1, 5).Draw(rt, "written")
		reads := rapid.SliceOfN(rapid.IntRange(1, 40_000), 1, 6).Draw(rt, "read")
		leaves := rapid.SliceOfN(rapid.IntRange(0, 400_000), len(reads), len(reads)).Draw(rt, "leaves after")
		var found string
		synctest.Test(t, func(t *testing.T) {
			g := &group{Options: Options{Buffer: 1, Patience: time.Millisecond}}
			var all sync.WaitGroup
			for i, size := range reads {
				r, _ := join(g, "a", func(f *fetch) {
					f.Answer("head")
					left := bytes.NewReader(body)
					n := 0
					_ = f.Copy(readerFunc(func(p []byte) (int, error) {
						n++
						time.Sleep(time.Microsecond)
						return left.Read(p[:min(len(p), pieces[n%len(pieces)])])
					}))
				})
				all.Go(func() {
					defer r.Close()
					var got []byte
					var err error
					buf := make([]byte, size)
					for err == nil && len(got) < leaves[i] {
						var n int
						n, err = r.Read(buf)
						got = append(got, buf[:n]...)
						time.Sleep(time.Duration(size%3) * time.Microsecond)
					}
					if !bytes.HasPrefix(body, got) || err == io.EOF && len(got) != len(body) || err != nil && err != io.EOF && !errors.Is(err, ErrSlow) {
						found = err.Error()
					}
				})
			}
			all.Wait()
			g.Wait()
		})
		if found != "" {
			rt.Fatal(found)
		}
	})
}
