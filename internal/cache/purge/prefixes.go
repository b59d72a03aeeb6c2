package purge

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	// maxPrefixes is how many are known one by one. They are changed by copying all.
	maxPrefixes = 1024

	// maxPrefix is their greatest length. A longer one is cut, which makes it one of more URLs.
	maxPrefix = 2048
)

// prefixes are the prefixes of URLs that were purged.
type prefixes struct {
	list atomic.Pointer[[]prefix] // in the order of their texts; never changed
}

type prefix struct {
	text   string
	seq    uint64
	latest uint64 // of it and of all that it begins with
	outer  int    // the longest other that it begins with, or -1
}

// add notes a prefix. When there are too many, the oldest is forgotten and its number returned: all up to that are to be taken for purged. Whoever
// calls it holds a lock.
func (p *prefixes) add(text string, seq uint64) (forgotten uint64) {
	text = strings.Clone(text[:min(len(text), maxPrefix)])
	if p.latest(text) >= seq {
		return 0
	}
	list := slices.DeleteFunc(p.copied(), func(q prefix) bool { return q.seq <= seq && strings.HasPrefix(q.text, text) })
	at, found := slices.BinarySearchFunc(list, text, func(q prefix, text string) int { return cmp.Compare(q.text, text) })
	if found {
		return 0 // with a higher number
	}
	list = slices.Insert(list, at, prefix{text: text, seq: seq})
	if len(list) > maxPrefixes {
		for _, q := range list {
			if forgotten == 0 || q.seq < forgotten {
				forgotten = q.seq
			}
		}
		list = slices.DeleteFunc(list, func(q prefix) bool { return q.seq <= forgotten })
	}
	p.set(list)
	return forgotten
}

// forget lets those up to a number go.
func (p *prefixes) forget(seq uint64) {
	p.set(slices.DeleteFunc(p.copied(), func(q prefix) bool { return q.seq <= seq }))
}

// copied returns the prefixes, to be changed.
func (p *prefixes) copied() []prefix {
	if list := p.list.Load(); list != nil {
		return slices.Clone(*list)
	}
	return nil
}

// set links the prefixes and puts them in the place of those before.
func (p *prefixes) set(list []prefix) {
	if len(list) == 0 {
		p.list.Store(nil)
		return
	}
	outer := -1
	for i := range list {
		q := &list[i]
		for outer >= 0 && !strings.HasPrefix(q.text, list[outer].text) {
			outer = list[outer].outer
		}
		q.latest, q.outer = q.seq, outer
		if outer >= 0 {
			q.latest = max(q.latest, list[outer].latest)
		}
		outer = i
	}
	p.list.Store(&list)
}

// latest returns the highest number of the prefixes of a URL, 0 where there is none.
func (p *prefixes) latest(url string) uint64 {
	found := p.list.Load()
	if found == nil {
		return 0
	}
	list := *found
	at, same := slices.BinarySearchFunc(list, url, func(q prefix, url string) int { return cmp.Compare(q.text, url) })
	if !same {
		at-- // every prefix of the URL comes before it, and the last of these begins with all of them
	}
	for at >= 0 && !strings.HasPrefix(url, list[at].text) {
		at = list[at].outer
	}
	if at < 0 {
		return 0
	}
	return list[at].latest
}
