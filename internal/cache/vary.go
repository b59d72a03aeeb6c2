package cache

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"cardea.dev/cardea/internal/cache/rules"
	"cardea.dev/cardea/internal/stored"
)

// maxVaries is how many sets of fields by which responses differ are remembered of a URL.
const maxVaries = 8

// variantPart begins the part of a key that tells variants apart.
const variantPart = "\nvary="

// AppendVariant appends what makes a primary key one of the responses that differ by some fields of the request.
func AppendVariant(key []byte, names []string, h http.Header) []byte {
	return appendVariant(key, names, h)
}

func appendVariant(key []byte, names []string, h http.Header) []byte {
	key = append(key, variantPart...)
	for i, name := range names {
		if i > 0 {
			key = append(key, '&')
		}
		key = append(key, name...)
		if values := h[name]; len(values) > 0 {
			key = append(key, '=')
			if value := rules.NormalField(name, values); SecretField(name) {
				key = AppendDigest(key, value)
			} else {
				key = appendQuoted(key, value)
			}
		}
	}
	return key
}

// appendQuoted appends a value, so that nothing in it can be taken for another part of a key.
func appendQuoted(key []byte, value string) []byte {
	for i := range len(value) {
		switch c := value[i]; {
		case c == '%' || c == '&' || c == '=' || c < ' ' || c == 0x7f:
			const hex = "0123456789ABCDEF"
			key = append(key, '%', hex[c>>4], hex[c&15])
		default:
			key = append(key, c)
		}
	}
	return key
}

// AppendQuoted appends a value to a key, so that nothing in it can be taken for another part.
func AppendQuoted(key []byte, value string) []byte { return appendQuoted(key, value) }

// SecretField says whether a field may hold credentials. Operators who look into a cache see its digest, as do those who have its disk.
func SecretField(name string) bool {
	if name == "Cookie" {
		return true
	}
	for _, word := range [...]string{"auth", "jwt", "key", "oidc", "secret", "session", "token"} {
		for i := 0; i+len(word) <= len(name); i++ {
			if name[i]|0x20 == word[0] && strings.EqualFold(name[i:i+len(word)], word) {
				return true
			}
		}
	}
	return false
}

// AppendDigest appends a digest of a value that may be long, or a secret.
func AppendDigest(key []byte, value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.AppendEncode(key, sum[:])
}

// selectingValue is the value of a field that selects a response, as it is kept.
func selectingValue(name string, values []string) string {
	value := rules.NormalField(name, values)
	if SecretField(name) {
		return string(AppendDigest(nil, value))
	}
	return value
}

// selecting are the fields of a request that select a response, with their normal values.
func selecting(names []string, h http.Header) stored.Fields {
	if len(names) == 0 {
		return stored.Fields{}
	}
	fields := make(http.Header, len(names))
	for _, name := range names {
		if values := h[name]; len(values) > 0 {
			fields[name] = []string{selectingValue(name, values)}
		}
	}
	return stored.NewFields(fields)
}

// Suits says whether a response that differs by some fields is one to a request. The response has been selected by another request.
func Suits(r *stored.Response, names []string, h http.Header) bool {
	for _, name := range names {
		kept, values := r.Vary.Values(name), h[name]
		if (len(kept) == 0) != (len(values) == 0) || len(kept) > 0 && kept[0] != selectingValue(name, values) {
			return false
		}
	}
	return true
}

// Selected says whether a request selects a response that is stored under its key, as far as fields go by which responses differ.
func Selected(r *stored.Response, h http.Header) bool {
	primary, variant, ok := strings.Cut(r.Key, variantPart)
	if !ok {
		return true
	}
	var names []string
	for part := range strings.SplitSeq(variant, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	return string(appendVariant([]byte(primary), names, h)) == r.Key
}

// mark notes at a primary key that responses differ by some fields.
func (c *Cache) mark(ctx context.Context, primary string, names []string, like *stored.Response) {
	old, _ := c.get(ctx, []byte(primary))
	marker := newMarker(primary, like)
	marker.Varies = [][]string{names}
	if old != nil && old.Marker {
		if len(old.Varies) > 0 && slices.Equal(old.Varies[0], names) && !old.Until().Before(like.Until()) {
			return
		}
		for _, v := range old.Varies {
			if !slices.Equal(v, names) && len(marker.Varies) < maxVaries {
				marker.Varies = append(marker.Varies, v)
			}
		}
		lastAsLongAs(marker, old)
	}
	c.putMarker(ctx, marker)
}

// newMarker makes a marker that lasts as long as a response.
func newMarker(key string, like *stored.Response) *stored.Response {
	return &stored.Response{
		Key: key, URL: like.URL, Route: like.Route, Method: like.Method, Seq: like.Seq, Requested: like.Requested, Received: like.Received,
		Terms: like.Terms, Marker: true,
	}
}

// lastAsLongAs has a marker last as long as the one before it, too.
func lastAsLongAs(marker, old *stored.Response) {
	if old.Until().After(marker.Until()) {
		marker.Terms, marker.Received = old.Terms, old.Received
	}
}

// putMarker stores a marker.
func (c *Cache) putMarker(ctx context.Context, marker *stored.Response) {
	c.memory.Set(marker)
	if c.behind == nil {
		return
	}
	if w, err := c.behind.store.Put(ctx, marker); err == nil {
		if _, err := w.Commit(marker); err != nil {
			w.Abort()
		}
	}
}

// marked are the fields by which the latest responses with a primary key differ. They count also when no such response is fresh any more: services that
// have each use validated say so from the beginning.
func (c *Cache) marked(ctx context.Context, primary string) []string {
	if m, _ := c.get(ctx, []byte(primary)); m != nil && m.Marker && len(m.Varies) > 0 {
		return m.Varies[0]
	}
	return nil
}
