package cache

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/cache/purge"
	"cardea.dev/cardea/internal/cache/shared"
	"cardea.dev/cardea/internal/stored"
)

// Cache is one cache. It is safe for use by several goroutines.
type Cache struct {
	name   string
	memory *memory.Store
	behind *Behind
	marks  *purge.Marks
	now    func() time.Time
	log    *slog.Logger

	inMemory   atomic.Int64  // the longest body that is kept in memory
	generation atomic.Uint64 // of the settings that hold
	latest     atomic.Uint64 // generation that there is
	configured sync.Mutex
	searches   searches
	sweeper    sweeper
}

// New returns a cache with a name. Behind is what is behind its memory, or nil; its sizes remain as they are until Configure.
func New(name string, behind *Behind, settings *config.Cache, log *slog.Logger, now func() time.Time) *Cache {
	c := &Cache{name: name, behind: behind, now: now, log: log, memory: memory.New(0), marks: purge.New()}
	c.resize(settings)
	if behind != nil {
		c.marks = behind.marks
		c.searches.every = behind.disk != nil
		c.searches.any.Store(c.searches.every)
	}
	return c
}

// resize sets the sizes of the memory.
func (c *Cache) resize(settings *config.Cache) {
	most := int64(settings.MaxInMemory)
	if most == 0 {
		most = min(int64(settings.Memory)/16, 8<<20)
	}
	c.inMemory.Store(most)
	c.memory.Resize(int64(settings.Memory))
}

// Configure sets sizes, those of a generation that Next gave. They do nothing where those of a later one hold.
func (c *Cache) Configure(generation uint64, settings *config.Cache) {
	if generation <= c.generation.Load() {
		return
	}
	c.configured.Lock()
	defer c.configured.Unlock()
	if generation <= c.generation.Load() {
		return
	}
	c.resize(settings)
	if c.behind != nil {
		c.behind.configure(settings)
	}
	c.generation.Store(generation)
}

// Next gives settings a generation, later than all before.
func (c *Cache) Next() uint64 { return c.latest.Add(1) }

// Close ends what the cache does by itself.
func (c *Cache) Close() error {
	c.sweeper.close()
	return nil
}

// Seq is how many purges there were. A response has the number of when it was asked for.
func (c *Cache) Seq() uint64 { return c.marks.Seq() }

// PurgedAt is the number of the latest purge that may be for a URL, 0 for none.
func (c *Cache) PurgedAt(url string) uint64 { return c.marks.Latest(url) }

// Found is what a look-up found.
type Found struct {
	// Response is what may be used for the request, as far as keys and purges go; nil: there is none. It may be stale.
	Response *stored.Response

	// Known says that there are responses to the URL, but for other requests.
	Known bool

	// Names are the fields by which the latest responses differ; nil: by none, or it is not known.
	Names []string

	// Search is the primary key of all requests whose queries make no difference by what the latest response said (No-Vary-Search); "": it is the request's own.
	Search string

	// Purged says that there was one, which has been purged.
	Purged bool

	// Soft says that the response was purged softly: it counts as stale.
	Soft bool

	// Behind says that it came from the store behind the memory.
	Behind bool
}

// Find looks a request up. Key is the primary key, in a buffer that may be written beyond its end; it is returned as it is then.
func (c *Cache) Find(ctx context.Context, key []byte, h http.Header) (f Found, buf []byte) {
	return c.find(ctx, key, h, c.get)
}

// Peek looks a request up in memory alone.
func (c *Cache) Peek(key []byte, h http.Header) Found {
	f, _ := c.find(context.Background(), key, h, func(_ context.Context, key []byte) (*stored.Response, bool) { return c.memory.Get(key), false })
	return f
}

// Shared says whether gateways share the cache.
func (c *Cache) Shared() bool { return c.behind != nil && c.behind.shared != nil }

// Lease is the right of one of the gateways that share a cache to fetch something.
type Lease = shared.Lease

// Lease waits for as long as another of the gateways that share a cache fetches something, and the context goes on.
func (c *Cache) Lease(ctx context.Context, key string) Lease {
	if !c.Shared() {
		return Lease{}
	}
	return c.behind.shared.Lease(ctx, key)
}

// Latest looks a request up in what gateways share, for what is newer than what the memory has.
func (c *Cache) Latest(ctx context.Context, key []byte, h http.Header) Found {
	f, _ := c.find(ctx, key, h, func(ctx context.Context, key []byte) (*stored.Response, bool) {
		mine := c.memory.Get(key)
		r := c.behind.store.Get(ctx, string(key))
		if r == nil || mine != nil && !r.Received.After(mine.Received) {
			return mine, false
		}
		return c.promote(r), true
	})
	return f
}

