package rules

import (
	"slices"
	"strconv"
	"strings"
)

// MaxRanges is how many ranges one request may ask for. Of more, the whole is sent.
const MaxRanges = 16

// Span is a part of a body.
type Span struct{ Start, Length int64 }

// spans reads Range for a body of some size (RFC 9110, section 14.1). It is false where the field is to be ignored: it cannot be read, is not of bytes, or asks for too many.
// Spans that overlap or touch are one. None at all cannot be satisfied.
func spans(lines []string, size int64) ([]Span, bool) {
	if len(lines) != 1 {
		return nil, false
	}
	unit, set, ok := strings.Cut(trim(lines[0]), "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return nil, false
	}
	var list []Span
	asked := 0
	for more := true; more; {
		var spec string
		spec, set, more = strings.Cut(set, ",")
		if spec = trim(spec); spec == "" {
			continue
		}
		if asked++; asked > MaxRanges {
			return nil, false
		}
		one, ok := span(spec, size)
		if !ok {
			return nil, false
		}
		if one.Length > 0 {
			list = join(list, one)
		}
	}
	return list, asked > 0
}

// span reads a range. One that cannot be satisfied has no length; it is false for one that cannot be read.
func span(spec string, size int64) (Span, bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return Span{}, false
	}
	if first == "" {
		n, ok := position(last)
		n = min(n, size)
		return Span{size - n, n}, ok
	}
	start, ok := position(first)
	if !ok {
		return Span{}, false
	}
	end := size - 1
	if last != "" {
		n, ok := position(last)
		if !ok || n < start {
			return Span{}, false
		}
		end = min(end, n)
	}
	if start > end {
		return Span{}, true
	}
	return Span{start, end - start + 1}, true
}

// position reads digits. What is too large is the largest number: beyond any body's end.
func position(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, true
}

// join adds a span, made one with those that it overlaps or touches, in the place of the first of them: nothing is sent twice.
func join(list []Span, one Span) []Span {
	for {
		i := slices.IndexFunc(list, func(s Span) bool { return s.Start <= one.Start+one.Length && one.Start <= s.Start+s.Length })
		if i < 0 {
			return append(list, one)
		}
		other := list[i]
		start := min(other.Start, one.Start)
		one = Span{start, max(other.Start+other.Length, one.Start+one.Length) - start}
		rest := slices.Delete(list, i, i+1)
		if !slices.ContainsFunc(rest, func(s Span) bool { return s.Start <= one.Start+one.Length && one.Start <= s.Start+s.Length }) {
			return slices.Insert(rest, i, one)
		}
		list = rest
	}
}
