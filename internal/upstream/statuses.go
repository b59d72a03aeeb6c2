package upstream

import "cardea.dev/cardea/config"

// statuses is a set of HTTP statuses, a bit for each.
type statuses [10]uint64

// newStatuses returns the set of all that are in one of the ranges.
func newStatuses(ranges []config.StatusRange) (s statuses) {
	for _, r := range ranges {
		for status := r.From; status <= r.To; status++ {
			s[status/64] |= 1 << (status % 64)
		}
	}
	return s
}

// has reports whether a status is in the set.
func (s *statuses) has(status int) bool {
	return status >= 0 && status < 640 && s[status/64]>>(status%64)&1 == 1
}
