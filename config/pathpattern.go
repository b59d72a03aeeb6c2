package config

import (
	"fmt"
	"strings"
)

// checkPath checks what is often mistaken in a path pattern. Its segments are the router's to check.
func checkPath(path string) error {
	if expression, ok := strings.CutPrefix(path, "~"); ok {
		return compileWhole(expression)
	}
	switch {
	case path == "":
		return fmt.Errorf("the path is empty; write / for the root, or /** for every path")
	case strings.Contains(path, "://"):
		return fmt.Errorf("%q is a URL; write the path alone", path)
	case path[0] != '/':
		return fmt.Errorf("%q does not begin with a slash; write %q", path, "/"+path)
	case strings.ContainsAny(path, "?#"):
		return fmt.Errorf("%q has a `?` or `#`; a path is matched without the query (write it under `query`)", path)
	case strings.ContainsAny(path, " \t\\"):
		return fmt.Errorf("%q has a space or a backslash, which a path cannot have", path)
	}
	return nil
}
