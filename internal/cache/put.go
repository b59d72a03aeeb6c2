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
	store stored.Writer    // nil: nothing behind takes it
	later *stored.Response // what the store is to take, which is in memory already
	done  bool
}

// Begin begins to store a response, whose Key is the primary one. Names are the fields of requests by which it differs, and h those of the request that
// it answers. It gives the response its key and what selects it. Size is -1 while it is not known. Who began it calls End.
func (c *Cache) Begin(ctx context.Context, r *stored.Response, names []string, h http.Header) *Writing {
	c.place(ctx, r)
	if len(names) == 0 && r.Status != http.StatusOK {
		names = c.marked(ctx, r.Key) // an error says no Vary, and is still one variant's
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

// Commit stores the response, whose body is whole: in memory, if that kept the body, which blocks are then; else in the store. It is found as of its
// return. End follows.
func (w *Writing) Commit(r *stored.Response, blocks [][]byte, inMemory bool) {
	if w.cache.marks.Check(r) == purge.Purged {
		return // something newer may stand there
	}
	if inMemory {
		mine := *r
		mine.Body = w.cache.newBody(r.Key, blocks)
		if w.cache.memory.Set(&mine) {
			w.later = r
			return
		}
	}
	w.below(r)
	w.cache.memory.Delete(r.Key) // what was there before is out of date
}

// below has the store take the response, or let go of what it had in its place.
func (w *Writing) below(r *stored.Response) {
	if w.store != nil {
		_, err := w.store.Commit(r)
		w.done = err == nil
	}
	if !w.done && w.cache.behind != nil {
		w.cache.behind.store.Delete(w.ctx, r.Key)
	}
}

// End has the store take what is in memory.
func (w *Writing) End() {
	if w.later != nil && w.cache.marks.Check(w.later) != purge.Purged {
		w.below(w.later)
	}
}

// Close throws away what was not committed, and gives up what the body was written to, once nobody reads it from there any more.
func (w *Writing) Close() {
	if w.store != nil && !w.done {
		w.store.Abort()
	}
	if c, ok := w.store.(io.Closer); ok {
		_ = c.Close()
	}
}
