package lang

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
)

// Redacted renders a configuration as YAML without its secrets: `${…}` stays as written, and what was decoded into a Secret, stands
// under a name such as "password" or "Authorization", or is the password of a URL, is "***". Call it after everything was decoded.
func Redacted(n Node) []byte {
	if n.v == nil {
		return nil
	}
	var b bytes.Buffer
	writeValue(&b, n.v, 0, false)
	return b.Bytes()
}

// writeValue writes a value and the end of its line. The value of a key begins on the key's line.
func writeValue(b *bytes.Buffer, v *value, indent int, afterKey bool) {
	space := strings.Repeat("  ", indent)
	switch {
	case v.kind == NodeMap && len(v.entries) > 0:
		if afterKey {
			b.WriteByte('\n')
		}
		for i, e := range v.entries {
			if i > 0 || afterKey || indent == 0 {
				b.WriteString(space)
			}
			b.WriteString(scalarText(e.key.text, e.key.quoted) + ":")
			writeValue(b, e.value, indent+1, true)
		}
	case v.kind == NodeList && len(v.items) > 0:
		if afterKey {
			b.WriteByte('\n')
		}
		for i, item := range v.items {
			if i > 0 || afterKey || indent == 0 {
				b.WriteString(space)
			}
			b.WriteString("- ")
			writeValue(b, item, indent+1, false)
		}
	default:
		if afterKey {
			b.WriteByte(' ')
		}
		b.WriteString(leafText(v) + "\n")
	}
}

// leafText is a value that takes one line.
func leafText(v *value) string {
	switch {
	case v.kind == NodeMap:
		return "{}"
	case v.kind == NodeList:
		return "[]"
	case v.kind == NodeNull:
		return "null"
	case v.hides():
		return strconv.Quote(secretMask)
	}
	return scalarText(maskURL(v.text), v.quoted)
}

// Shown returns a scalar as it may be seen: as written, or "***" for a secret. It is "" for anything else.
func (n Node) Shown() string {
	if n.v == nil || n.v.kind != NodeScalar {
		return ""
	}
	if n.v.hides() {
		return secretMask
	}
	return maskURL(n.v.text)
}

// hides reports whether a scalar must not be seen as it was written.
func (v *value) hides() bool {
	return v.isSecret() && !wholeReference(v.text) || v.namedSecret() && len(v.pieces) == 0 && tells(v.text)
}

// namedSecret reports whether the name that a scalar, or the list that it is in, stands under says that it is a secret.
func (v *value) namedSecret() bool {
	for v.name == nil && v.parent != nil {
		v = v.parent
	}
	return v.name != nil && secretName.MatchString(v.name.text)
}

// scalarText writes a scalar so that it is read back as it was.
func scalarText(text string, quoted bool) string {
	if quoted || !isPlain(text) {
		return quoteYAML(text)
	}
	return text
}

// plainText is what is written without quotes; anything that might be read differently is quoted.
var plainText = regexp.MustCompile(`^[\p{L}\p{N}/_~$(.+:-][\p{L}\p{N}/_~$()>+.:;?=&*@^|!%' #-]*$`)

// isPlain reports whether a text needs no quotes.
func isPlain(text string) bool {
	if !plainText.MatchString(text) || strings.TrimSpace(text) != text || strings.HasPrefix(text, "...") || strings.HasPrefix(text, "---") {
		return false
	}
	if strings.ContainsRune("-:", rune(text[0])) && (len(text) == 1 || text[1] == ' ') {
		return false
	}
	return !strings.Contains(text, ": ") && !strings.Contains(text, " #") && !strings.HasSuffix(text, ":")
}

// quoteYAML writes a text in double quotes, with the escapes of YAML.
func quoteYAML(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r == 0x85 || r == 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			b.WriteString(`\u` + hex4(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// hex4 is a character's number in four digits.
func hex4(r rune) string {
	s := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", 4-len(s)) + s
}
