package xml

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// isNameStart says whether a name may begin with r. It knows the letters that were so from XML 1.0's first edition on and that are in wide
// use, so that every parser takes them.
func isNameStart(r rune) bool {
	switch {
	case r < 0x80:
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_'
	case r < 0x370:
		return 0xC0 <= r && r <= 0xFF && r != 0xD7 && r != 0xF7 || 0x100 <= r && r <= 0x131 || 0x141 <= r && r <= 0x148 || 0x14A <= r && r <= 0x17E
	}
	return 0x3B1 <= r && r <= 0x3CE || 0x410 <= r && r <= 0x44F || 0x5D0 <= r && r <= 0x5EA || 0x641 <= r && r <= 0x64A ||
		0x3041 <= r && r <= 0x3094 || 0x30A1 <= r && r <= 0x30FA || 0x4E00 <= r && r <= 0x9FA5 || 0xAC00 <= r && r <= 0xD7A3
}

// isNameChar says whether r may stand in a name.
func isNameChar(r rune) bool {
	return isNameStart(r) || '0' <= r && r <= '9' || r == '-' || r == '.' || r == 0xB7
}

// isChar is Char of XML 1.0.
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || 0x20 <= r && r <= 0xD7FF || 0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= 0x10FFFF
}

func isNCName(s string) bool {
	for i, r := range s {
		if i == 0 && !isNameStart(r) || !isNameChar(r) || r == utf8.RuneError {
			return false
		}
	}
	return s != ""
}

func isQName(s string) bool {
	prefix, local, found := strings.Cut(s, ":")
	return isNCName(prefix) && (!found || isNCName(local))
}

// escapeName makes a name of XML: what may not stand in one becomes _xHHHH_, its code in hexadecimal, and so does an underscore that begins
// such a sequence. A name with one colon between two names is a prefix and a name; other colons are escaped, and with colons false all are.
func escapeName(s string, colons bool) string {
	if isNCName(s) && !strings.Contains(s, "_x") || colons && isQName(s) && !strings.Contains(s, "_x") {
		return s
	}
	if prefix, local, found := strings.Cut(s, ":"); found && colons && isQName(s) {
		return escapeNCName(prefix) + ":" + escapeNCName(local)
	}
	return escapeNCName(s)
}

func escapeNCName(s string) string {
	if s == "" {
		return emptyName
	}
	var b strings.Builder
	for i, r := range s {
		_, n := escaped(s[i:])
		if i == 0 && !isNameStart(r) || !isNameChar(r) || n > 0 {
			hex := strings.ToUpper(strconv.FormatInt(int64(r), 16))
			b.WriteString("_x" + strings.Repeat("0", max(0, 4-len(hex))) + hex + "_")
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// emptyName is the name that is empty.
const emptyName = "_x_"

// unescapeName undoes escapeName.
func unescapeName(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	if s == emptyName {
		return ""
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if r, n := escaped(s[i:]); n > 0 && r >= 0 {
			b.WriteRune(r)
			i += n
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// escaped is the character that s begins with in its escaped form, and the length of the form; 0 if it begins with none. The form of the
// empty name has a length and no character.
func escaped(s string) (rune, int) {
	if !strings.HasPrefix(s, "_x") {
		return 0, 0
	}
	hex, _, found := strings.Cut(s[2:min(len(s), 10)], "_")
	if !found {
		return 0, 0
	}
	if hex == "" {
		return -1, len(emptyName)
	}
	code, err := strconv.ParseUint(hex, 16, 32)
	if err != nil || len(hex) < 4 || len(hex) > 6 || !utf8.ValidRune(rune(code)) {
		return 0, 0
	}
	return rune(code), 2 + len(hex) + 1
}

// IsName says whether s can be the name of an element or a prefix: without a colon.
func IsName(s string) bool { return isNCName(s) }

// IsChar says whether XML can hold a character.
func IsChar(r rune) bool { return isChar(r) }
