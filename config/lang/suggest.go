package lang

import (
	"fmt"
	"slices"
	"strings"
)

// Suggest returns the candidate that is nearest to a word by edit distance (a swap of neighbours counts as one), or "" when none is
// near.
func Suggest(word string, candidates []string) string {
	sorted := slices.Sorted(slices.Values(candidates))
	best, bestDistance := "", 1+max(1, min(len(word)/3, 4))
	for _, c := range sorted {
		if c == word || c == "" || len(c) > len(word)+4 || len(word) > len(c)+4 {
			continue
		}
		if d := editDistance(normalWord(word), normalWord(c)); d < bestDistance && d < len(c) {
			best, bestDistance = c, d
		}
	}
	return best
}

// normalWord makes words alike that differ in case and in how they are joined: "rateLimit", "rate-limit", "rate_limit".
func normalWord(s string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "", ".", "").Replace(strings.ToLower(s))
}

// editDistance is the optimal string alignment distance: insertions, deletions, replacements and swaps.
func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is the hint that names what was probably meant; "" for "".
func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", near)
}

// oneOf is a list of what may stand somewhere. Nothing needs not be said.
func oneOf(words []string) string {
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "" })
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return "one of: " + strings.Join(words, ", ")
}
