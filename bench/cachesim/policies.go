package main

import (
	"container/heap"
	"container/list"
	"math"
	"strconv"

	"github.com/maypok86/otter/v2"

	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/stored"
)

// policy is a cache of objects by their numbers.
type policy interface {
	// ask says whether an object is there. If not, it is fetched and offered.
	ask(key uint32, size int64) bool
}

var policies = []struct {
	name string
	make func(capacity int64, t *trace) policy
}{
	{"lru", newLRU},
	{"lfu", newLFU},
	{"gdsf", newGDSF},
	{"sieve", newSieve},
	{"s3-fifo", newS3},
	{"arc", newARC},
	{"otter", newOtter},
	{"ours", newOurs},
	{"belady", newBelady},
}

func names() []string {
	var all []string
	for _, p := range policies {
		all = append(all, p.name)
	}
	return all
}

// item is an object in a list.
type item struct {
	key   uint32
	size  int64
	count int
	in    *queue
}

// queue is a list that knows its bytes.
type queue struct {
	list.List
	bytes int64
}

func (q *queue) push(i *item) *list.Element {
	i.in = q
	q.bytes += i.size
	return q.PushFront(i)
}

func (q *queue) drop(e *list.Element) *item {
	i := q.List.Remove(e).(*item)
	q.bytes -= i.size
	return i
}

// lru lets go what has not been asked for for the longest time.
type lru struct {
	queue
	capacity int64
	byKey    map[uint32]*list.Element
}

func newLRU(capacity int64, _ *trace) policy {
	return &lru{capacity: capacity, byKey: map[uint32]*list.Element{}}
}

func (c *lru) ask(key uint32, size int64) bool {
	if e := c.byKey[key]; e != nil {
		c.MoveToFront(e)
		return true
	}
	if size > c.capacity {
		return false
	}
	c.byKey[key] = c.push(&item{key: key, size: size})
	for c.bytes > c.capacity {
		delete(c.byKey, c.drop(c.Back()).key)
	}
	return false
}

// ranked lets go what has the least rank: counts for lfu, for gdsf counts by size beside a clock that rises with what was let go (Cherkasova, 1998), for belady
// the time of the next request.
type ranked struct {
	capacity, bytes int64
	clock           float64
	byKey           map[uint32]*rank
	heap            ranks
	rank            func(c *ranked, r *rank) float64
}

type rank struct {
	key   uint32
	size  int64
	count float64
	value float64
	place int
}

type ranks []*rank

func (h ranks) Len() int           { return len(h) }
func (h ranks) Less(i, j int) bool { return h[i].value < h[j].value }
func (h ranks) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].place, h[j].place = i, j }
func (h *ranks) Push(x any)        { r := x.(*rank); r.place = len(*h); *h = append(*h, r) }
func (h *ranks) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}

func newRanked(capacity int64, by func(c *ranked, r *rank) float64) *ranked {
	return &ranked{capacity: capacity, byKey: map[uint32]*rank{}, rank: by}
}

// newLFU counts all that is there, and does not remember what is not.
func newLFU(capacity int64, _ *trace) policy {
	return newRanked(capacity, func(_ *ranked, r *rank) float64 { return r.count })
}

func newGDSF(capacity int64, _ *trace) policy {
	return newRanked(capacity, func(c *ranked, r *rank) float64 { return c.clock + r.count/float64(r.size) })
}

func (c *ranked) ask(key uint32, size int64) bool {
	r := c.byKey[key]
	hit := r != nil
	if !hit {
		if size > c.capacity {
			return false
		}
		for c.bytes+size > c.capacity && c.admits(key, size) {
			c.pop()
		}
		if c.bytes+size > c.capacity {
			return false
		}
		r = &rank{key: key, size: size}
		c.byKey[key], c.bytes = r, c.bytes+size
		heap.Push(&c.heap, r)
	}
	r.count++
	r.value = c.rank(c, r)
	heap.Fix(&c.heap, r.place)
	return hit
}

