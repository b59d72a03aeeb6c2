package memory_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/stored"
)

// usual is a response as services give them, with a head of ten fields.
func usual(i, size int) *stored.Response {
	key := "GET https://api.example.com/v1/products/" + strconv.Itoa(i) + "?fields=name,price\nroute=products"
	h := http.Header{
		"Cache-Control": {"public, max-age=300, stale-while-revalidate=30"}, "Content-Type": {"application/json; charset=utf-8"},
		"Content-Length": {strconv.Itoa(size)}, "Date": {"Thu, 26 Nov 2026 08:00:00 GMT"}, "Etag": {`W/"` + strconv.Itoa(i*7919) + `"`},
		"Last-Modified": {"Wed, 25 Nov 2026 09:10:11 GMT"}, "Server": {"products/2.4"}, "Vary": {"Accept-Encoding"},
		"X-Content-Type-Options": {"nosniff"}, "X-Request-Cost": {strconv.Itoa(i % 97)},
	}
	return &stored.Response{
		Key: key, URL: key[4 : len(key)-len("\nroute=products")], Route: "products", Method: "GET", Status: 200, Header: stored.NewFields(h), Size: int64(size),
		Body: memory.NewBody([][]byte{bytes.Repeat([]byte{'x'}, size)}), Requested: time.Unix(1, 0), Received: time.Unix(2, 0),
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill sets n responses of 100 to 1000 bytes, and returns the bytes of their texts: keys, heads and bodies.
func fill(s *memory.Store, n int) int64 {
	r := rand.New(rand.NewPCG(1, 2))
	payload := int64(0)
	for i := range n {
		a := usual(i, 100+r.IntN(901))
		s.Set(a)
		payload += a.Size + int64(len(a.Key))
		for j := range a.Header.Len() {
			name, value := a.Header.At(j)
			payload += int64(len(name) + len(value))
		}
	}
	return payload
}

// deviation is by what share of it the heap has grown more than a store says, and how much it takes for each response beside texts.
func deviation(t testing.TB, n int, limit int64) (share, overhead float64) {
	before := heap()
	s := memory.New(limit)
	payload := fill(s, n)
	grown := heap() - before
	st := s.Stats()
	if st.Bytes > st.Limit {
		t.Fatalf("%+v", st)
	}
	runtime.KeepAlive(s)
	return float64(grown-st.Bytes) / float64(st.Bytes), float64(grown-payload) / float64(n)
}

// TestHonest compares what a store says with what the runtime says, with room for all and with room for a fifth.
func TestHonest(t *testing.T) {
	const n = 100_000
	for _, limit := range []int64{1 << 40, 32 << 20} {
		share, overhead := deviation(t, n, limit)
		t.Logf("limit %d: the heap differs by %.1f%%", limit, 100*share)
		if share < -0.1 || share > 0.1 {
			t.Errorf("limit %d: the heap differs by %.1f%% from what the store says", limit, 100*share)
		}
		if limit > 1<<30 && overhead > 1000 {
			t.Errorf("each response takes %.0f bytes beside its texts", overhead)
		}
	}
}

// BenchmarkMillion is TestHonest with a million.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		share, overhead := deviation(b, 1_000_000, 1<<40)
		b.ReportMetric(100*share, "%off")
		b.ReportMetric(overhead, "B/overhead")
	}
}

// TestRace has all of it at once. A reader goes on reading what is evicted meanwhile.
func TestRace(t *testing.T) {
	s := memory.New(1 << 20)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 5000 {
				i := r.IntN(2000)
				key := fmt.Sprint(i)
				switch r.IntN(20) {
				case 0:
					s.Delete(key)
				case 1:
					s.Grow(key, int64(r.IntN(100)))
				case 2:
					s.Resize(1<<20 + int64(r.IntN(1<<18)))
				case 3:
					for a := range s.All() {
						if r.IntN(100) == 0 || a == nil {
							break
						}
					}
				case 4, 5, 6, 7:
					s.Set(&stored.Response{Key: key, Body: memory.NewBody([][]byte{[]byte(key), make([]byte, r.IntN(3000))})})
				default:
					checkBody(t, s.Get([]byte(key)), key)
				}
			}
		})
	}
	all.Wait()
	s.Resize(1 << 20)
	if st := s.Stats(); st.Bytes > st.Limit || st.Objects == 0 || st.Evicted == 0 {
		t.Errorf("%+v", st)
	}
}

