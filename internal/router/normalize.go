package router

import (
	"bytes"
	"strings"
)

// Escape says what to do with an escape that some servers take for the character it stands for.
type Escape uint8

const (
	Keep   Escape = iota // Keep leaves it as it is: it is data
	Decode               // Decode turns it into the character, before dots and slashes are resolved
	Reject               // Reject refuses the path
)

// Options are the choices in making a path normal. DefaultOptions are the ones to start from.
type Options struct {
	// MergeSlashes turns // into /.
	MergeSlashes bool
	// EncodedSlash is what to do with %2F.
	EncodedSlash Escape
	// EncodedBackslash is what to do with %5C, which some servers take for a slash: Keep or Reject.
	EncodedBackslash Escape
	// Semicolon is what to do with ; and %3B, after which some servers ignore a segment's text: Keep or Reject.
	Semicolon Escape
}

// DefaultOptions merge slashes, keep %2F and semicolons as data, and reject %5C.
func DefaultOptions() Options {
	return Options{MergeSlashes: true, EncodedBackslash: Reject}
}

// PathError is why a request's path is refused. The text is fit for the client.
type PathError string

// Error returns the text.
func (e PathError) Error() string { return "invalid path: " + string(e) }

const (
	errStart     PathError = "it does not start with a slash"
	errEscape    PathError = "it has a percent sign without two hexadecimal digits"
	errControl   PathError = "it has a control character"
	errBackslash PathError = "it has a backslash"
	errDelimiter PathError = "it has a question mark or number sign"
	errSlash     PathError = "it has an encoded slash"
	errSemicolon PathError = "it has a semicolon"
	errOverlong  PathError = "it has an overlong UTF-8 sequence"
	errHidden    PathError = "it has dot segments hidden by an escape or semicolon"
)

// Normalize returns the normal form of the escaped path of a request under DefaultOptions.
func Normalize(path string) (normal string, changed bool, err error) {
	return DefaultOptions().Normalize(path)
}

// Normalize returns the one normal form of the escaped path of a request, and whether it differs from path. It
// decodes escapes of unreserved characters, writes the other escapes in upper case, escapes what may not stand in a
// path, resolves . and .. (never above the root, RFC 3986 5.2.4) and treats slashes, backslashes and semicolons as o
// says. An empty path is "/". The error is a PathError: for malformed escapes, control characters (escaped ones too),
// raw backslashes, and for what another server might take for .. though it is none, such as "..%2F" or "..;".
//
// Normalizing a normal path changes nothing. Where nothing changes, nothing is allocated.
func (o Options) Normalize(path string) (normal string, changed bool, err error) {
	if path == "" {
		return "/", true, nil
	}
	if path[0] != '/' {
		return "", false, errStart
	}
	found, err := o.scan(path)
	if err != nil {
		return "", false, err
	}
	normal = path
	if found.escapes {
		normal = o.rewrite(path)
		if found, err = o.scan(normal); err != nil {
			return "", false, err
		}
	}
	if found.hiding && hidesDots(normal) {
		return "", false, errHidden
	}
	if found.segments {
		normal = o.resolve(normal)
	}
	return normal, normal != path, nil
}

// findings are what scan saw in a path.
type findings struct {
	escapes  bool // some escape or character must be rewritten
	segments bool // there are dot segments, or slashes to merge
	hiding   bool // there is a character that may hide dot segments
}

// scan checks every character and says what there is to do.
func (o Options) scan(path string) (found findings, err error) {
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case inSet(c, plainChars, pathCharHi):
		case c == '/':
			found.segments = found.segments || o.resolvable(path[i+1:])
		case c == ';':
			if o.Semicolon == Reject {
				return found, errSemicolon
			}
			found.hiding = true
		case c == '%':
			if err := o.scanEscape(path, i, &found); err != nil {
				return found, err
			}
			i += 2
		case c < 0x20 || c == 0x7f:
			return found, errControl
		case c == '\\':
			return found, errBackslash
		case c == '?' || c == '#':
			return found, errDelimiter
		default:
			found.escapes = true
		}
	}
	return found, nil
}

