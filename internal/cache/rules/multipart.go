package rules

import (
	"crypto/rand"
	"io"
	"net/http"
	"strings"

	"cardea.dev/cardea/internal/stored"
)

// several makes it a 206 with several parts (RFC 9110, section 15.3.7.2).
func (a *Answer) several(h http.Header, list []Span, size int64) {
	// The boundary cannot be guessed, so that no body can have it.
	boundary := rand.Text()
	a.Status, a.Length, a.Whole = http.StatusPartialContent, 0, false
	a.Parts = make([]Part, 0, len(list)+1)
	kind := strings.Join(h["Content-Type"], ", ")
	for i, s := range list {
		var head strings.Builder
		if i > 0 {
			head.WriteString("\r\n")
		}
		head.WriteString("--" + boundary + "\r\n")
		if kind != "" {
			head.WriteString("Content-Type: " + kind + "\r\n")
		}
		head.WriteString("Content-Range: " + contentRange(s, size) + "\r\n\r\n")
		a.Parts = append(a.Parts, Part{head.String(), s})
	}
	a.Parts = append(a.Parts, Part{Head: "\r\n--" + boundary + "--\r\n"})
	for _, p := range a.Parts {
		a.Length += int64(len(p.Head)) + p.Length
	}
	h["Content-Type"] = []string{"multipart/byteranges; boundary=" + boundary}
}

// Content returns the answer's content, read from the stored body. It is nil where there is none.
func (a *Answer) Content(body stored.Reader) io.Reader {
	switch {
	case !a.Send:
		return nil
	case a.Whole:
		return body
	case a.Parts == nil:
		return io.NewSectionReader(body, a.At.Start, a.At.Length)
	}
	readers := make([]io.Reader, 0, 2*len(a.Parts))
	for _, p := range a.Parts {
		readers = append(readers, strings.NewReader(p.Head))
		if p.Length > 0 {
			readers = append(readers, io.NewSectionReader(body, p.Start, p.Length))
		}
	}
	return io.MultiReader(readers...)
}
