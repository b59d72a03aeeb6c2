package rules

import (
	"strconv"
	"time"
)

// Status is what Cache-Status tells of an answer (RFC 9211).
type Status struct {
	Cache     string // the cache's name
	Hit       bool
	Forward   string // why the request was forwarded, where it was: "uri-miss", "vary-miss", "stale", "request", "method", "bypass", "miss", "partial"
	Answered  int    // the status that the upstream answered with, where it differs from the answer's. 0: none
	HasTTL    bool
	TTL       time.Duration // how long the answer is still fresh; below 0 it is stale
	Stored    bool
	Collapsed bool
	Key       string // "" is not told
	Detail    string // "" is not told
}

// String returns the field's value.
func (s Status) String() string { return string(s.Append(make([]byte, 0, 96))) }

// Append appends the field's value.
func (s *Status) Append(b []byte) []byte {
	b = appendBare(b, s.Cache)
	switch {
	case s.Hit:
		b = append(b, "; hit"...)
	case s.Forward != "":
		b = appendBare(append(b, "; fwd="...), s.Forward)
		if s.Answered > 0 {
			b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.Answered), 10)
		}
	}
	if s.HasTTL {
		b = strconv.AppendInt(append(b, "; ttl="...), int64(s.TTL/time.Second), 10)
	}
	if !s.Hit && s.Forward != "" {
		if s.Stored {
			b = append(b, "; stored"...)
		}
		if s.Collapsed {
			b = append(b, "; collapsed"...)
		}
	}
	if s.Key != "" {
		b = appendString(append(b, "; key="...), s.Key)
	}
	if s.Detail != "" {
		b = appendBare(append(b, "; detail="...), s.Detail)
	}
	return b
}

// appendBare appends a token where the text is one of structured fields (RFC 9651, section 3.3.4), and a string otherwise.
func appendBare(b []byte, s string) []byte {
	if !isBare(s) {
		return appendString(b, s)
	}
	return append(b, s...)
}

func isBare(s string) bool {
	if s == "" || s[0] != '*' && (s[0]|0x20 < 'a' || s[0]|0x20 > 'z') {
		return false
	}
	for i := range len(s) {
		if !tokenByte(s[i]) && s[i] != ':' && s[i] != '/' {
			return false
		}
	}
	return true
}

// appendString appends a string of structured fields. What cannot be in one is escaped as in URLs; the ends of lines are blanks.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, ' ')
		case c < ' ' || c > '~':
			b = append(b, '%', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