// resolvable reports whether what follows a slash is another slash to merge, or a dot segment.
func (o Options) resolvable(rest string) bool {
	switch {
	case rest == "":
		return false
	case rest[0] == '/':
		return o.MergeSlashes
	case rest[0] != '.':
		return false
	case len(rest) > 1 && rest[1] == '.':
		rest = rest[1:]
	}
	return len(rest) == 1 || rest[1] == '/'
}

// scanEscape checks the escape at path[i].
func (o Options) scanEscape(path string, i int, found *findings) error {
	c, upper, ok := escapeAt(path, i)
	switch {
	case !ok:
		return errEscape
	case c < 0x20 || c == 0x7f:
		return errControl
	case isUnreserved(c) || !upper:
		found.escapes = true
	}
	switch c {
	case '/':
		if o.EncodedSlash == Reject {
			return errSlash
		}
		found.escapes = found.escapes || o.EncodedSlash == Decode
		found.hiding = true
	case '\\':
		if o.EncodedBackslash != Keep {
			return errBackslash
		}
		found.hiding = true
	case ';':
		if o.Semicolon == Reject {
			return errSemicolon
		}
		found.hiding = true
	case 0xC0, 0xC1: // only in overlong forms, such as %C0%AE for a dot
		if i+3 < len(path) && path[i+3] == '%' {
			if next, _, ok := escapeAt(path, i+3); ok && next&0xC0 == 0x80 {
				return errOverlong
			}
		}
	}
	return nil
}

// rewrite brings each escape of a checked path, and each character that needs one, into normal form.
func (o Options) rewrite(path string) string {
	b := make([]byte, 0, len(path)+16)
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			c, _, _ = escapeAt(path, i)
			i += 2
			if isUnreserved(c) || c == '/' && o.EncodedSlash == Decode {
				b = append(b, c)
			} else {
				b = appendEscape(b, c)
			}
		case isPathChar(c):
			b = append(b, c)
		default:
			b = appendEscape(b, c)
		}
	}
	return string(b)
}

// resolve removes dot segments, and empty ones where slashes are merged.
func (o Options) resolve(path string) string {
	b := make([]byte, 0, len(path))
	rest, more := path[1:], true
	for more {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "..":
			if at := bytes.LastIndexByte(b, '/'); at >= 0 {
				b = b[:at]
			}
			segment = ""
		case segment == ".":
			segment = ""
		case segment == "" && o.MergeSlashes:
		default:
			b = append(b, '/')
			b = append(b, segment...)
			continue
		}
		if !more { // what ends in a dot segment or slash goes on ending in a slash
			b = append(b, '/')
		}
	}
	return string(b)
}

// hidesDots reports whether a segment would have a dot segment in it for a server that decodes slashes and
// backslashes, or that cuts segments at semicolons.
func hidesDots(path string) bool {
	dots, other := 0, false // since the last separator
	divided := false        // since the last real slash: a hidden separator was seen
	for i := 0; i < len(path); i++ {
		c, escaped := path[i], false
		if c == '%' {
			c, _, _ = escapeAt(path, i)
			i, escaped = i+2, true
		}
		switch {
		case c == '/' && !escaped:
			if divided && !other && (dots == 1 || dots == 2) {
				return true
			}
			dots, other, divided = 0, false, false
		case c == '/' || c == '\\' || c == ';':
			if !other && (dots == 1 || dots == 2) {
				return true
			}
			dots, other, divided = 0, false, true
		case c == '.':
			dots++
		default:
			other = true
		}
	}
	return divided && !other && (dots == 1 || dots == 2)
}

// normalText brings the literal text of a pattern into the form that paths have.
func normalText(text string) (string, error) {
	keep := Options{}
	found, err := keep.scan(text)
	if err != nil || !found.escapes {
		return text, err
	}
	return keep.rewrite(text), nil
}
