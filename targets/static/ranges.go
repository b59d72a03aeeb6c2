package static

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// maxRanges is how many ranges a client gets at once. One that asks for more gets the whole file.
const maxRanges = 32

// byteRange is a part of a file.
type byteRange struct{ start, length int64 }

// prepareRanges returns the request as net/http should see it, so that it decides on one range at most, and the ranges if there are
// several (RFC 9110, section 14.2). A field that is malformed, or asks for more than the whole file, is ignored.
func prepareRanges(r *http.Request, size int64) (*http.Request, []byteRange) {
	field := r.Header["Range"]
	if len(field) == 0 {
		return r, nil
	}
	ranges, many, ok := parseRanges(field[0], size)
	var total int64
	for _, one := range ranges {
		total += one.length
	}
	switch {
	case !ok || len(field) > 1 || len(ranges) > maxRanges || many && total > size:
		return withRange(r, ""), nil
	case !many || len(ranges) == 0:
		return r, nil
	}
	// Whether there will be ranges at all (If-Range) does not depend on which.
	first := ranges[0]
	return withRange(r, fmt.Sprintf("bytes=%d-%d", first.start, first.start+first.length-1)), ranges
}

// withRange returns the request with another Range field, or without one.
func withRange(r *http.Request, value string) *http.Request {
	clone := new(http.Request)
	*clone = *r
	clone.Header = r.Header.Clone()
	delete(clone.Header, "Range")
	if value != "" {
		clone.Header["Range"] = []string{value}
	}
	return clone
}

// parseRanges reads a Range field. It leaves out the ranges that begin behind the end.
func parseRanges(s string, size int64) (ranges []byteRange, many, ok bool) {
	unit, list, found := strings.Cut(s, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, false, false
	}
	n := 0
	for spec := range strings.SplitSeq(list, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue
		}
		if n++; n > maxRanges {
			return nil, true, false
		}
		one, satisfiable, ok := parseRange(spec, size)
		if !ok {
			return nil, n > 1, false
		}
		if satisfiable {
			ranges = append(ranges, one)
		}
	}
	return ranges, n > 1, n > 0
}

// parseRange reads "first-last", "first-" or "-suffix".
func parseRange(spec string, size int64) (r byteRange, satisfiable, ok bool) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return r, false, false
	}
	if first == "" {
		n, ok := number(last)
		n = min(n, size)
		return byteRange{size - n, n}, n > 0, ok
	}
	start, ok := number(first)
	if !ok {
		return r, false, false
	}
	end := size - 1
	if last != "" {
		if end, ok = number(last); !ok || end < start {
			return r, false, false
		}
		end = min(end, size-1)
	}
	return byteRange{start, end - start + 1}, start < size, true
}

// number reads digits. What is too large for a number is as large as one can be.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<62 - 1, true
	}
	return n, true
}

// multipartBody makes the body for several ranges, and its fields (RFC 9110, section 15.3.7.2).
func multipartBody(h http.Header, file found, ranges []byteRange) *io.LimitedReader {
	boundary := rand.Text()
	contentType := h.Get("Content-Type")
	var parts []io.Reader
	var total int64
	text := func(s string) {
		parts = append(parts, strings.NewReader(s))
		total += int64(len(s))
	}
	for _, r := range ranges {
		text(fmt.Sprintf("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %d-%d/%d\r\n\r\n",
			boundary, contentType, r.start, r.start+r.length-1, file.info.Size()))
		parts = append(parts, io.NewSectionReader(file.f, r.start, r.length))
		total += r.length
	}
	text("\r\n--" + boundary + "--\r\n")
	delete(h, "Content-Range")
	h["Content-Type"] = []string{"multipart/byteranges; boundary=" + boundary}
	return &io.LimitedReader{R: io.MultiReader(parts...), N: total}
}
