package balance

import (
	"math"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// HashKey returns the hash of a key. It is the same in every gateway, so that several send a key to the same endpoint.
func HashKey(key string) uint64 { return xxhash.Sum64String(key) }

// hash sends a key to the same member while that is there. Members stand on a ring at many points; a key belongs to the next
// one. What joins or leaves moves only the keys that it gets or had (Karger et al.). A member that has too much to do passes the
// key on to the next (Mirrokni, Thorup, Zadimoghaddam, "Consistent hashing with bounded loads").
type hash struct {
	ring      *ring
	members   []*Member
	usable    []bool
	weight    float64 // of all that are usable
	bound     float64
	slowStart int64
	group     *Group
}

// buildHash makes a picker with the last ring where that will do. Members that are not usable stay on it, and are passed over,
// unless they are most of it.
func (b *Balancer) buildHash(members []*Member, order []uint32) Picker {
	on := make([]uint32, 0, len(members))
	for i, m := range members {
		if m.Weight > 0 {
			on = append(on, uint32(i))
		}
	}
	if len(order) < len(on)/4 {
		on = order
	}
	if b.ring == nil || !b.ring.isFor(members, on) {
		b.ring = newRing(members, on)
	}
	h := &hash{
		ring: b.ring, members: members, usable: make([]bool, len(members)),
		bound: b.options.Bound, slowStart: int64(b.options.SlowStart), group: b.group,
	}
	for _, i := range order {
		h.usable[i] = true
		h.weight += float64(members[i].Weight)
	}
	return h
}

// Pick returns the first member from the key's point on that is usable, untried and not overloaded.
func (h *hash) Pick(q Query) int {
	points := h.ring.points
	start := h.ring.search(q.Hash)
	untried, tried := -1, -1
	last := uint32(math.MaxUint32)
	for k := range points {
		at := start + k
		if at >= len(points) {
			at -= len(points)
		}
		owner := points[at].owner
		if owner == last {
			continue
		}
		last = owner
		i := h.ring.member(owner)
		switch {
		case !h.usable[i]:
		case len(q.Tried) > 0 && slices.Contains(q.Tried, h.members[i]):
			tried = first(tried, i)
		case h.overloaded(i, q.Now):
			untried = first(untried, i)
			if k > len(points)/2 { // all are: the bound is too tight for what goes on at once
				return untried
			}
		default:
			return i
		}
	}
	return first(untried, tried)
}

// first returns the first of two that is one.
func first(a, b int) int {
	if a >= 0 {
		return a
	}
	return b
}

// rounding keeps a product that should be whole from counting as a little more.
const rounding = 1e-9

// overloaded reports whether one more request would bring a member over the bound on its share.
func (h *hash) overloaded(i int, now int64) bool {
	if h.bound == 0 {
		return false
	}
	m := h.members[i]
	share := float64(m.Weight) / h.weight
	if h.slowStart > 0 {
		share *= m.Load.warmth(now, h.slowStart)
	}
	capacity := math.Ceil(h.bound*share*float64(h.group.Active()+1) - rounding)
	return float64(m.Load.Active()+1) > capacity
}

// Each member stands on the ring at pointsPerWeight points for each unit of weight: with so many, shares are within a tenth. A ring
// of more than maxPoints has fewer for each, so that it stays in the processor's caches; the bound then levels what chance does not.
const (
	pointsPerWeight = 160
	maxPoints       = 1 << 18
)

// ring is the order of the members' points. It is immutable.
type ring struct {
	on      []uint32 // indexes of members, by owner
	names   []string // by owner
	weights []int    // by owner
	points  []point  // by hash
	buckets []uint32 // where hashes with the same first bits begin
	shift   int
}

// point is a place on the ring.
type point struct {
	hash  uint32 // the upper half; points are in the order of the whole
	owner uint32
}

// isFor reports whether the ring is that of these members.
func (r *ring) isFor(members []*Member, on []uint32) bool {
	if !slices.Equal(r.on, on) {
		return false
	}
	for owner, i := range on {
		if m := members[i]; m.Name != r.names[owner] || m.Weight != r.weights[owner] {
			return false
		}
	}
	return true
}

// member is the index of the member that owns points.
func (r *ring) member(owner uint32) int { return int(r.on[owner]) }

// newRing puts members on a ring.
func newRing(members []*Member, on []uint32) *ring {
	r := &ring{on: slices.Clone(on)}
	weights, total := reduced(members, on)
	per := pointsPerWeight
	for per > 1 && total*per > maxPoints {
		per /= 2
	}
	hashes, owners := make([]uint64, 0, total*per), make([]uint32, 0, total*per)
	for owner, i := range on {
		m := members[i]
		r.names, r.weights = append(r.names, m.Name), append(r.weights, m.Weight)
		seed := xxhash.Sum64String(m.Name)
		for k := range weights[owner] * per {
			hashes = append(hashes, mix(seed+uint64(k)*0x9e3779b97f4a7c15))
			owners = append(owners, uint32(owner))
		}
	}
	r.place(hashes, owners)
	return r
}

// place brings points in order and notes where each bucket begins. Hashes are even, so there is about one point in a bucket, and
// to count them is nearly to sort them.
func (r *ring) place(hashes []uint64, owners []uint32) {
	r.shift = 32 - min(32, bits.Len(uint(len(hashes))))
	r.buckets = make([]uint32, 1<<(32-r.shift)+1)
	bucket := func(h uint64) uint64 { return h >> 32 >> r.shift }
	for _, h := range hashes {
		r.buckets[bucket(h)+1]++
	}
	for b := 1; b < len(r.buckets); b++ {
		r.buckets[b] += r.buckets[b-1]
	}
	next := slices.Clone(r.buckets)
	sorted := make([]uint64, len(hashes))
	r.points = make([]point, len(hashes))
	for k, h := range hashes {
		b := bucket(h)
		at := next[b]
		next[b]++
		for ; at > r.buckets[b] && sorted[at-1] > h; at-- {
			sorted[at], r.points[at] = sorted[at-1], r.points[at-1]
		}
		sorted[at], r.points[at] = h, point{uint32(h >> 32), owners[k]}
	}
}

// search returns the index of the first point at or after a hash.
func (r *ring) search(hash uint64) int {
	h := uint32(hash >> 32)
	at := int(r.buckets[h>>r.shift])
	for at < len(r.points) && r.points[at].hash < h {
		at++
	}
	if at == len(r.points) {
		return 0
	}
	return at
}

// mix spreads a number over all bits (splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
