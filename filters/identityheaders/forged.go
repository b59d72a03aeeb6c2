package identityheaders

import (
	"io"
	"net/http"
)

// names are the fields that are the gateway's own, and no client's.
type names struct {
	canonical []string
	folded    []string
	lengths   [4]uint64 // a bit for each length that one of them has
}

func newNames(canonical []string) names {
	n := names{canonical: canonical}
	for _, name := range canonical {
		n.folded = append(n.folded, folded(name))
		n.lengths[len(name)>>6&3] |= 1 << (len(name) & 63)
	}
	return n
}

// folded is a name as servers see it that make variables of names (RFC 3875, section 4.1.18): there is no case, and all but letters and
// digits are the same.
func folded(name string) string {
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
func (n *names) remove(h http.Header) {
	for name := range h {
		if n.lengths[len(name)>>6&3]>>(len(name)&63)&1 == 1 && n.has(name) {
			delete(h, name)
		}
	}
}

// has says whether a name is one of those.
func (n *names) has(name string) bool {
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

// clean removes what a client has sent, from the header at once and from the trailer once it has come.
func (n *names) clean(r *http.Request) {
	n.remove(r.Header)
	if r.Trailer == nil || r.Body == nil || r.Body == http.NoBody {
		return
	}
	n.remove(r.Trailer)
	r.Body = &body{r.Body, n, r.Trailer}
}

// body is a request's body, after which the trailer is cleaned.
type body struct {
	io.ReadCloser
	names   *names
	trailer http.Header
}

// Read reads on, and cleans the trailer at the end, before whoever reads can look at it.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.names.remove(b.trailer)
	}
	return n, err
}
