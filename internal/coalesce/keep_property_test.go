package coalesce

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// plan is a fetch, what keeps it, and who reads it when.
type plan struct {
	body    []byte
	pieces  []int // that the body comes in
	keeping Keeping
	store   *file
	readers []readerPlan

	mu    sync.Mutex
	wrong string
}

type readerPlan struct {
	joins, pause time.Duration
	size, leaves int // of each read; after how many bytes
}

func drawPlan(t *rapid.T) *plan {
	p := &plan{body: text(rapid.IntRange(0, 200_000).Draw(t, "length"))}
	p.pieces = rapid.SliceOfN(rapid.IntRange(1, 40_000), 1, 5).Draw(t, "written")
	size := rapid.SampledFrom([]int{-1, len(p.body), rapid.IntRange(0, 250_000).Draw(t, "wrong size")}).Draw(t, "size")
	p.keeping = Keeping{Memory: rapid.Int64Range(0, 250_000).Draw(t, "memory"), Size: int64(size)}
	if rapid.Bool().Draw(t, "store") {
		p.store = &file{writes: rapid.Bool().Draw(t, "does not give back")}
		if rapid.Bool().Draw(t, "fails") {
			p.store.most = rapid.IntRange(1, 200_000).Draw(t, "fails after")
		}
		p.keeping.Store, p.keeping.Release = p.store, p.store.release
	}
	for range rapid.IntRange(1, 6).Draw(t, "readers") {
		p.readers = append(p.readers, readerPlan{
			time.Duration(rapid.IntRange(0, 30).Draw(t, "joins")) * time.Microsecond,
			time.Duration(rapid.IntRange(0, 10).Draw(t, "pause")) * time.Microsecond,
			rapid.IntRange(1000, 40_000).Draw(t, "reads"), rapid.IntRange(0, 400_000).Draw(t, "leaves after"),
		})
	}
	return p
}

func (p *plan) fail(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wrong = fmt.Sprintf(format, args...)
}

// run carries out a fetch. The first one is kept as planned.
func (p *plan) run(f *fetch, keeping Keeping) {
	var blocks [][]byte
	ok := false
	keeping.Whole = func(b [][]byte, inMemory bool) {
		blocks, ok = b, inMemory
		if seen := f.body.seen(); seen == len(p.body) && seen > 0 && keeping.Size == int64(seen) {
			p.fail("readers have seen all of it before it was stored")
		}
	}
	f.Keep("head", keeping)
	left, n := bytes.NewReader(p.body), 0
	err := f.Copy(readerFunc(func(b []byte) (int, error) {
		n++
		time.Sleep(time.Microsecond)
		f.body.mu.Lock()
		window := f.body.window
		f.body.mu.Unlock()
		if int64(window) > max(keeping.Memory, 2*blockSize) {
			p.fail("%d bytes are held", window)
		}
		return left.Read(b[:min(len(b), p.pieces[n%len(p.pieces)])])
	}))
	switch {
	case ok && (err != io.EOF || !bytes.Equal(slices.Concat(blocks...), p.body)):
		p.fail("something else is kept, after %v", err)
	case !ok && err == io.EOF && keeping.Memory >= max(int64(len(p.body)), keeping.Size, 1):
		p.fail("it is not kept")
	case keeping.Store != nil && p.store.most == 0 && !bytes.Equal(p.store.b, p.body):
		p.fail("the store has %d bytes", len(p.store.b))
	}
}

// read is one reader.
func (p *plan) read(r *reader, plan readerPlan) {
	defer r.Close()
	var got []byte
	var err error
	buf := make([]byte, plan.size)
	for err == nil && len(got) < plan.leaves {
		var n int
		n, err = r.Read(buf)
		got = append(got, buf[:n]...)
		time.Sleep(plan.pause)
	}
	if !bytes.HasPrefix(p.body, got) || err == io.EOF && len(got) != len(p.body) || err != nil && err != io.EOF && !errors.Is(err, ErrSlow) {
		p.fail("%d bytes of %d, %v", len(got), len(p.body), err)
	}
}

// TestReadersOfWhatIsKeptSeeTheSame: whatever keeps a body, and for how long, whoever joins gets it from its beginning, or learns that there is no more.
func TestReadersOfWhatIsKeptSeeTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlan(rt)
		synctest.Test(t, func(*testing.T) {
			g := &group{Options: Options{Buffer: 1, Patience: time.Millisecond}}
			var all sync.WaitGroup
			keep := make(chan Keeping, 1)
			keep <- p.keeping
			for _, plan := range p.readers {
				all.Go(func() {
					time.Sleep(plan.joins)
					r, _ := join(g, "a", func(f *fetch) {
						select {
						case k := <-keep:
							p.run(f, k)
						default: // it was kept no longer
							p.run(f, Keeping{Size: -1})
						}
					})
					p.read(r, plan)
				})
			}
			all.Wait()
			g.Wait()
			if p.store != nil && !p.store.released.Load() {
				p.fail("it was not released")
			}
		})
		if p.wrong != "" {
			rt.Fatal(p.wrong)
		}
	})
}

// seen is how many bytes readers can see.
func (s *stream) seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.total)
}
