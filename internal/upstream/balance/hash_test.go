package balance

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// owners returns which member each of many keys goes to.
func owners(p Picker, keys int) []int {
	out := make([]int, keys)
	for k := range out {
		out[k] = p.Pick(Query{Hash: mix(uint64(k) + 1)})
	}
	return out
}

// A member that leaves, or cannot be used, moves its own keys and no others; one that comes takes keys for itself only.
func TestHashMovesLittle(t *testing.T) {
	const keys = 2000
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		gone := rapid.IntRange(0, n-1).Draw(t, "gone")
		g := new(Group)
		ms := members(g, slices.Repeat([]int{1}, n)...)
		b := New(Options{By: Hash}, g)
		before := owners(b.Build(ms, all(n)), keys)

		usable := all(n)
		usable[gone] = false
		down := owners(b.Build(ms, usable), keys)

		rest := slices.Delete(slices.Clone(ms), gone, gone+1)
		left := owners(b.Build(rest, all(n-1)), keys)
		for k := range keys {
			moved := left[k]
			if moved >= gone {
				moved++ // its index before
			}
			switch {
			case down[k] == gone:
				t.Fatalf("key %d goes to a member that is down", k)
			case before[k] != gone && (down[k] != before[k] || moved != before[k]):
				t.Fatalf("key %d of member %d moved to %d and %d when %d went", k, before[k], down[k], moved, gone)
			case down[k] != moved:
				t.Fatalf("key %d goes to %d when %d is down, and to %d when it has left", k, down[k], gone, moved)
			}
		}
	})
}

// No member has more than its bound in flight, whatever the keys.
func TestHashBoundsLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 8).Draw(t, "weights")
		bound := rapid.SampledFrom([]float64{1, 1.25, 2}).Draw(t, "bound")
		popular := rapid.Uint64().Draw(t, "popular key")
		g := new(Group)
		ms := members(g, weights...)
		p := New(Options{By: Hash, Bound: bound}, g).Build(ms, all(len(ms)))
		sum := 0
		for _, w := range weights {
			sum += w
		}
		for k := range 300 {
			key := popular
			if k%4 == 0 {
				key = mix(uint64(k))
			}
			m := ms[p.Pick(Query{Hash: key})]
			m.Load.Begin()
			if limit := math.Ceil(bound * float64(m.Weight) / float64(sum) * float64(k+1)); float64(m.Load.Active()) > limit {
				t.Fatalf("of %d requests %s of weight %d of %d has %d, more than %v", k+1, m.Name, m.Weight, sum, m.Load.Active(), limit)
			}
		}
	})
}

func TestHashSticksWhileIdle(t *testing.T) {
	g := new(Group)
	ms := members(g, 1, 1, 1, 1, 1)
	p := New(Options{By: Hash, Bound: 1.25}, g).Build(ms, all(5))
	first := owners(p, 500)
	if again := owners(p, 500); !slices.Equal(first, again) {
		t.Error("the same keys went elsewhere")
	}
	other := New(Options{By: Hash, Bound: 1.25}, new(Group)).Build(members(new(Group), 1, 1, 1, 1, 1), all(5))
	if !slices.Equal(first, owners(other, 500)) {
		t.Error("another gateway sends the same keys elsewhere")
	}
}

func TestHashWithNearlyAllDown(t *testing.T) {
	const n = 1000
	g := new(Group)
	ms := members(g, slices.Repeat([]int{1}, n)...)
	b := New(Options{By: Hash}, g)
	usable := make([]bool, n)
	usable[7], usable[700] = true, true
	small := owners(b.Build(ms, usable), 3000)
	h := &hash{ring: newRing(ms, sequence(n)), members: ms, usable: usable, weight: 2, group: g}
	if whole := owners(h, 3000); !slices.Equal(small, whole) {
		t.Error("a ring of those that are left gives other owners than the whole ring")
	}
}

func sequence(n int) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(i)
	}
	return out
}

func TestRingSearch(t *testing.T) {
	r := newRing(members(new(Group), 1, 2, 3), sequence(3))
	byHash := func(p point, h uint32) int { return cmp.Compare(p.hash, h) }
	if !slices.IsSortedFunc(r.points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) }) {
		t.Fatal("the ring is not in order")
	}
	check := func(h uint64) {
		want, _ := slices.BinarySearchFunc(r.points, uint32(h>>32), byHash)
		if want == len(r.points) {
			want = 0
		}
		if got := r.search(h); got != want {
			t.Fatalf("search(%x) = %d, want %d", h, got, want)
		}
	}
	check(0)
	check(math.MaxUint64)
	for k := range uint64(5000) {
		check(mix(k))
	}
	for _, p := range r.points {
		check(uint64(p.hash) << 32)
		check(uint64(p.hash)<<32 + 1<<32)
	}
}
