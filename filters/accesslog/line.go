package accesslog

import (
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"cardea.dev/cardea/filter"
)

// line is a line being written. Its methods append; none allocates once the buffer has grown.
type line struct {
	b     []byte
	style style
	entry entry
}

// style is how values are written.
type style int

const (
	asJSON style = iota
	asLogfmt
	asCommon
)

// linePool is what lines are taken from and given back to.
var linePool = sync.Pool{New: func() any { return &line{b: make([]byte, 0, 1024)} }}

// maxText is how many bytes of one text are logged.
const maxText = 8 << 10

func (l *line) reset(ex *filter.Exchange, said *asked, now time.Time) {
	l.b = l.b[:0]
	l.entry = entry{ex: ex, asked: said, now: now}
}

func (l *line) release() {
	l.entry = entry{}
	if cap(l.b) <= 64<<10 {
		linePool.Put(l)
	}
}

// key begins a field.
func (l *line) key(name string) {
	if l.style == asLogfmt {
		if len(l.b) > 0 {
			l.b = append(l.b, ' ')
		}
		l.b = append(append(l.b, name...), '=')
		return
	}
	if l.b[len(l.b)-1] != '{' {
		l.b = append(l.b, ',')
	}
	l.b = append(append(append(l.b, '"'), name...), '"', ':')
}

// text writes a field, unless it is empty.
func (l *line) text(name, s string) {
	if s == "" {
		return
	}
	l.key(name)
	if l.style == asLogfmt && isBare(s) {
		l.b = append(l.b, s...)
		return
	}
	l.b = append(l.b, '"')
	l.part(s)
	l.b = append(l.b, '"')
}

// number writes a field.
func (l *line) number(name string, n int64) {
	l.key(name)
	l.b = strconv.AppendInt(l.b, n, 10)
}

// millis writes a field in milliseconds, with three digits after the point.
func (l *line) millis(name string, d time.Duration) {
	l.key(name)
	us := max(0, d.Microseconds())
	l.b = strconv.AppendInt(l.b, us/1000, 10)
	us %= 1000
	l.b = append(l.b, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

// part writes a part of a text that stands in quotes, escaped.
func (l *line) part(s string) {
	cut := len(s) > maxText
	if cut {
		s = s[:maxText]
	}
	if l.style == asCommon {
		l.b = appendCommon(l.b, s)
	} else {
		l.b = appendJSON(l.b, s)
	}
	if cut {
		l.b = append(l.b, "..."...)
	}
}

// isBare says whether a logfmt value needs no quotes.
func isBare(s string) bool {
	if len(s) > maxText {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendJSON appends a text as it stands between the quotes of a JSON string. Control characters, also those beyond ASCII, are
// escaped, so that a terminal is not disturbed; what is not UTF-8 becomes U+FFFD.
func appendJSON(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r < 0xa0 || r == 0x2028 || r == 0x2029: // C1 controls; line ends in JavaScript
			b = append(append(b, s[start:i]...), '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}

// appendEscape appends a character of ASCII that JSON escapes.
func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendCommon appends a text for the formats of Apache: quotes, backslashes and what is not printable ASCII is escaped.
func appendCommon(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < ' ', c >= 0x7f:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
