package compress

import (
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"cardea.dev/cardea/filter"
)

// qualifies says whether a response may be encoded, for a client that accepts it.
func (f *compressor) qualifies(resp *http.Response) bool {
	return f.fit(resp) && f.suits(baseType(first(resp.Header["Content-Type"])))
}

// fit is qualifies but for the type.
func (f *compressor) fit(resp *http.Response) bool {
	switch code := resp.StatusCode; {
	case code < 200, code == http.StatusNoContent, code == http.StatusResetContent, code == http.StatusPartialContent, code == http.StatusNotModified:
		return false
	}
	h := resp.Header
	switch {
	case resp.ContentLength >= 0 && (resp.ContentLength < f.min || resp.ContentLength == 0),
		isEncoded(h["Content-Encoding"]),
		h["Content-Range"] != nil,
		names(h["Cache-Control"], "no-transform"):
		return false
	}
	return true
}

// suits says whether bodies of a media type are encoded.
func (f *compressor) suits(mediaType string) bool {
	if hasPrefixFold(mediaType, "application/grpc") {
		return false
	}
	for i := range f.types {
		if f.types[i].matches(mediaType) {
			return true
		}
	}
	return false
}

// mayQualify says whether what a 304 is about may be encoded. A 304 seldom says its type: then what the URL ends with tells, or it may be any.
func (f *compressor) mayQualify(ex *filter.Exchange) bool {
	h := ex.Response.Header
	mediaType := baseType(first(h["Content-Type"]))
	if mediaType == "" {
		mediaType = baseType(mime.TypeByExtension(path.Ext(ex.Original.Path)))
	}
	whole := http.Response{StatusCode: http.StatusOK, Header: h, ContentLength: -1}
	if length, err := strconv.ParseInt(first(h["Content-Length"]), 10, 64); err == nil && length > 0 {
		whole.ContentLength = length
	}
	return f.fit(&whole) && (mediaType == "" || f.suits(mediaType))
}

// isEncoded says whether a Content-Encoding field names an encoding.
func isEncoded(field []string) bool {
	for _, v := range field {
		if v != "" && !strings.EqualFold(v, "identity") {
			return true
		}
	}
	return false
}

// names says whether a field that is a list has an item.
func names(field []string, item string) bool {
	for _, value := range field {
		for value != "" {
			var one string
			one, value, _ = strings.Cut(value, ",")
			if strings.EqualFold(strings.Trim(one, " \t"), item) {
				return true
			}
		}
	}
	return false
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// baseType is a media type without its parameters.
func baseType(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.Trim(t, " \t")
}

// typePattern is a media type in which one part may be any.
type typePattern struct {
	before, after string
	any           bool
}

func newTypePattern(s string) (typePattern, error) {
	major, minor, ok := strings.Cut(s, "/")
	if !ok || major == "" || minor == "" || strings.ContainsAny(s, " ;,\t") {
		return typePattern{}, fmt.Errorf("%q is no media type: write text/html, text/* or application/*+json", s)
	}
	before, after, any := strings.Cut(s, "*")
	if strings.Contains(after, "*") {
		if s == "*/*" {
			return typePattern{any: true}, nil
		}
		return typePattern{}, fmt.Errorf("%q has more than one *", s)
	}
	return typePattern{before, after, any}, nil
}

func (p *typePattern) matches(mediaType string) bool {
	if !p.any {
		return len(mediaType) == len(p.before) && strings.EqualFold(mediaType, p.before)
	}
	return len(mediaType) >= len(p.before)+len(p.after) && hasPrefixFold(mediaType, p.before) &&
		strings.EqualFold(mediaType[len(mediaType)-len(p.after):], p.after)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// forgetBytes takes away what a response says of its bytes as they were.
func forgetBytes(h http.Header) {
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	delete(h, "Content-Md5")
	delete(h, "Digest")
	delete(h, "Content-Digest")
	delete(h, "Repr-Digest")
}

// weaken makes an ETag weak: the encoded body means the same, byte by byte it does not (RFC 9110, section 8.8.1).
func weaken(h http.Header) {
	if tag := first(h["Etag"]); strings.HasPrefix(tag, `"`) {
		h["Etag"] = []string{"W/" + tag}
	}
}