// admits says whether what is new may take the place of the least. Only belady knows.
func (c *ranked) admits(key uint32, size int64) bool {
	if !math.IsNaN(c.clock) {
		return true
	}
	return c.rank(c, &rank{key: key, size: size}) > c.heap[0].value
}

func (c *ranked) pop() {
	r := heap.Pop(&c.heap).(*rank)
	delete(c.byKey, r.key)
	c.bytes -= r.size
	if !math.IsNaN(c.clock) {
		c.clock = r.value
	}
}

// belady knows what comes, and lets go what comes last: no policy hits more, with objects of one size. With sizes that differ it is no bound: it hits
// neither the most objects nor the most bytes that are possible.
type belady struct {
	*ranked
	next []int
	now  int
}

func newBelady(capacity int64, t *trace) policy {
	b := &belady{next: make([]int, len(t.requests))}
	last := map[uint32]int{}
	for i := len(t.requests) - 1; i >= 0; i-- {
		next, ok := last[t.requests[i]]
		if !ok {
			next = math.MaxInt
		}
		b.next[i], last[t.requests[i]] = next, i
	}
	b.ranked = newRanked(capacity, func(_ *ranked, r *rank) float64 {
		if b.next[b.now] == math.MaxInt {
			return math.Inf(-1)
		}
		return -float64(b.next[b.now])
	})
	b.clock = math.NaN()
	return b
}

func (b *belady) ask(key uint32, size int64) bool {
	hit := b.ranked.ask(key, size)
	b.now++
	return hit
}

// sieve is SIEVE (Zhang and others, 2024), by bytes.
type sieve struct {
	queue
	capacity int64
	byKey    map[uint32]*list.Element
	hand     *list.Element
}

func newSieve(capacity int64, _ *trace) policy {
	return &sieve{capacity: capacity, byKey: map[uint32]*list.Element{}}
}

func (c *sieve) ask(key uint32, size int64) bool {
	if e := c.byKey[key]; e != nil {
		e.Value.(*item).count = 1
		return true
	}
	if size > c.capacity {
		return false
	}
	for c.bytes+size > c.capacity {
		e := c.hand
		if e == nil {
			e = c.Back()
		}
		for e.Value.(*item).count > 0 {
			e.Value.(*item).count = 0
			if e = e.Prev(); e == nil {
				e = c.Back()
			}
		}
		c.hand = e.Prev()
		delete(c.byKey, c.drop(e).key)
	}
	c.byKey[key] = c.push(&item{key: key, size: size})
	return false
}

// s3 is S3-FIFO (Yang and others, 2023), by bytes: a small queue of a tenth, a main one, and ghosts of what left the small one.
type s3 struct {
	small, main, ghosts queue
	capacity            int64
	byKey               map[uint32]*list.Element
}

func newS3(capacity int64, _ *trace) policy {
	return &s3{capacity: capacity, byKey: map[uint32]*list.Element{}}
}

func (c *s3) ask(key uint32, size int64) bool {
	e := c.byKey[key]
	if e != nil && e.Value.(*item).in != &c.ghosts {
		i := e.Value.(*item)
		i.count = min(i.count+1, 3)
		return true
	}
	if size > c.capacity {
		return false
	}
	to := &c.small
	if e != nil {
		c.ghosts.drop(e)
		to = &c.main
	}
	for c.small.bytes+c.main.bytes+size > c.capacity {
		if c.small.bytes > c.capacity/10 || c.main.Len() == 0 {
			c.leaveSmall()
		} else {
			c.leaveMain()
		}
	}
	c.byKey[key] = to.push(&item{key: key, size: size})
	return false
}

func (c *s3) leaveSmall() {
	i := c.small.drop(c.small.Back())
	if i.count > 1 {
		i.count = 0
		c.byKey[i.key] = c.main.push(i)
		return
	}
	c.byKey[i.key] = c.ghosts.push(i)
	for c.ghosts.bytes > c.capacity {
		delete(c.byKey, c.ghosts.drop(c.ghosts.Back()).key)
	}
}

