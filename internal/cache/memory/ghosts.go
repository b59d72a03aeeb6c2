package memory

// ghosts remember what left the small queue: parts of hashes, with how often it was asked for. They are sets of eight, in which the oldest makes room, so that
// as many are remembered as there are places, more or less.
type ghosts struct {
	sets []ghostSet
}

// ghostSet has 28 bits of the hash and 4 of the count in each item, the latest first.
type ghostSet [8]uint32

func (g *ghosts) size() int64 { return allocated(32 * int64(cap(g.sets))) }

// fit makes room for about n. Sets are found by the first bits of a hash, and so remain in their order.
func (g *ghosts) fit(n int) {
	sets := max(n/8, 1)
	if have := len(g.sets); sets <= have+have/8 && sets >= have-have/4 {
		return
	}
	next := make([]ghostSet, sets)
	for i := range next {
		if len(g.sets) > 0 {
			next[i] = g.sets[i*len(g.sets)/sets]
		}
	}
	g.sets = next
}

func (g *ghosts) set(hash uint64) *ghostSet {
	return &g.sets[hash>>32*uint64(len(g.sets))>>32]
}

// put remembers something.
func (g *ghosts) put(hash uint64, count uint32) {
	set := g.set(hash)
	copy(set[1:], set[:])
	set[0] = uint32(hash)&^15 | min(count, 15)
}

// take forgets something, and says whether it was there, with its count.
func (g *ghosts) take(hash uint64) (count uint32, ok bool) {
	set := g.set(hash)
	for i, item := range set {
		if item != 0 && item&^15 == uint32(hash)&^15 {
			copy(set[i:], set[i+1:])
			set[7] = 0
			return item & 15, true
		}
	}
	return 0, false
}
