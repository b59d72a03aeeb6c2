package cache

import (
	"bytes"
	"io"
	"sync"

	"cardea.dev/cardea/internal/cache/memory"
	"cardea.dev/cardea/internal/stored"
)

// Forms are the encoded forms of a body in memory, which are made once for many clients. They go with the body.
type Forms struct {
	stored.Body
	cache *Cache
	key   string

	mu    sync.Mutex
	forms []form
}

// form is a body in a content coding.
type form struct {
	coding string
	body   stored.Body
	length int64
}

// newBody makes a body in memory, which may have forms.
func (c *Cache) newBody(key string, blocks [][]byte) stored.Body {
	return &Forms{Body: memory.NewBody(blocks), cache: c, key: key}
}

// Memory is how many bytes it takes, with its forms.
func (f *Forms) Memory() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := taken(f.Body) + 96
	for i := range f.forms {
		sum += taken(f.forms[i].body) + 64
	}
	return sum
}

func taken(b stored.Body) int64 {
	if m, ok := b.(interface{ Memory() int64 }); ok {
		return m.Memory()
	}
	return 0
}

// Encoded returns the whole body in a content coding and its length, if that form is kept.
func (f *Forms) Encoded(coding string) (io.ReadCloser, int64, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.forms {
		if f.forms[i].coding == coding {
			r, err := f.forms[i].body.Open()
			return r, f.forms[i].length, err == nil
		}
	}
	return nil, 0, false
}

// MostEncoded is how long a form may be that is kept.
func (f *Forms) MostEncoded() int64 { return f.cache.inMemory.Load() }

// KeepEncoded keeps a form of the body. One that is there already stays.
func (f *Forms) KeepEncoded(coding string, blocks [][]byte) {
	n := int64(0)
	for _, b := range blocks {
		n += int64(len(b))
	}
	if n > f.MostEncoded() {
		return
	}
	before := f.Memory()
	f.mu.Lock()
	for i := range f.forms {
		if f.forms[i].coding == coding {
			f.mu.Unlock()
			return
		}
	}
	f.forms = append(f.forms, form{coding, memory.NewBody([][]byte{bytes.Join(blocks, nil)}), n})
	f.mu.Unlock()
	f.cache.memory.Grow(f.key, f.Memory()-before)
}

// codings are the codings of which there are forms.
func (f *Forms) codings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for i := range f.forms {
		names = append(names, f.forms[i].coding)
	}
	return names
}