func (c *s3) leaveMain() {
	i := c.main.drop(c.main.Back())
	if i.count > 0 {
		i.count--
		c.byKey[i.key] = c.main.push(i)
		return
	}
	delete(c.byKey, i.key)
}

// arc is ARC (Megiddo and Modha, 2003), by bytes.
type arc struct {
	recent, often, recentGhosts, oftenGhosts queue
	capacity                                 int64
	target                                   float64
	byKey                                    map[uint32]*list.Element
}

func newARC(capacity int64, _ *trace) policy {
	return &arc{capacity: capacity, byKey: map[uint32]*list.Element{}}
}

func (c *arc) ask(key uint32, size int64) bool {
	if size > c.capacity {
		return false
	}
	e := c.byKey[key]
	if e == nil {
		c.room(size, false)
		c.byKey[key] = c.recent.push(&item{key: key, size: size})
		for c.recent.bytes+c.recentGhosts.bytes > c.capacity && c.recentGhosts.Len() > 0 {
			delete(c.byKey, c.recentGhosts.drop(c.recentGhosts.Back()).key)
		}
		for c.recent.bytes+c.often.bytes+c.recentGhosts.bytes+c.oftenGhosts.bytes > 2*c.capacity {
			delete(c.byKey, c.oftenGhosts.drop(c.oftenGhosts.Back()).key)
		}
		return false
	}
	i := e.Value.(*item)
	from := i.in
	switch from {
	case &c.recentGhosts:
		c.target = min(float64(c.capacity), c.target+float64(size)*max(1, float64(c.oftenGhosts.bytes)/float64(c.recentGhosts.bytes)))
	case &c.oftenGhosts:
		c.target = max(0, c.target-float64(size)*max(1, float64(c.recentGhosts.bytes)/float64(c.oftenGhosts.bytes)))
	}
	from.drop(e)
	hit := from == &c.recent || from == &c.often
	if !hit {
		c.room(size, from == &c.oftenGhosts)
	}
	c.byKey[key] = c.often.push(i)
	return hit
}

func (c *arc) room(size int64, often bool) {
	for c.recent.bytes+c.often.bytes+size > c.capacity {
		from, to := &c.often, &c.oftenGhosts
		if c.often.Len() == 0 || c.recent.Len() > 0 && (float64(c.recent.bytes) > c.target || often && float64(c.recent.bytes) == c.target) {
			from, to = &c.recent, &c.recentGhosts
		}
		i := from.drop(from.Back())
		c.byKey[i.key] = to.push(i)
	}
}

// library is W-TinyLFU, as a library has it.
type library struct {
	*otter.Cache[uint32, uint32]
}

func newOtter(capacity int64, _ *trace) policy {
	return library{otter.Must(&otter.Options[uint32, uint32]{
		MaximumWeight: uint64(capacity), Weigher: func(_, size uint32) uint32 { return size }, Executor: func(f func()) { f() },
	})}
}

func (c library) ask(key uint32, size int64) bool {
	if _, ok := c.GetIfPresent(key); ok {
		return true
	}
	c.Set(key, uint32(size))
	return false
}

// ours is the gateway's.
type ours struct {
	*memory.Store
	keys []string
	head int64
}

// weight is a body of which there is only the size.
type weight int64

// Open is not called.
func (w weight) Open() (stored.Reader, error) { return nil, stored.ErrNotKept }

// Memory is the size.
func (w weight) Memory() int64 { return int64(w) }

func newOurs(capacity int64, t *trace) policy {
	c := ours{Store: memory.New(capacity), keys: make([]string, len(t.sizes))}
	for i := range c.keys {
		c.keys[i] = strconv.Itoa(i + 1_000_000)
	}
	probe := memory.New(1 << 20)
	before := probe.Stats().Bytes
	probe.Set(&stored.Response{Key: c.keys[0]})
	c.head = probe.Stats().Bytes - before
	return c
}

func (c ours) ask(key uint32, size int64) bool {
	if c.GetString(c.keys[key]) != nil {
		return true
	}
	c.Set(&stored.Response{Key: c.keys[key], Body: weight(size - c.head)})
	return false
}
