package rules

import (
	"net/http"
	"slices"
	"strings"
)

// VaryNames are the names in Vary, canonical and sorted. All says that no request selects the response: for "*", and for what is no list of names (RFC 9111, section 4.1).
func VaryNames(h http.Header) (names []string, all bool) {
	for _, line := range h["Vary"] {
		var ok bool
		if names, ok = fieldNames(names, line); !ok {
			return nil, true
		}
	}
	if slices.Contains(names, "*") {
		return nil, true
	}
	slices.Sort(names)
	return slices.Compact(names), false
}

// Differ are the names of the fields by which the responses to a URL differ, canonical and sorted: those in Vary, and Accept-Encoding where a response is encoded. Many services forget to
// say that, and who cannot read the encoding would get it. All is as VaryNames says.
func Differ(h http.Header) (names []string, all bool) {
	names, all = VaryNames(h)
	if all || !encoded(h["Content-Encoding"]) {
		return names, all
	}
	if i, found := slices.BinarySearch(names, "Accept-Encoding"); !found {
		names = slices.Insert(names, i, "Accept-Encoding")
	}
	return names, false
}

// encoded says whether there is an encoding.
func encoded(lines []string) bool {
	for _, line := range lines {
		for coding := range strings.SplitSeq(line, ",") {
			if coding = trim(coding); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}

// NormalField is the value of a request's field in a form that is the same for all that mean the same (RFC 9111, section 4.1). It is "" for a field that is not there, and " " for an
// empty one.
func NormalField(name string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	value := trim(strings.Join(values, ", "))
	switch name {
	case "Accept-Encoding":
		value = normalList(value, true)
	case "Accept-Language", "Accept-Charset":
		value = normalList(value, false)
	case "Authorization", "Cookie", "Date", "From", "If-Modified-Since", "If-Unmodified-Since", "Origin", "Referer", "User-Agent":
	default:
		value = normalBlanks(value)
	}
	if value == "" {
		return " "
	}
	return value
}

// normalBlanks has one blank after each comma of a list, and none elsewhere around them, but in quoted strings.
func normalBlanks(list string) string {
	if strings.IndexByte(list, ',') < 0 {
		return list
	}
	var text strings.Builder
	for rest := list; ; {
		end, kind := memberEnd(rest)
		if kind == unclosed {
			return list
		}
		text.WriteString(trim(rest[:end]))
		if end >= len(rest) {
			return text.String()
		}
		text.WriteString(", ")
		rest = rest[end+1:]
	}
}

// normalList is a list of names with weights, in lower case, without needless weights, sorted: by weight, and where order means nothing, by name.
func normalList(list string, byName bool) string {
	type member struct{ name, weight string }
	var members []member
	for _, text := range strings.Split(strings.ToLower(list), ",") {
		if text = trim(text); text == "" {
			continue
		}
		name, weight, ok := weighted(text)
		if !ok {
			return normalBlanks(list)
		}
		if byName && (name == "x-gzip" || name == "x-compress") {
			name = name[2:]
		}
		members = append(members, member{name, weight})
	}
	slices.SortStableFunc(members, func(a, b member) int {
		if c := strings.Compare(b.weight, a.weight); c != 0 {
			return c
		}
		if byName {
			return strings.Compare(a.name, b.name)
		}
		return 0
	})
	var text strings.Builder
	for i, m := range slices.Compact(members) {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(m.name)
		if m.weight != "1.000" {
			text.WriteString(";q=" + m.weight)
		}
	}
	return text.String()
}

// weighted reads a name with a weight, which becomes one of five letters (RFC 9110, section 12.4.2).
func weighted(s string) (name, weight string, ok bool) {
	name, weight, ok = strings.Cut(s, ";")
	name = trim(name)
	if !ok {
		return name, "1.000", isToken(name)
	}
	digits, ok := strings.CutPrefix(trim(weight), "q=")
	if !ok || !isToken(name) || digits == "" || len(digits) > 5 || digits[0] != '0' && digits[0] != '1' {
		return "", "", false
	}
	if len(digits) > 1 && digits[1] != '.' || strings.Trim(digits[1:], ".0123456789") != "" || strings.Count(digits, ".") > 1 {
		return "", "", false
	}
	if len(digits) == 1 {
		digits += "."
	}
	weight = (digits + "000")[:5]
	return name, weight, weight <= "1.000"
}
