package rules

import (
	"net/url"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
)

// NoVarySearch says which parts of the query make no difference for a response (No-Vary-Search). nil: all make one.
type NoVarySearch struct {
	AnyOrder bool     // the order of different keys
	All      bool     // all keys but those in Names; otherwise those in Names
	Names    []string // decoded, sorted
}

// What a No-Vary-Search field may be at most to count: it is read with each look-up, and asked for each parameter.
const (
	longestSearch = 4 << 10
	mostNames     = 128
)

// ParseNoVarySearch reads the lines of a No-Vary-Search field. It is nil for what cannot be read, is too much, and for what says nothing.
func ParseNoVarySearch(lines []string) *NoVarySearch {
	if len(lines) == 0 {
		return nil
	}
	length := 0
	for _, line := range lines {
		if length += len(line); length > longestSearch {
			return nil
		}
	}
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil
	}
	var n NoVarySearch
	if member, ok := dictionary.Get("key-order"); ok {
		item, _ := member.(httpsfv.Item)
		if n.AnyOrder, ok = item.Value.(bool); !ok {
			return nil
		}
	}
	params, found := dictionary.Get("params")
	switch p := params.(type) {
	case httpsfv.Item:
		all, ok := p.Value.(bool)
		if !ok {
			return nil
		}
		n.All = all
	case httpsfv.InnerList:
		names, ok := keys(p)
		if !ok {
			return nil
		}
		n.Names = names
	default:
		if found {
			return nil
		}
	}
	if member, ok := dictionary.Get("except"); ok {
		list, ok := member.(httpsfv.InnerList)
		if !ok || !n.All {
			return nil
		}
		if n.Names, ok = keys(list); !ok {
			return nil
		}
	}
	if !n.AnyOrder && !n.All && len(n.Names) == 0 || len(n.Names) > mostNames {
		return nil
	}
	return &n
}

// keys are the strings of a list, decoded as the keys of queries are.
func keys(list httpsfv.InnerList) ([]string, bool) {
	names := make([]string, 0, len(list.Items))
	for _, item := range list.Items {
		text, ok := item.Value.(string)
		if !ok {
			return nil, false
		}
		names = append(names, decoded(text))
	}
	slices.Sort(names)
	return names, true
}

// decoded is a part of a query as forms read it: what is no escape stands for itself.
func decoded(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0:
			b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func hex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// NormalQuery is a query in a form that is the same for all that make no difference. With nil it is what it was.
func NormalQuery(raw string, n *NoVarySearch) string {
	if n == nil || raw == "" {
		return raw
	}
	type pair struct{ key, value string }
	var pairs []pair
	for _, text := range strings.Split(raw, "&") {
		if text == "" {
			continue
		}
		key, value, _ := strings.Cut(text, "=")
		p := pair{decoded(key), decoded(value)}
		if _, named := slices.BinarySearch(n.Names, p.key); named == n.All {
			pairs = append(pairs, p)
		}
	}
	if n.AnyOrder {
		slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	}
	var text strings.Builder
	for i, p := range pairs {
		if i > 0 {
			text.WriteByte('&')
		}
		text.WriteString(url.QueryEscape(p.key) + "=" + url.QueryEscape(p.value))
	}
	return text.String()
}
