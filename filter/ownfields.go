package filter

import (
	"io"
	"net/http"
)

// OwnFields are fields of requests that only the gateway may set: whatever a client sends in them is removed, so that nobody can pass off a
// value as the gateway's. Its zero value has none.
type OwnFields struct {
	folded  []string
	lengths [4]uint64 // a bit for each length that one of them has
}

// NewOwnFields returns the fields with some names.
func NewOwnFields(names ...string) OwnFields {
	var n OwnFields
	for _, name := range names {
		n.folded = append(n.folded, FoldedField(name))
		n.lengths[len(name)>>6&3] |= 1 << (len(name) & 63)
	}
	return n
}

// FoldedField is a field's name as servers see it that make variables of names (RFC 3875, section 4.1.18): there is no case, and all but letters and
// digits are the same.
func FoldedField(name string) string {
	b := []byte(name)
	for i, c := range b {
		b[i] = fold(c)
	}
	return string(b)
}

func fold(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		return c
	}
	return '-'
}

// remove removes from a header all fields that are, or could be taken for, the gateway's own.
func (n *OwnFields) remove(h http.Header) {
	for name := range h {
		if n.lengths[len(name)>>6&3]>>(len(name)&63)&1 == 1 && n.has(name) {
			delete(h, name)
		}
	}
}

// has says whether a name is one of those.
func (n *OwnFields) has(name string) bool {
next:
	for _, own := range n.folded {
		if len(own) != len(name) {
			continue
		}
		for i := range len(name) {
			if fold(name[i]) != own[i] {
				continue next
			}
		}
		return true
	}
	return false
}

// Clean removes what a client has sent in the fields, and in those that servers could take for them: from the header at once, and from the
// trailer once it has come.
func (n *OwnFields) Clean(r *http.Request) {
	if len(n.folded) == 0 {
		return
	}
	n.remove(r.Header)
	if r.Trailer == nil || r.Body == nil || r.Body == http.NoBody {
		return
	}
	n.remove(r.Trailer)
	r.Body = &cleanedBody{r.Body, n, r.Trailer}
}

// cleanedBody is a request's body, after which the trailer is cleaned.
type cleanedBody struct {
	io.ReadCloser
	fields  *OwnFields
	trailer http.Header
}

// Read reads on, and cleans the trailer at the end, before whoever reads can look at it.
func (b *cleanedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.fields.remove(b.trailer)
	}
	return n, err
}