// getter looks for a key, and says whether what it found was behind the memory.
type getter = func(ctx context.Context, key []byte) (r *stored.Response, below bool)

// find looks a request up, with what looks for a key.
func (c *Cache) find(ctx context.Context, key []byte, h http.Header, get getter) (f Found, buf []byte) {
	f, key = c.at(ctx, key, h, get, nil)
	if !c.searches.any.Load() || f.Response != nil && f.Response.Left(c.now()) > 0 {
		return f, key
	}
	return c.search(ctx, key, h, get, f), key
}

// at looks for what stands at a primary key, and says this of No-Vary-Search; nil: whatever it says.
func (c *Cache) at(ctx context.Context, key []byte, h http.Header, get getter, rule []string) (f Found, buf []byte) {
	r, below := get(ctx, key)
	if r == nil {
		return Found{}, key
	}
	unlike := func(r *stored.Response) bool { return rule != nil && !slices.Equal(rule, r.Header.Values(searchField)) }
	if !r.Marker {
		if unlike(r) {
			return Found{}, key
		}
		c.check(&f, r)
		f.Behind = below
		return f, key
	}
	primary := len(key)
	for i, names := range r.Varies {
		key = appendVariant(key[:primary], names, h)
		v, below := get(ctx, key)
		if i == 0 {
			f.Names = names
		}
		if v == nil || v.Marker || unlike(v) {
			continue
		}
		c.check(&f, v)
		if f.Response != nil {
			f.Behind = below
			break
		}
	}
	f.Known = f.Response == nil && !f.Purged
	return f, key[:primary]
}

// check takes a response that was found, unless it has been purged.
func (c *Cache) check(f *Found, r *stored.Response) {
	switch c.marks.Check(r) {
	case purge.Purged:
		c.memory.Delete(r.Key)
		f.Purged = true
		return
	case purge.Soft:
		f.Soft = true
		r = aged(r, c.now())
	default:
		f.Soft = false
	}
	f.Response = r
}

// aged is a response as one that is not fresh any more. Who asks may have looked at the clock a while before.
func aged(r *stored.Response, now time.Time) *stored.Response {
	if r.Left(now) <= 0 {
		return r
	}
	old := *r
	old.Terms.Lifetime = max(r.Age(now)-time.Second, 0)
	return &old
}

// get returns what stands at a key: in memory, or behind it.
func (c *Cache) get(ctx context.Context, key []byte) (r *stored.Response, below bool) {
	if r = c.memory.Get(key); r != nil || c.behind == nil {
		return r, false
	}
	if r = c.behind.store.Get(ctx, string(key)); r == nil {
		return nil, false
	}
	return c.promote(r), true
}

// promote takes what was behind into the memory, if it is not too long for that. It returns nil where the store has lost the body.
func (c *Cache) promote(r *stored.Response) *stored.Response {
	switch {
	case r.Marker:
		c.memory.Set(r)
		return r
	case r.Body == nil:
		return nil
	case r.Size > c.inMemory.Load() || c.marks.Check(r) == purge.Purged:
		return r
	}
	body, err := r.Body.Open()
	if err != nil {
		return nil
	}
	defer body.Close()
	block := make([]byte, r.Size)
	if _, err := io.ReadFull(body, block); err != nil {
		return nil
	}
	mine := *r
	mine.Body = c.newBody(r.Key, [][]byte{block})
	c.memory.Set(&mine)
	return &mine
}

// Renewed asks the store that gateways share for something better than a response that is not fresh: another gateway may have had it validated. It
// returns nil where there is nothing better.
func (c *Cache) Renewed(ctx context.Context, old *stored.Response) *stored.Response {
	if c.behind == nil || c.behind.shared == nil {
		return nil
	}
	r := c.behind.store.Get(ctx, old.Key)
	if r == nil || r.Marker || r.Body == nil || !r.Received.After(old.Received) || c.marks.Check(r) != purge.Valid {
		return nil
	}
	return c.promote(r)
}

// Update puts a response in the place of one with the same key and body, after a validation.
func (c *Cache) Update(ctx context.Context, r *stored.Response) {
	if r.Size <= c.inMemory.Load() {
		c.memory.Set(r)
	}
	if c.behind != nil {
		c.behind.store.Update(ctx, r)
	}
}

// Drop lets a response go.
func (c *Cache) Drop(ctx context.Context, key string) {
	c.memory.Delete(key)
	if c.behind != nil {
		c.behind.store.Delete(ctx, key)
	}
}

var _ filter.ResponseCache = (*Cache)(nil)
