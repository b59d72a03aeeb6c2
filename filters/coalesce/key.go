package coalesce

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// key is the digest of all that tells requests apart.
type key [sha256.Size]byte

// keyer makes keys.
type keyer struct {
	fields map[string]bool // canonical; nil: all but those that do not matter
	vary   []filter.Value
	across bool
}

// always are the fields that tell requests apart whatever is configured. Deadlines are among them so that nobody's request ends with another's time.
var always = [...]string{
	"Accept", "Accept-Encoding", "Authorization", "Cookie", "Cache-Control", "Grpc-Timeout", "If-Match", "If-Modified-Since", "If-None-Match",
	"If-Range", "If-Unmodified-Since", "Pragma", "Range", "X-Request-Deadline",
}

// idle are fields that say nothing of what is wanted: of the client, of its way here, or of the request as such.
var idle = [...]string{
	"Baggage", "B3", "Connection", "Dnt", "Forwarded", "Priority", "Referer", "Te", "Traceparent", "Tracestate", "Upgrade-Insecure-Requests", "User-Agent",
	"Via", "X-Forwarded-For", "X-Real-Ip", "X-Request-Id",
}

func newKeyer(env *filter.Env, c *Config) (*keyer, error) {
	k := &keyer{across: c.AcrossCallers}
	if c.Fields != nil {
		k.fields = map[string]bool{}
		for _, name := range always {
			k.fields[name] = true
		}
		for _, name := range *c.Fields {
			k.fields[http.CanonicalHeaderKey(name)] = true
		}
	}
	for i, source := range c.Vary {
		value, err := env.Expr.Value(source)
		if err != nil {
			return nil, config.FieldErrorf(fmt.Sprintf("vary[%d]", i), "%w", err)
		}
		k.vary = append(k.vary, value)
	}
	return k, nil
}

// counts says whether a field tells requests apart.
func (k *keyer) counts(name string) bool {
	switch {
	case k.across && (name == "Authorization" || name == "Cookie"):
		return false
	case k.fields != nil:
		return k.fields[name]
	}
	return !slices.Contains(idle[:], name) && !strings.HasPrefix(name, "Sec-") && !strings.HasPrefix(name, "X-B3-")
}

// repeats says whether a forwarding field says only what the key has already: the gateway itself adds such.
func repeats(ex *filter.Exchange, name string) bool {
	known := ""
	switch name {
	case "X-Forwarded-Host":
		known = ex.Request.Host
	case "X-Forwarded-Proto":
		known = ex.Original.Scheme
	}
	values := ex.Request.Header[name]
	return known != "" && len(values) == 1 && values[0] == known
}

// of returns the key of a request.
func (k *keyer) of(ex *filter.Exchange) key {
	r, h := ex.Request, sha256.New()
	write(h, r.Method, ex.Original.Scheme, ex.Original.Host, r.Host, r.URL.EscapedPath(), r.URL.RawQuery)
	if !k.across {
		identify(h, ex)
	}
	var space [32]string
	names := space[:0]
	for name := range r.Header {
		if k.counts(name) && !repeats(ex, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		write(h, name)
		write(h, r.Header[name]...)
	}
	for _, value := range k.vary {
		text, ok := value(ex)
		if !ok {
			write(h)
			continue
		}
		write(h, text)
	}
	var sum key
	h.Sum(sum[:0])
	return sum
}

// identify adds who calls, with all that a token says: subjects of two issuers may have the same name, and policies of later stages may tell
// the service any of it.
func identify(h hash.Hash, ex *filter.Exchange) {
	id := ex.Identity
	if id == nil {
		write(h)
		return
	}
	write(h, id.Method, id.Subject, id.Consumer)
	write(h, id.Groups...)
	write(h, id.Scopes...)
	if len(id.Claims) == 0 {
		return
	}
	text, err := json.Marshal(id.Claims)
	if err != nil {
		text = []byte(ex.ID) // what cannot be told is not the same as anything
	}
	write(h, string(text))
}

// write adds texts, with their number and lengths, so that what is different cannot look the same.
func write(h hash.Hash, texts ...string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(texts)))
	_, _ = h.Write(n[:])
	for _, text := range texts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
		_, _ = h.Write(n[:])
		_, _ = io.WriteString(h, text)
	}
}

// loose are the fields of a request that do not tell requests apart. They are copied.
func (k *keyer) loose(from http.Header) http.Header {
	fields := http.Header{}
	for name, values := range from {
		if !k.counts(name) {
			fields[name] = slices.Clone(values)
		}
	}
	return fields
}

// fit says why a request cannot be one of several, or "".
func fit(r *http.Request) string {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "a " + r.Method + " is sent by itself"
	case r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody: // in HTTP/2 there is a Body that is empty
		return "the request has a body"
	case r.Header["Upgrade"] != nil:
		return "the request asks for an upgrade"
	case directive(r.Header["Cache-Control"], "no-store"):
		return "the request says no-store"
	}
	return ""
}

// directive says whether one stands in Cache-Control fields (RFC 9111, section 5.2).
func directive(fields []string, name string) bool {
	for _, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			word, _, _ := strings.Cut(part, "=")
			if strings.EqualFold(strings.TrimSpace(word), name) {
				return true
			}
		}
	}
	return false
}
