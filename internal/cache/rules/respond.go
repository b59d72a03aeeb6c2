package rules

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"cardea.dev/cardea/internal/stored"
)

// Answer is what a client gets of a stored response. Its fields are in the header that was given for it, which uses the Answer's memory: it must not be used again
// before the header is no longer.
type Answer struct {
	Status int

	// Length is the length of the content, and for a HEAD that of GET's. -1: it is not known yet, or there is none (304).
	Length int64

	// Send says that there is content: Whole the stored body, or else its part At, or else Parts of it, as multipart/byteranges.
	Send  bool
	Whole bool
	At    Span
	Parts []Part

	age  [1]string
	text [20]byte
}

// Part is one of several parts of a body: first Head is sent, then the Span. The last has a Head alone.
type Part struct {
	Head string
	Span
}

// Respond finds what a client gets of a stored response, and sets its fields in h, which is empty: the whole, a 304 (RFC 9111, section 4.3.2), a part or several, or a
// 416 (RFC 9110, section 14). It does not allocate for the whole.
func Respond(a *Answer, h http.Header, method string, q *Request, r *stored.Response, now time.Time) {
	a.Status, a.Length, a.Parts, a.At = r.Status, r.Size, nil, Span{0, r.Size}
	a.Send = method != http.MethodHead && r.Status != http.StatusNoContent
	a.Whole = a.Send
	r.Header.AddTo(h)
	a.setAge(h, r.Age(now))
	if r.Status != http.StatusOK || method != http.MethodGet && method != http.MethodHead {
		return
	}
	if q.Conditional() && current(q, r, now) {
		a.notModified(h)
		return
	}
	if len(q.Range) > 0 && method == http.MethodGet && r.Size > 0 && sameRange(q, r, now) {
		a.ranges(h, q, r)
	}
}

// setAge sets Age, in seconds (RFC 9111, section 4).
func (a *Answer) setAge(h http.Header, age time.Duration) {
	text := strconv.AppendInt(a.text[:0], int64(age/time.Second), 10)
	a.age[0] = unsafe.String(&text[0], len(text))
	h["Age"] = a.age[:]
}

// notModified makes it a 304: without what describes the representation, except what tells validators (RFC 9110, section 15.4.5).
func (a *Answer) notModified(h http.Header) {
	a.Status, a.Length, a.Send, a.Whole = http.StatusNotModified, -1, false, false
	describes(h)
	if len(h["Etag"]) > 0 {
		delete(h, "Last-Modified")
	}
}

// describes removes what describes the content.
func describes(h http.Header) {
	for _, name := range [...]string{
		"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Md5", "Content-Type", "Digest", "Repr-Digest",
	} {
		delete(h, name)
	}
}

// ranges makes it a 206 or a 416, unless Range is to be ignored.
func (a *Answer) ranges(h http.Header, q *Request, r *stored.Response) {
	list, ok := spans(q.Range, r.Size)
	switch {
	case !ok:
	case len(list) == 0:
		a.unsatisfiable(h, r.Size)
	case len(list) == 1:
		a.part(h, list[0], r.Size)
	default:
		a.several(h, list, r.Size)
	}
}

func (a *Answer) part(h http.Header, s Span, size int64) {
	a.Status, a.Length, a.At, a.Whole = http.StatusPartialContent, s.Length, s, false
	h["Content-Range"] = []string{contentRange(s, size)}
}

// unsatisfiable makes it a 416. Nobody may store it: it is about one request's range.
func (a *Answer) unsatisfiable(h http.Header, size int64) {
	a.Status, a.Length, a.Send, a.Whole = http.StatusRequestedRangeNotSatisfiable, 0, false, false
	describes(h)
	for name := range h {
		if strings.HasSuffix(name, "Cache-Control") || name == "Expires" || name == "Age" || name == "Surrogate-Control" {
			delete(h, name)
		}
	}
	h["Content-Range"] = []string{"bytes */" + strconv.FormatInt(size, 10)}
	h["Cache-Control"] = []string{"no-store"}
}

func contentRange(s Span, size int64) string {
	b := append(make([]byte, 0, 64), "bytes "...)
	b = append(strconv.AppendInt(b, s.Start, 10), '-')
	b = append(strconv.AppendInt(b, s.Start+s.Length-1, 10), '/')
	return string(strconv.AppendInt(b, size, 10))
}
