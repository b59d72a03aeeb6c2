package router

import (
	"iter"
	"strings"
)

// NormalizeHost returns the host of a Host header or :authority as a Request wants it: in lower case, without port
// and without the dot of the root. It allocates only where there are upper-case letters.
func NormalizeHost(hostport string) string {
	host := hostport
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && strings.IndexByte(host[colon:], ']') < 0 {
		host = host[:colon]
	}
	if len(host) > 1 {
		host = strings.TrimSuffix(host, ".")
	}
	return strings.ToLower(host)
}

// hosts finds the sites that answer for a host. The zero value has none.
type hosts struct {
	exact    map[string]*site
	wildcard map[string]*site // by suffix, with its leading dot
	longest  int              // length of the longest suffix
	any      *site
}

// site returns the site of a host pattern, making it where it is not there yet.
func (h *hosts) site(pattern string) *site {
	if pattern == anyHost {
		if h.any == nil {
			h.any = &site{}
		}
		return h.any
	}
	into, key := &h.exact, pattern
	if suffix, ok := wildcardSuffix(pattern); ok {
		into, key, h.longest = &h.wildcard, suffix, max(h.longest, len(suffix))
	}
	if *into == nil {
		*into = map[string]*site{}
	}
	if (*into)[key] == nil {
		(*into)[key] = &site{}
	}
	return (*into)[key]
}

// wildcardSite returns the site of the longest wildcard whose suffix starts at or after host[from], and where the next
// one may start. Before the suffix there is at least one byte, so from is 1 or more.
func (h *hosts) wildcardSite(host string, from int) (s *site, next int) {
	for from = max(from, len(host)-h.longest); from < len(host); from++ {
		if host[from] == '.' {
			if s := h.wildcard[host[from:]]; s != nil {
				return s, from + 1
			}
		}
	}
	return nil, from
}

// all yields every site.
func (h *hosts) all() iter.Seq[*site] {
	return func(yield func(*site) bool) {
		for _, sites := range []map[string]*site{h.exact, h.wildcard} {
			for _, s := range sites {
				if !yield(s) {
					return
				}
			}
		}
		if h.any != nil {
			yield(h.any)
		}
	}
}

// anyHost is the pattern of a rule that gives no host.
const anyHost = "*"

// wildcardSuffix returns what every host of a wildcard pattern ends in, with its leading dot.
func wildcardSuffix(pattern string) (string, bool) {
	if pattern == anyHost {
		return "", false
	}
	return strings.CutPrefix(pattern, "*")
}

// hostMatches reports whether a host pattern matches host.
func hostMatches(pattern, host string) bool {
	if suffix, ok := wildcardSuffix(pattern); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == anyHost || pattern == host
}