func checkBody(t *testing.T, r *stored.Response, key string) {
	if r == nil {
		return
	}
	body, err := r.Body.Open()
	if err != nil {
		t.Error(err)
		return
	}
	head := make([]byte, len(key))
	if _, err := io.ReadFull(body, head); err != nil || r.Key != key || string(head) != key {
		t.Errorf("%q has key %q and body %q: %v", key, r.Key, head, err)
	}
}

// TestFound sees to it that what stays is found all the time, whatever comes and goes beside it.
func TestFound(t *testing.T) {
	s := memory.New(1 << 30)
	s.Set(response("stays", 1))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50_000 {
			s.Set(&stored.Response{Key: fmt.Sprint(i)})
			s.Delete(fmt.Sprint(i - i%3*100))
			if i%10 == 0 {
				s.Set(response("stays", i%100))
			}
		}
	}()
	for {
		select {
		case <-done:
			return
		default:
			if s.GetString("stays") == nil {
				t.Fatal("it is gone")
			}
		}
	}
}

// TestScan asks for some again and again, and for very many once: the some stay, and a large one does not push them out.
func TestScan(t *testing.T) {
	s := memory.New(4 << 20)
	hits := 0
	for i := range 100_000 {
		key := fmt.Sprint(i % 1000)
		if s.GetString(key) == nil {
			s.Set(response(key, 1000))
		} else {
			hits++
		}
		s.Set(response(fmt.Sprint("once", i), 1000))
		if i%1000 == 0 {
			s.Set(response(fmt.Sprint("large", i), 500<<10))
		}
	}
	if hits < 95_000 {
		t.Errorf("%d of 100000 are hits", hits)
	}
}

func TestGetAllocates(t *testing.T) {
	s := memory.New(1 << 30)
	fill(s, 100)
	key := []byte(usual(5, 0).Key)
	if n := testing.AllocsPerRun(1000, func() {
		if s.Get(key) == nil {
			t.Error("not found")
		}
	}); n > 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

// million is a store with a million small responses, and the keys of some of them.
var million = sync.OnceValues(func() (*memory.Store, [][]byte) {
	s := memory.New(1 << 40)
	keys := make([][]byte, 1_000_000)
	for i := range keys {
		key := "GET https://api.example.com/v1/products/" + strconv.Itoa(i) + "\nroute=products"
		s.Set(&stored.Response{Key: key})
		keys[i] = []byte(key)
	}
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return s, keys
})

// BenchmarkGet is a hit among a million: of those that are asked for most, of which the processor has them near, and of any, from main memory.
func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("of=%d", n), func(b *testing.B) {
			s, keys := million()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if s.Get(keys[i%n]) == nil {
					b.Fatal("not found")
				}
				i++
			}
		})
		b.Run(fmt.Sprintf("parallel/of=%d", n), func(b *testing.B) {
			s, keys := million()
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for i := rand.IntN(n); p.Next(); i++ {
					if s.Get(keys[i%n]) == nil {
						b.Error("not found")
						return
					}
				}
			})
		})
	}
	b.Run("miss", func(b *testing.B) {
		s, _ := million()
		key := []byte("GET https://api.example.com/v1/nothing")
		b.ReportAllocs()
		for b.Loop() {
			if s.Get(key) != nil {
				b.Fatal("found")
			}
		}
	})
}

// BenchmarkSet sets what is new in a full store, which evicts for it, and what is there.
func BenchmarkSet(b *testing.B) {
	all := make([]*stored.Response, 200_000)
	for i := range all {
		all[i] = response(fmt.Sprint(i), 1000)
	}
	for name, limit := range map[string]int64{"evict": 50 << 20, "replace": 1 << 40} {
		b.Run(name, func(b *testing.B) {
			s := memory.New(limit)
			for _, r := range all {
				s.Set(r)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.Set(all[i%len(all)])
				i++
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	body := memory.NewBody([][]byte{make([]byte, 16<<10), make([]byte, 16<<10)})
	b.ReportAllocs()
	for b.Loop() {
		r, err := body.Open()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.(io.WriterTo).WriteTo(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
