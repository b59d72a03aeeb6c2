package xml

import (
	"fmt"
	"strings"
)

// scope knows the namespaces that prefixes stand for, at one place of a document.
type scope struct{ bound map[string][]string }

const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

func newScope() scope { return scope{map[string][]string{"xml": {xmlSpace}}} }

func (s scope) declare(prefix, uri string) { s.bound[prefix] = append(s.bound[prefix], uri) }

func (s scope) forget(prefix string) {
	if all := s.bound[prefix]; len(all) > 1 {
		s.bound[prefix] = all[:len(all)-1]
		return
	}
	delete(s.bound, prefix)
}

// uri is the namespace of a prefix; "" is the default one.
func (s scope) uri(prefix string) string {
	all := s.bound[prefix]
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

func (s scope) knows(prefix string) bool { return len(s.bound[prefix]) > 0 }

// mayDeclare says whether Namespaces in XML 1.0 (sections 2.2 and 3) allows a declaration.
func mayDeclare(prefix, uri string) bool {
	switch {
	case prefix == "xmlns" || uri == xmlnsSpace:
		return false
	case prefix == "xml" || uri == xmlSpace:
		return prefix == "xml" && uri == xmlSpace
	}
	return uri != "" || prefix == ""
}

// checkAttributes says what is wrong with the names of an element's attributes, which are no two the same as they are written.
func (s scope) checkAttributes(names []string) string {
	type expanded struct{ space, local string }
	var seen map[expanded]bool
	for _, name := range names {
		prefix, local, found := strings.Cut(name, ":")
		if !found || prefix == "xmlns" {
			continue
		}
		if !s.knows(prefix) {
			return fmt.Sprintf("the prefix %s of an attribute is not declared", prefix)
		}
		if seen == nil {
			seen = map[expanded]bool{}
		}
		x := expanded{s.uri(prefix), local}
		if seen[x] {
			return fmt.Sprintf("the attribute %s stands twice, with different prefixes of one namespace", local)
		}
		seen[x] = true
	}
	return ""
}
