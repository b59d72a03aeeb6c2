package config

import (
	"fmt"
	"strings"
)

// checkPath checks a path pattern.
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
	return checkSegments(path)
}

// checkSegments checks what stands between the slashes.
func checkSegments(path string) error {
	segments := strings.Split(path[1:], "/")
	names := map[string]bool{}
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "." || s == "..":
			return fmt.Errorf("%q has a segment %q, which no request has: paths are normalized first", path, s)
		case s == "" && !last:
			return fmt.Errorf("%q has two slashes in a row", path)
		case s == "**" && !last:
			return fmt.Errorf("%q has `**` within; it stands only at the end", path)
		case s == "*" || s == "**":
			continue
		case !strings.ContainsAny(s, "{}*"):
			continue
		}
		if err := checkParameter(path, s, last, names); err != nil {
			return err
		}
	}
	return nil
}

// checkParameter checks a segment that is no plain text: "{name}" or, at the end, "{name...}".
func checkParameter(path, segment string, last bool, names map[string]bool) error {
	inner, opened := strings.CutPrefix(segment, "{")
	inner, closed := strings.CutSuffix(inner, "}")
	if !opened || !closed || strings.ContainsAny(inner, "{}*") {
		return fmt.Errorf("%q has the segment %q; a segment is a text, {name}, * or, at the end, ** or {name...}", path, segment)
	}
	name, rest := strings.CutSuffix(inner, "...")
	switch {
	case rest && !last:
		return fmt.Errorf("%q has %s within; it stands only at the end", path, segment)
	case !isIdentifier(name):
		return fmt.Errorf("%q has the parameter %q; a name is letters, digits and _, and begins with no digit", path, name)
	case names[name]:
		return fmt.Errorf("%q has the parameter %q twice", path, name)
	}
	names[name] = true
	return nil
}

// isIdentifier reports whether a text can name a parameter.
func isIdentifier(s string) bool { return variableName.MatchString(s) }
