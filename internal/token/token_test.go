package token

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCacheKeepsNoMoreThanItMay(t *testing.T) {
	c := NewCache[int](320)
	hot := NewID("hot")
	c.Put(hot, -1)
	for n := range 100_000 {
		c.Put(NewID(fmt.Sprint(n)), n)
		if v, ok := c.Get(hot); !ok || v != -1 {
			t.Fatalf("what is always asked for is gone after %d", n)
		}
	}
	if n := c.Len(); n > 320 || n < 300 {
		t.Errorf("%d are kept", n)
	}
	for n := range 100_000 {
		if n%3 == 0 {
			c.Drop(NewID(fmt.Sprint(n)))
		}
		c.Put(NewID(fmt.Sprint(n)), n)
		c.Put(NewID(fmt.Sprint(n)), n+1)
		if v, ok := c.Get(NewID(fmt.Sprint(n))); !ok || v != n+1 {
			t.Fatalf("%d: got %d, %v", n, v, ok)
		}
	}
	if n := c.Len(); n > 320 {
		t.Errorf("%d are kept", n)
	}
	for i := range c.shards {
		if s := &c.shards[i]; len(s.ring) > s.most || len(s.m) > s.most {
			t.Errorf("shard %d has %d in the ring, %d in the map, of %d", i, len(s.ring), len(s.m), s.most)
		}
	}
}

func TestCacheOfNothing(t *testing.T) {
	c := NewCache[int](0)
	c.Put(NewID("x"), 1)
	if _, ok := c.Get(NewID("x")); ok || c.Len() != 0 {
		t.Error("it is kept")
	}
}

func TestCacheByMany(t *testing.T) {
	c := NewCache[int](64)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 5000 {
				id := NewID(fmt.Sprint((n * (w + 1)) % 200))
				switch n % 5 {
				case 0:
					c.Drop(id)
				case 1, 2:
					c.Put(id, n)
				default:
					c.Get(id)
				}
			}
		})
	}
	wg.Wait()
	if c.Len() > 64 {
		t.Errorf("%d are kept", c.Len())
	}
}

func TestReplaysForgetOnlyWhatIsOver(t *testing.T) {
	r := NewReplays()
	at := time.Unix(1_000_000, 0)
	id := func(n int) [32]byte { return sha256.Sum256(fmt.Append(nil, n)) }
	if used, full := r.use(id(1), at, time.Minute, true); used || full {
		t.Error("nothing was used yet")
	}
	if used, _ := r.use(id(1), at, time.Minute, false); used {
		t.Error("to look is not to use")
	}
	for s := range 60 {
		if used, _ := r.use(id(1), at.Add(time.Duration(s)*time.Second), time.Minute, false); !used {
			t.Errorf("it is forgotten after %d seconds", s)
		}
		r.use(id(100+s), at.Add(time.Duration(s)*time.Second), time.Minute, false)
	}
	if used, _ := r.use(id(159), at.Add(118*time.Second), time.Minute, false); !used {
		t.Error("one of the time before is forgotten after 59 seconds")
	}
	r.use(id(2), at.Add(5*time.Minute), time.Minute, false)
	if len(r.now) != 1 || len(r.then) != 0 {
		t.Errorf("%d and %d are remembered for ever", len(r.now), len(r.then))
	}
}

func TestReplaysAreBounded(t *testing.T) {
	r := NewReplays()
	at := time.Unix(1_000_000, 0)
	r.use([32]byte{}, at, time.Minute, false)
	for n := range maxReplays - 1 {
		r.now[[16]byte{1, byte(n), byte(n >> 8), byte(n >> 16)}] = struct{}{}
	}
	if used, full := r.use([32]byte{9}, at, time.Minute, false); used || !full {
		t.Errorf("used %v, full %v", used, full)
	}
	if used, _ := r.use([32]byte{}, at, time.Minute, false); !used {
		t.Error("a used one is taken again, when all is full")
	}
}

func TestTokenCharacters(t *testing.T) {
	const those = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=" // RFC 6750, section 2.1
	for c := range rune(256) {
		if got, want := tokenCharacter(byte(c)), strings.IndexByte(those, byte(c)) >= 0; got != want {
			t.Errorf("%q: %v, wanted %v", c, got, want)
		}
	}
}

func TestNormalPath(t *testing.T) {
	for path, want := range map[string]string{
		"": "/", "/a": "/a", "/%61b": "/ab", "/%7e": "/~", "/a%2fb": "/a%2Fb", "/%": "/%", "/%4": "/%4", "/%zz": "/%ZZ", "/%2B%c3%a4": "/%2B%C3%A4",
	} {
		if got := normalPath(path); got != want {
			t.Errorf("%s: %s, wanted %s", path, got, want)
		}
	}
}
