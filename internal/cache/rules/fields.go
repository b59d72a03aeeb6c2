package rules

import (
	"net/http"
	"slices"
	"time"
)

// Stored returns the fields of a response that are stored (RFC 9111, section 3.1): all but those of the connection, those of the proxy, those that no-cache= and private= name,
// and those that are made anew for each use (Age, Content-Length). A Date that is missing is when it came. The values are shared with the response's.
func Stored(s *Settings, h http.Header, received time.Time) http.Header {
	c, _ := responseControl(s, h)
	drop := unstored(s, &c, h)
	kept := make(http.Header, len(h)+1)
	for name, values := range h {
		if !connection(name) && !slices.Contains(drop, name) {
			kept[name] = values
		}
	}
	if _, ok := singleDate(h, received); !ok {
		kept["Date"] = []string{dateOf(h, received).UTC().Format(http.TimeFormat)}
	}
	return kept
}

func singleDate(h http.Header, received time.Time) (time.Time, bool) {
	if lines := h["Date"]; len(lines) == 1 {
		return ParseDate(trim(lines[0]), received)
	}
	return time.Time{}, false
}

// unstored are the names that a response itself says are not stored.
func unstored(s *Settings, c *Control, h http.Header) []string {
	var drop []string
	for _, line := range h["Connection"] {
		names, _ := fieldNames(nil, line)
		for _, name := range names {
			if !essential(name) {
				drop = append(drop, name)
			}
		}
	}
	drop = append(drop, c.NoCacheFields...)
	if !s.Private {
		drop = append(drop, c.PrivateFields...)
	}
	drop = slices.DeleteFunc(drop, essential)
	if s.StripCookies {
		drop = append(drop, "Set-Cookie", "Set-Cookie2")
	}
	return drop
}

// connection says whether a field is never stored, whatever it says: it is of one message, one connection or one proxy.
func connection(name string) bool {
	switch name {
	case "Age", "Connection", "Content-Length", "Content-Range", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization",
		"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// StoredTrailer returns the trailer fields that are stored: those that say nothing about the message, its use or its reader (RFC 9110, section 6.5.1). They stay apart from the header.
func StoredTrailer(trailer http.Header) http.Header {
	var kept http.Header
	for name, values := range trailer {
		if connection(name) || essential(name) || controls(name) {
			continue
		}
		if kept == nil {
			kept = http.Header{}
		}
		kept[name] = values
	}
	return kept
}

// controls says whether a field has to be known before the body.
func controls(name string) bool {
	switch name {
	case "Authorization", "Cdn-Cache-Control", "Clear-Site-Data", "Etag", "Expect", "Expires", "Host", "Last-Modified", "Location", "Pragma", "Retry-After", "Set-Cookie", "Set-Cookie2",
		"Surrogate-Control", "Warning", "Www-Authenticate":
		return true
	}
	return false
}
