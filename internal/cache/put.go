package cache

import (
	"context"
	"io"
	"net/http"

	"cardea.dev/cardea/internal/cache/purge"
	"cardea.dev/cardea/internal/stored"
)

// Writing is a response that is being stored.
type Writing struct {
	cache *Cache
	ctx   context.Context
	head  *stored.Response
	store stored.Writer // nil: nothing behind takes it
	done  bool
}

// Begin begins to store a response, whose Key is the primary one. Names are the fields of requests by which it differs, and h those of the request that
// it answers. It gives the response its key and what selects it. Size is -1 while it is not known. Who began it calls Abort at the end.
func (c *Cache) Begin(ctx context.Context, r *stored.Response, names []string, h http.Header) *Writing {
	if len(names) == 0 && r.Status != http.StatusOK {
		names = c.marked(r.Key) // an error says no Vary, and is still one variant's
	}
	if len(names) > 0 {
		primary := r.Key
		r.Key = string(appendVariant([]byte(primary), names, h))
		r.URL = within(r.Key, r.URL)
		r.Vary = selecting(names, h)
		c.mark(ctx, primary, names, r)
	}
	w := &Writing{cache: c, ctx: ctx, head: r}
	if c.behind == nil {
		return w
	}
	if store, err := c.behind.store.Put(ctx, r); err == nil {
		w.store = store
	}
	return w
}

// within returns a text as a part of another that has it after the method, so that it takes no room of its own.
func within(key, url string) string {
	for i := 0; i+len(url) <= len(key) && i < 32; i++ {
		if key[i:i+len(url)] == url {
			return key[i : i+len(url)]
		}
	}
	return url
}

// Memory is how much of the body is kept in memory at most.
func (w *Writing) Memory() int64 { return w.cache.inMemory.Load() }

// Store is what takes the body behind the memory, or nil.
func (w *Writing) Store() stored.Writer { return w.store }

// Commit stores the response, whose body is whole. Blocks are the body where memory kept it, else nil. It returns the response as it is stored, or nil
// where it is not.
func (w *Writing) Commit(r *stored.Response, blocks [][]byte, inMemory bool) *stored.Response {
	if w.cache.marks.Check(r) == purge.Purged {
		w.Abort() // it was purged meanwhile, and something newer may stand there
		return nil
	}
	var kept *stored.Response
	if inMemory {
		mine := *r
		mine.Body = w.cache.newBody(r.Key, blocks)
		if w.cache.memory.Set(&mine) {
			kept = &mine
		}
	}
	if w.store == nil {
		w.done = true
		if kept == nil {
			w.cache.memory.Delete(r.Key) // what was there before is out of date
		}
		return kept
	}
	below, err := w.store.Commit(r)
	w.done = err == nil
	switch {
	case kept != nil:
		return kept
	case err != nil:
		w.cache.Drop(w.ctx, r.Key)
		return nil
	}
	w.cache.memory.Delete(r.Key)
	return below
}

// Close gives up what the body was written to, once nobody reads it from there any more.
func (w *Writing) Close() {
	if c, ok := w.store.(io.Closer); ok {
		_ = c.Close()
	}
}

// Abort throws away what was not committed.
func (w *Writing) Abort() {
	if w.store != nil && !w.done {
		w.done = true
		w.store.Abort()
	}
}
