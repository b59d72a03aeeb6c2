// Package cacheable says to caches what an answer may be kept for: by which fields of requests it varies, and whether it is for one client alone (RFC 9110,
// section 12.5.5; RFC 9111, section 5.2.2). It decides nothing: the cache's own rules do, and those of caches between the gateway and its clients.
//
// What makes answers, or other answers of answers, imports it: policies and targets.
package cacheable

import (
	"net/http"
	"strings"
)

// Vary adds the names that Vary lacks. The slice must be full (its capacity is its length), or never be changed.
func Vary(h http.Header, names ...string) {
	have := h["Vary"]
	if len(have) == 0 {
		if len(names) > 0 {
			h["Vary"] = names[:len(names):len(names)]
		}
		return
	}
	for _, name := range names {
		if !varies(have, name) {
			have = append(have[:len(have):len(have)], name)
		}
	}
	h["Vary"] = have
}

// varies says whether a Vary field has a name, or "*".
func varies(have []string, name string) bool {
	for _, line := range have {
		for line != "" {
			var item string
			item, line, _ = strings.Cut(line, ",")
			if item = strings.Trim(item, " \t"); item == "*" || strings.EqualFold(item, name) {
				return true
			}
		}
	}
	return false
}

// Private has an answer be for the one who asked alone. Caches that others share do not keep it, whatever was said to them (RFC 9111, section 5.2.2.7).
func Private(h http.Header) {
	forgetTargeted(h)
	kept := []string{"private"}
	for _, line := range h["Cache-Control"] {
		for _, directive := range directives(line) {
			switch name, _, _ := strings.Cut(directive, "="); strings.ToLower(strings.Trim(name, " \t")) {
			case "", "private", "public", "s-maxage":
			default:
				kept = append(kept, directive)
			}
		}
	}
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
}

// NoStore has no cache keep an answer, whatever was said to them (RFC 9111, section 5.2.2.5).
func NoStore(h http.Header) {
	forgetTargeted(h)
	delete(h, "Expires")
	delete(h, "Pragma")
	h["Cache-Control"] = []string{"no-store"}
}

// forgetTargeted takes away what is said to caches of one kind, which do not look at Cache-Control then (RFC 9213).
func forgetTargeted(h http.Header) {
	for name := range h {
		if strings.HasSuffix(name, "-Cache-Control") || name == "Surrogate-Control" {
			delete(h, name)
		}
	}
}

// directives takes a line of Cache-Control apart. Commas may stand within quotes.
func directives(line string) (all []string) {
	quoted, from := false, 0
	for i := 0; i <= len(line); i++ {
		switch {
		case i == len(line), line[i] == ',' && !quoted:
			all = append(all, strings.Trim(line[from:i], " \t"))
			from = i + 1
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '\\' && quoted:
			i = min(i+1, len(line)-1)
		}
	}
	return all
}
