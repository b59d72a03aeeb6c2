package main

import (
	"strings"
	"testing"
)

// TestKnown compares policies with what was worked out by hand from their papers: objects are letters of size 1, and capital ones are hits.
func TestKnown(t *testing.T) {
	for _, test := range []struct {
		policy   string
		capacity int64
		want     string
	}{
		{"lru", 3, "abcAdAbcA"},

		// a is visited: the hand passes over it and lets b go, then, from there on, c, d, e, f and g, and never comes to a.
		{"sieve", 3, "abcAdeAfgAbfAB"},

		// Of ten, one is for the small queue. a goes to the main queue, being asked for twice again; b and c go to the ghosts, and b comes back from there to the main queue.
		{"s3-fifo", 10, "aAAbcdefghijkbAB"},

		// b is let go for d and comes back, by which the target of the recent ones becomes 1: so e takes the place of b, of those often used. That makes it 0 again when b
		// comes back, and then f and g take those of e and f. e, coming back, makes it 1 again: a has to go.
		{"arc", 3, "aAbcdbAebfgABea"},
	} {
		var p policy
		for _, one := range policies {
			if one.name == test.policy {
				p = one.make(test.capacity, &trace{})
			}
		}
		got := ""
		for _, letter := range strings.ToLower(test.want) {
			s := string(letter)
			if p.ask(uint32(letter), 1) {
				s = strings.ToUpper(s)
			}
			got += s
		}
		if got != test.want {
			t.Errorf("%s: %s, not %s", test.policy, got, test.want)
		}
	}
}
