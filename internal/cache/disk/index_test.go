package disk

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func numbered(n int) (i id) {
	binary.LittleEndian.PutUint64(i[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(i[8:], uint64(n)*0xbf58476d1ce4e5b9)
	return i
}

// hitRate asks an index for objects, as a cache does, and returns which share was there of those that count.
func hitRate(limit int64, requests int, next func() (n int, cost int64, counts bool)) float64 {
	x := newIndex()
	hits, all := 0, 0
	for range requests {
		n, cost, counts := next()
		e := x.get(numbered(n))
		if counts {
			all++
			if e != nil {
				hits++
			}
		}
		if e != nil {
			e.used()
			continue
		}
		for x.bytes+cost > limit {
			x.evict(limit, 0)
		}
		x.set(numbered(n), cost, 0, false)
	}
	return float64(hits) / float64(all)
}

// TestScansDriveNothingOut: what is asked for again and again stays, whatever passes through.
func TestScansDriveNothingOut(t *testing.T) {
	rng := newRng(1)
	scan := 1 << 20
	got := hitRate(1000*4096, 300_000, func() (int, int64, bool) {
		if rng.IntN(2) == 0 {
			scan++
			return scan, 4096, false
		}
		return rng.IntN(700), 4096, true
	})
	if got < 0.95 {
		t.Errorf("%.3f of what is asked for again and again is there", got)
	}
	large := 1 << 20
	got = hitRate(1000*4096, 100_000, func() (int, int64, bool) {
		if rng.IntN(20) == 0 {
			large++
			return large, 200 * 4096, false
		}
		return rng.IntN(500), 4096, true
	})
	if got < 0.9 {
		t.Errorf("%.3f of what is small, and asked for again and again, is there", got)
	}
}

// TestWhatIsPopularComesIn: a working set that changes takes the old one's place.
func TestWhatIsPopularComesIn(t *testing.T) {
	rng := newRng(1)
	n := 0
	got := hitRate(1000*4096, 300_000, func() (int, int64, bool) {
		n++
		return n/100_000*10_000 + rng.IntN(700), 4096, n%100_000 > 20_000
	})
	if got < 0.95 {
		t.Errorf("%.3f of the new working set is there", got)
	}
}

// TestTheIndexKeepsCount: queues, bytes and slots agree, whatever is done.
func TestTheIndexKeepsCount(t *testing.T) {
	rng := newRng(2)
	x := newIndex()
	model := map[id]int64{}
	for range 100_000 {
		i := numbered(rng.IntN(300))
		switch rng.IntN(5) {
		case 0:
			x.drop(i)
			delete(model, i)
		case 1:
			if i, _, ok := x.evict(1<<20, uint32(rng.IntN(100))); ok {
				delete(model, i)
			}
		case 2:
			if e := x.get(i); e != nil {
				e.used()
			}
		default:
			cost := rng.Int64N(100_000)
			x.set(i, cost, uint32(rng.IntN(100)), rng.IntN(2) == 0)
			model[i] = cost
		}
	}
	bytes, listed := int64(0), 0
	for _, q := range []*queue{&x.small, &x.main} {
		own := int64(0)
		for at := q.head; at != 0; at = x.entries[at].next {
			own += x.entries[at].cost
			listed++
			if model[x.entries[at].id] != x.entries[at].cost {
				t.Error("an object has another cost")
			}
		}
		if own != q.bytes {
			t.Errorf("a queue has %d bytes and counts %d", own, q.bytes)
		}
		bytes += own
	}
	if bytes != x.bytes || listed != len(model) || listed != int(x.objects) || len(x.entries) > 302 {
		t.Errorf("bytes %d, %d; objects %d, %d, %d; entries %d", bytes, x.bytes, listed, len(model), x.objects, len(x.entries))
	}
}

// TestOrderAfterARestart: what was written first goes first.
func TestOrderAfterARestart(t *testing.T) {
	b := newBench(t, Options{Limit: 4 << 20})
	for i := range 20 {
		k := fmt.Sprint(i)
		b.put(response(k, -1), make([]byte, 50_000))
		at := time.Unix(1_800_000_000+int64(i), 0)
		if err := os.Chtimes(filepath.Join(b.dir, folderName(newID(k).folder()), newID(k).name()), at, at); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	b.o.Limit = 1 << 20
	b.open()
	if s := b.Stats(); s.Bytes > s.Limit || s.Evicted == 0 {
		t.Errorf("a lower limit does not hold: %+v", s)
	}
	for i := range 20 {
		if there, want := b.get(fmt.Sprint(i)) != nil, int64(i) >= b.Stats().Evicted; there != want {
			t.Errorf("%d: there %v, want %v", i, there, want)
		}
	}
	b.counted(t)
}

// TestTheLimitHolds at each moment, also with bodies whose length is not known.
func TestTheLimitHolds(t *testing.T) {
	b := newBench(t, Options{Limit: 3 << 20, Largest: 1 << 20})
	for i := range 60 {
		size := []int{100, 70_000, 600_000}[i%3]
		w, err := b.Put(t.Context(), response(fmt.Sprint(i), -1))
		if err != nil {
			t.Fatal(err)
		}
		for range size / 10_000 {
			if _, err := w.Write(make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			b.counted(t)
			if s := b.Stats(); s.Bytes > s.Limit {
				t.Fatalf("%+v", s)
			}
		}
		if _, err := w.Commit(response(fmt.Sprint(i), -1)); err != nil {
			t.Fatal(err)
		}
		w.(*writer).Close()
		b.counted(t)
	}
	if !b.refused("large", 1<<20+1) {
		t.Error("it is too large")
	}
	if _, err := b.Put(t.Context(), response("large", 1<<20+1)); err == nil {
		t.Error("it is too large")
	}
	if s := b.Stats(); s.Objects < 4 || s.Evicted == 0 {
		t.Errorf("%+v", s)
	}
}

// BenchmarkIndex says what an object takes in memory.
func BenchmarkIndex(b *testing.B) {
	const n = 1_000_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		x := newIndex()
		for i := range n {
			x.set(numbered(i), 4096, 0, false)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/object")
		runtime.KeepAlive(x)
	}
}

// BenchmarkStart opens a directory of 100,000 objects.
func BenchmarkStart(b *testing.B) {
	t := newBench(b, Options{Limit: 10 << 30})
	content := make([]byte, 1000)
	const n = 100_000
	for i := range n {
		t.put(response(fmt.Sprint(i), -1), content)
	}
	for b.Loop() {
		t.reopen()
		if t.Stats().Objects != n {
			b.Fatal(t.Stats())
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{1000, 30_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t := newBench(b, Options{Limit: 1 << 30})
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = fmt.Sprint("GET https://example.com/products/", i, "\nroute=products")
				t.put(response(keys[i], -1), bodyOf(keys[i], size))
			}
			b.ReportAllocs()
			for b.Loop() {
				if t.get(keys[rand.IntN(len(keys))]) == nil {
					b.Fatal("it is not there")
				}
			}
		})
	}
	b.Run("none", func(b *testing.B) {
		t := newBench(b, Options{Limit: 1 << 30})
		b.ReportAllocs()
		for b.Loop() {
			if t.get("GET https://example.com/products/7\nroute=products") != nil {
				b.Fatal("it is there")
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	t := newBench(b, Options{Limit: 1 << 30})
	content := bodyOf("a", 1000)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		t.put(response(fmt.Sprint(n%10_000), -1), content)
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, size := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t := newBench(b, Options{Limit: 1 << 30})
			r := t.put(response("a", -1), bodyOf("a", size))
			b.ReportAllocs()
			for b.Loop() {
				t.Update(b.Context(), r)
			}
		})
	}
}

type nowhere struct{ n int64 }

func (w *nowhere) Write(p []byte) (int, error) { w.n += int64(len(p)); return len(p), nil }

// BenchmarkStream reads, and writes, 64 MiB.
func BenchmarkStream(b *testing.B) {
	t := newBench(b, Options{Limit: 1 << 30})
	content := bodyOf("a", 64<<20)
	b.Run("write", func(b *testing.B) {
		b.SetBytes(64 << 20)
		b.ReportAllocs()
		for b.Loop() {
			w, err := t.Put(b.Context(), response("a", -1))
			if err != nil {
				b.Fatal(err)
			}
			for rest := content; len(rest) > 0; rest = rest[32<<10:] {
				if _, err := w.Write(rest[:32<<10]); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Commit(response("a", -1)); err != nil {
				b.Fatal(err)
			}
			w.(*writer).Close()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(64 << 20)
		b.ReportAllocs()
		for b.Loop() {
			f, err := t.get("a").Body.Open()
			if err != nil {
				b.Fatal(err)
			}
			var w nowhere
			if _, err := f.(*reader).WriteTo(&w); err != nil || w.n != 64<<20 {
				b.Fatal(err)
			}
			f.Close()
		}
	})
}
