package transform

import (
	"slices"
	"strings"

	"cardea.dev/cardea/internal/qvalue"
)

// choose returns which of the formats a client likes best, by its Accept fields, or "" for none (RFC 9110, section 12.5.1). Among those that
// it likes equally the first is chosen.
func choose(accept, formats []string) string {
	if len(accept) == 0 {
		return formats[0]
	}
	best, chosen := 0, ""
	for _, f := range formats {
		if q := weight(accept, f); q > best {
			best, chosen = q, f
		}
	}
	return chosen
}

// weight is what a client gives a format, in thousandths: that of the most specific range which it is in, of those the highest.
func weight(accept []string, format string) int {
	best, specific := 0, 0
	for _, value := range accept {
		for item := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(item, ";")
			how := matches(strings.ToLower(strings.Trim(name, " \t")), format)
			if how == 0 || how < specific {
				continue
			}
			q := qvalue.Of(params)
			if how > specific || q > best {
				best, specific = q, how
			}
		}
	}
	return best
}

// matches says how specific a media range is that a format is in: 0 for one that it is not in.
func matches(name, format string) int {
	types := offered(format)
	major, minor, _ := strings.Cut(name, "/")
	switch {
	case slices.Contains(types, name):
		return 3
	case name == "*/*":
		return 1
	case minor == "*" && strings.HasPrefix(types[0], major+"/"):
		return 2
	}
	return 0
}

// offered are the media types that a format can be written as; the first is for those who name none.
func offered(format string) []string {
	if format == "form" {
		return mediaTypes(format)[:1]
	}
	return mediaTypes(format)
}

// named is the media type of a format that a client names; "": it names none but the first.
func named(accept []string, format string) string {
	for i, t := range offered(format) {
		for _, value := range accept {
			for item := range strings.SplitSeq(value, ",") {
				name, params, _ := strings.Cut(item, ";")
				if !strings.EqualFold(strings.Trim(name, " \t"), t) || qvalue.Of(params) == 0 {
					continue
				}
				if i == 0 {
					return ""
				}
				return t
			}
		}
	}
	return ""
}
