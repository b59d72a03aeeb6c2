package upstreamauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// signer signs requests with AWS Signature Version 4
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
type signer struct {
	region, service, host         string
	accessKey, secretKey, session string
	unsigned                      bool // the signature does not cover bodies
	maxBody                       int64
	storage                       bool // s3 has rules of its own
	now                           func() time.Time
	derived                       atomic.Pointer[derivedKey]
}

// derivedKey is the key of a day.
type derivedKey struct {
	day string
	key []byte
}

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	emptyHash       = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // of no bytes
	streamed        = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

func newSigner(a *AWS) *signer {
	s := &signer{
		region: a.Region, service: a.Service, host: a.Host, accessKey: a.AccessKey, secretKey: a.SecretKey.Reveal(),
		session: a.SessionToken.Reveal(), maxBody: int64(a.MaxBody), storage: strings.HasPrefix(a.Service, "s3"), now: time.Now,
	}
	s.unsigned = a.Payload == "unsigned" || a.Payload == "auto" && s.storage
	if s.host == "" {
		s.host = a.Service + "." + a.Region + ".amazonaws.com"
	}
	return s
}

// sign signs a request, of which the path and the query are as they are sent. It sets Authorization and the fields that belong to it.
func (s *signer) sign(r *http.Request, path, payload string) {
	at := s.now().UTC()
	h := r.Header
	h["X-Amz-Date"] = []string{at.Format("20060102T150405Z")}
	if s.session != "" {
		h["X-Amz-Security-Token"] = []string{s.session}
	}
	if s.storage || payload == unsignedPayload {
		h["X-Amz-Content-Sha256"] = []string{payload}
	}
	names := signedNames(h)
	var canonical strings.Builder
	for _, part := range []string{r.Method, s.canonicalPath(path), r.URL.RawQuery} {
		canonical.WriteString(part + "\n")
	}
	for _, name := range names {
		canonical.WriteString(name + ":" + s.canonicalValue(h, name) + "\n")
	}
	signed := strings.Join(names, ";")
	canonical.WriteString("\n" + signed + "\n" + payload)

	day := at.Format("20060102")
	scope := day + "/" + s.region + "/" + s.service + "/aws4_request"
	hash := sha256.Sum256([]byte(canonical.String()))
	text := "AWS4-HMAC-SHA256\n" + h["X-Amz-Date"][0] + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	signature := hex.EncodeToString(mac(s.key(day), text))
	h["Authorization"] = []string{
		"AWS4-HMAC-SHA256 Credential=" + s.accessKey + "/" + scope + ", SignedHeaders=" + signed + ", Signature=" + signature,
	}
}

// key returns the key of a day.
func (s *signer) key(day string) []byte {
	if d := s.derived.Load(); d != nil && d.day == day {
		return d.key
	}
	key := mac([]byte("AWS4"+s.secretKey), day)
	for _, part := range []string{s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	s.derived.Store(&derivedKey{day, key})
	return key
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

// signedNames are the names of the fields that are signed, in lower case and in order: those that must be, and those that say what the body
// is. No others, for what stands between the gateway and the service may change them.
func signedNames(h http.Header) []string {
	names := []string{"host"}
	for name := range h {
		switch lower := strings.ToLower(name); lower {
		case "content-type", "content-md5", "date", "range":
			names = append(names, lower)
		default:
			if strings.HasPrefix(lower, "x-amz-") {
				names = append(names, lower)
			}
		}
	}
	slices.Sort(names)
	return names
}

// canonicalValue is the value of a field as it is signed.
func (s *signer) canonicalValue(h http.Header, name string) string {
	if name == "host" {
		return s.host
	}
	values := h[http.CanonicalHeaderKey(name)]
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strings.Join(strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
	}
	return strings.Join(out, ",")
}

// canonicalPath is a path, as it is sent, as it is signed. All services but s3 escape what is escaped already once more.
func (s *signer) canonicalPath(path string) string {
	if path == "" {
		return "/"
	}
	if !s.storage {
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		return escape(path, true)
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if plain, err := url.PathUnescape(segment); err == nil {
			segments[i] = escape(plain, false)
		}
	}
	return strings.Join(segments, "/")
}

// escape escapes all bytes but unreserved ones (RFC 3986, section 2.3), and slashes unless they are kept.
func escape(text string, slashes bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' || c == '/' && slashes {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

var errQuery = errors.New("a part of the query is not well formed")

// canonicalQuery is a query as it is signed: escaped in one way, and in order. Parameters of a signature that the client made are left out.
func canonicalQuery(raw string) (string, error) {
	if raw == "" {
		return "", nil
	}
	var pairs []string
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return "", errQuery
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return "", errQuery
		}
		if !ofSignature(name) {
			// The byte between name and value sorts before all others that can stand there.
			pairs = append(pairs, escape(name, false)+"\x00"+escape(value, false))
		}
	}
	slices.Sort(pairs)
	return strings.ReplaceAll(strings.Join(pairs, "&"), "\x00", "="), nil
}

// ofSignature says whether a parameter of a query belongs to a signature.
func ofSignature(name string) bool {
	return slices.ContainsFunc([]string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Security-Token",
		"X-Amz-Content-Sha256",
	}, func(own string) bool { return strings.EqualFold(own, name) })
}
