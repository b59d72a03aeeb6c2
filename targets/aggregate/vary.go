package aggregate

import (
	"net/http"
	"slices"
	"strings"
)

// maxVary is how many fields are named at most by which an answer varies.
const maxVary = 100

// vary are the fields of the request that the answer depends on: those that the services name and see, and those that the calls are made of.
func (r *run) vary() []string {
	fields := slices.Clone(r.of.depends.Fields)
	seen := make(map[string]bool, len(fields))
	for _, name := range fields {
		seen[name] = true
	}
	for i := range r.results {
		for _, head := range r.heads(i) {
			for _, line := range head["Vary"] {
				for name := range strings.SplitSeq(line, ",") {
					name = http.CanonicalHeaderKey(strings.TrimSpace(name))
					if name == "" || name == "Accept" || name == "Accept-Encoding" || seen[name] { // the gateway sends these two itself
						continue
					}
					seen[name] = true
					if fields = append(fields, name); len(fields) > maxVary {
						return []string{"*"}
					}
				}
			}
		}
	}
	if seen["*"] {
		return []string{"*"}
	}
	return fields
}
