package listen

import (
	"net/http"
	"net/netip"
	"strings"
)

// believe takes what a trusted proxy says of the client. It changes no field.
func (f *Forwarding) believe(h http.Header, o *origin) {
	if f.rfc7239 {
		f.believeForwarded(h["Forwarded"], o)
		return
	}
	f.walk(h["X-Forwarded-For"], o)
	if scheme, ok := schemeOf(fromRight(h["X-Forwarded-Proto"], max(1, len(o.before)))); ok {
		o.scheme = scheme
	}
	if hosts := h["X-Forwarded-Host"]; f.host && len(hosts) == 1 && plausibleHost(hosts[0]) {
		o.host = hosts[0]
	}
}

// walk goes along X-Forwarded-For from its right end, where the nearest proxy wrote, over proxies that are trusted, to the first
// address that is not: the client. What is no address ends the walk: nothing left of it can be believed.
func (f *Forwarding) walk(lines []string, o *origin) {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			entry, rest, more = cutLast(rest)
			a, ok := parseNode(entry)
			if !ok || len(o.before) == maxHops {
				return
			}
			o.before = append(o.before, a)
			if !f.trusts(a) {
				return
			}
		}
	}
}

// cutLast cuts the last item from a list with commas.
func cutLast(list string) (item, rest string, more bool) {
	comma := strings.LastIndexByte(list, ',')
	if comma < 0 {
		return strings.Trim(list, " \t"), "", false
	}
	return strings.Trim(list[comma+1:], " \t"), list[:comma], true
}

// fromRight returns the nth item from the right of a list over several lines, or the leftmost when there are fewer. Each proxy adds
// one item, so what stands further left than the client's was not written by a trusted one.
func fromRight(lines []string, n int) (item string) {
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; n-- {
			if n == 0 {
				return item
			}
			item, rest, more = cutLast(rest)
		}
	}
	return item
}

// parseNode reads an address as proxies write it: alone, with a port, or with brackets. Names that hide the address ("unknown",
// "_hidden") are none, and neither is one with a zone.
func parseNode(s string) (a netip.Addr, ok bool) {
	if s == "" || len(s) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535") {
		return a, false
	}
	var err error
	switch first, last := s[0], s[len(s)-1]; {
	case first == '[' && last == ']':
		a, err = netip.ParseAddr(s[1 : len(s)-1])
		ok = err == nil && a.Is6()
	case first == '[', strings.IndexByte(s, '.') >= 0 && strings.Count(s, ":") == 1:
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		a, ok = ap.Addr(), err == nil
	default:
		a, err = netip.ParseAddr(s)
		ok = err == nil
	}
	if !ok || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// schemeOf reads a scheme.
func schemeOf(s string) (scheme string, ok bool) {
	switch {
	case strings.EqualFold(s, "https"), strings.EqualFold(s, "wss"):
		return "https", true
	case strings.EqualFold(s, "http"), strings.EqualFold(s, "ws"):
		return "http", true
	}
	return "", false
}

// plausibleHost says whether a text can be a host with or without a port.
func plausibleHost(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

// believeForwarded takes what a trusted proxy says in Forwarded (RFC 7239). It too is read from its right end, so that nothing
// a client wrote, an open quote for one, can hide what proxies added.
func (f *Forwarding) believeForwarded(lines []string, o *origin) {
	var farthest element // the last that a trusted hop wrote: it tells of the client
	defer func() { f.settle(farthest, o) }()
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var text string
			text, rest, more = cutLastElement(rest)
			e, ok := parseElement(text)
			if !ok || len(o.before) == maxHops {
				return
			}
			farthest = e
			a, ok := parseNode(e.node)
			if !ok {
				return // hidden or unknown, but how it came is told
			}
			o.before = append(o.before, a)
			if !f.trusts(a) {
				return
			}
		}
	}
}

// settle takes scheme and host from the element that tells of the client.
func (f *Forwarding) settle(e element, o *origin) {
	if scheme, ok := schemeOf(e.proto); ok {
		o.scheme = scheme
	}
	if f.host && plausibleHost(e.host) {
		o.host = e.host
	}
}

// element is one hop of a Forwarded field.
type element struct{ node, proto, host string }

// cutLastElement cuts the last element from a Forwarded field. Commas in quotes do not count.
func cutLastElement(list string) (item, rest string, more bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch list[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return list[i+1:], list[:i], true
			}
		}
	}
	return list, "", false
}

// parseElement reads one element. No address and no host needs a backslash, a semicolon or a comma; an element with such things in
// quotes is not believed.
func parseElement(s string) (e element, ok bool) {
	for pair := range strings.SplitSeq(s, ";") {
		pair = strings.Trim(pair, " \t")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		if value == "" || strings.ContainsAny(value, "\"\\, \t=") || !e.set(name, value) {
			return element{}, false
		}
		ok = true
	}
	return e, ok
}

// set takes one parameter. It refuses those that come twice.
func (e *element) set(name, value string) bool {
	var into *string
	switch {
	case strings.EqualFold(name, "for"):
		into = &e.node
	case strings.EqualFold(name, "proto"):
		into = &e.proto
	case strings.EqualFold(name, "host"):
		into = &e.host
	default:
		return true
	}
	if *into != "" {
		return false
	}
	*into = value
	return true
}
