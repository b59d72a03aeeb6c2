package balance

import "math/rand/v2"

// maxSlots is how long a schedule may get. Weights that need a longer one are rounded.
const maxSlots = 1 << 16

// schedule returns an order in which each member comes up as often as its weight says, evenly spread. The order of equals is
// random, so that gateways side by side do not go in step.
func schedule(members []*Member, order []uint32) []uint32 {
	shuffled := make([]uint32, len(order))
	copy(shuffled, order)
	rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	weights, total := reduced(members, shuffled)
	if total == len(shuffled) {
		return shuffled
	}
	return spread(shuffled, weights, total)
}

// reduced returns the weights without their common divisor, and their sum.
func reduced(members []*Member, order []uint32) (weights []int, total int) {
	divisor, sum := 0, 0
	for _, i := range order {
		divisor = gcd(members[i].Weight, divisor)
		sum += members[i].Weight
	}
	sum /= divisor
	weights = make([]int, len(order))
	for k, i := range order {
		w := members[i].Weight / divisor
		if sum > maxSlots {
			w = max(1, (w*maxSlots+sum/2)/sum)
		}
		weights[k] = w
		total += w
	}
	return weights, total
}

// spread puts each member at even distances: one of weight w at (2k+1)/2w of the whole, for each k below w. That is sorting by
// place, done by counting.
func spread(order []uint32, weights []int, total int) []uint32 {
	place := func(k, w int) int { return (2*k + 1) * total / (2 * w) }
	starts := make([]uint32, total+1)
	for j := range order {
		for k := range weights[j] {
			starts[place(k, weights[j])+1]++
		}
	}
	for p := 1; p <= total; p++ {
		starts[p] += starts[p-1]
	}
	slots := make([]uint32, total)
	for j, i := range order {
		for k := range weights[j] {
			p := place(k, weights[j])
			slots[starts[p]] = i
			starts[p]++
		}
	}
	return slots
}

// gcd is the greatest common divisor.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
