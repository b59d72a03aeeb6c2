package token

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/issuer"
)

// proofAlgorithms are the algorithms of proofs, as challenges name them.
const proofAlgorithms = "ES256 ES384 ES512 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"

const proofField = "Dpop"

// maxProofID is how long the identifier of a proof may be.
const maxProofID = 256

// proofError says that a proof is not accepted.
type proofError struct{ err error }

func (e *proofError) Error() string { return "the DPoP proof: " + e.err.Error() }
func (e *proofError) Unwrap() error { return e.err }

// refuseProof refuses a proof, for a reason that operators see.
func refuseProof(format string, args ...any) *filter.Error {
	return filter.Reject(filter.TokenInvalid, "The proof of possession is not valid.").Because(&proofError{fmt.Errorf(format, args...)})
}

// prover checks proofs of possession.
type prover struct {
	required bool
	maxAge   time.Duration
	leeway   time.Duration
	seen     *Replays
	method   string
	now      func() time.Time
}

// check checks the proof of a request for a token (RFC 9449, section 4.3).
func (p *prover) check(ex *filter.Exchange, proofs []string, raw, thumbprint string) error {
	if len(proofs) != 1 {
		return refuseProof("there are %d, wanted 1", len(proofs))
	}
	claims, shown, err := readProof(proofs[0])
	if err != nil {
		return refuseProof("%w", err)
	}
	if subtle.ConstantTimeCompare([]byte(shown), []byte(thumbprint)) != 1 {
		return refuseProof("it is by the key %s, and the token is bound to %s", shown, thumbprint)
	}
	hash := sha256.Sum256([]byte(raw))
	id, err := p.checkClaims(ex, claims, base64.RawURLEncoding.EncodeToString(hash[:]))
	if err != nil {
		return refuseProof("%w", err)
	}
	key := sha256.Sum256([]byte(p.method + " " + thumbprint + " " + id))
	switch used, full := p.seen.use(key, p.now(), p.maxAge+2*p.leeway, ex.Dry); {
	case used:
		return refuseProof("it was used already")
	case full:
		return Unavailable(errors.New("so many DPoP proofs are in use that no more can be remembered"))
	}
	return nil
}

// readProof reads a proof and verifies it with the key in it. It returns what it says and the key's thumbprint.
func readProof(raw string) (map[string]any, string, error) {
	parts, err := Parts(raw)
	if err != nil || len(parts) != 3 {
		return nil, "", errors.New("it is no signed JWT")
	}
	h, err := ParseHeader(parts[0])
	switch {
	case err != nil:
		return nil, "", err
	case MediaType(h.Typ) != "dpop+jwt":
		return nil, "", fmt.Errorf("its `typ` is %q", h.Typ)
	case h.JWK == nil:
		return nil, "", errors.New("it has no key")
	}
	text, err := json.Marshal(h.JWK)
	if err != nil {
		return nil, "", err
	}
	key, err := issuer.ParseJWK(text)
	switch {
	case err != nil:
		return nil, "", err
	case !key.Fits(h.Alg):
		return nil, "", fmt.Errorf("the key does not fit `alg` %q", h.Alg)
	}
	payload, err := VerifySignature(raw, h.Alg, key)
	if err != nil {
		return nil, "", err
	}
	claims, err := ParseObject(payload)
	if err != nil {
		return nil, "", err
	}
	thumbprint, err := (&jose.JSONWebKey{Key: key.Public}).Thumbprint(crypto.SHA256)
	return claims, base64.RawURLEncoding.EncodeToString(thumbprint), err
}

// CheckEncoding checks that each part of a token is written in the one way there is.
func CheckEncoding(raw string) error {
	for part := range strings.SplitSeq(raw, ".") {
		if _, err := decode(part); err != nil {
			return fmt.Errorf("a part of the token: %w", err)
		}
	}
	return nil
}

// VerifySignature verifies a token in compact form and returns what was signed. The key must fit the algorithm.
func VerifySignature(raw, alg string, key *issuer.Key) ([]byte, error) {
	if err := CheckEncoding(raw); err != nil {
		return nil, err
	}
	signed, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, err
	}
	payload, err := signed.Verify(key.Public)
	if err != nil {
		return nil, errors.New("the signature is wrong")
	}
	return payload, nil
}

// checkClaims checks what a proof says, and returns its identifier.
func (p *prover) checkClaims(ex *filter.Exchange, claims map[string]any, hash string) (string, error) {
	var texts [4]string
	for i, name := range [...]string{"jti", "htm", "htu", "ath"} {
		text, err := textOf(claims, name)
		if err != nil {
			return "", err
		}
		if text == "" {
			return "", fmt.Errorf("there is no `%s`", name)
		}
		texts[i] = text
	}
	id, method, target, ath := texts[0], texts[1], texts[2], texts[3]
	issued, err := secondsOf(claims, "iat")
	age := p.now().Sub(time.Unix(issued, 0))
	switch {
	case err != nil:
		return "", err
	case issued == 0:
		return "", errors.New("there is no `iat`")
	case len(id) > maxProofID:
		return "", fmt.Errorf("`jti` has %d characters", len(id))
	case method != ex.Original.Method:
		return "", fmt.Errorf("`htm` is %q, and the request is a %s", method, ex.Original.Method)
	case age > p.maxAge+p.leeway || age < -p.leeway:
		return "", fmt.Errorf("`iat` is %s ago, wanted %s at most", age.Round(time.Second), p.maxAge)
	case subtle.ConstantTimeCompare([]byte(ath), []byte(hash)) != 1:
		return "", errors.New("`ath` is of another token")
	}
	return id, checkTarget(ex, target)
}

// checkTarget compares `htu` with the URL of the request, without query and fragment.
func checkTarget(ex *filter.Exchange, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return errors.New("`htu` is no URL")
	}
	got := ex.Original.Scheme + "://" + authority(ex) + normalPath(ex.Original.Path)
	want := strings.ToLower(u.Scheme) + "://" + normalHost(strings.ToLower(u.Scheme), u.Host) + normalPath(u.EscapedPath())
	if got != want {
		return fmt.Errorf("`htu` is %q, and the request is for %s", want, got)
	}
	return nil
}

// authority is the host that the client named, with its port unless that is the scheme's own.
func authority(ex *filter.Exchange) string {
	host := normalHost(ex.Original.Scheme, ex.Request.Host)
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if strings.Trim(name, "[]") == strings.Trim(ex.Original.Host, "[]") || ex.Original.Host == "" {
		return host
	}
	return ex.Original.Host // a trusted proxy has said it, without a port
}

func normalHost(scheme, host string) string {
	host = strings.ToLower(host)
	own := map[string]string{"http": ":80", "https": ":443"}[scheme]
	return strings.TrimSuffix(host, own)
}

// normalPath is a path in the form in which paths are compared (RFC 3986, section 6.2.2): what need not be escaped is not, and escapes
// have capital letters.
func normalPath(path string) string {
	if path == "" {
		return "/"
	}
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := path[i : i+3]
		if plain, err := url.PathUnescape(escape); err == nil && isUnreserved(plain[0]) {
			b.WriteString(plain)
		} else {
			b.WriteString(strings.ToUpper(escape))
		}
		i += 2
	}
	return b.String()
}

// isUnreserved says whether a character need never be escaped (RFC 3986, section 2.3).
func isUnreserved(c byte) bool {
	return tokenCharacter(c) && c != '+' && c != '/' && c != '='
}

// maxReplays is how many proofs are remembered in one half of the time.
const maxReplays = 1 << 20

// Replays remembers proofs that were used. It is safe for use by several goroutines.
type Replays struct {
	mu        sync.Mutex
	now, then map[[16]byte]struct{} // then is of the time before
	turned    time.Time
	span      time.Duration // the longest that was asked for
}

// NewReplays remembers nothing yet.
func NewReplays() *Replays { return &Replays{now: map[[16]byte]struct{}{}} }

// use notes that a proof is used, for a time at least. It says whether it was already, or cannot be noted. When only looking it notes
// nothing.
func (r *Replays) use(id [32]byte, at time.Time, span time.Duration, look bool) (used, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [16]byte(id[:16])
	r.span = max(r.span, span)
	switch since := at.Sub(r.turned); {
	case since >= 2*r.span:
		r.now, r.then, r.turned = map[[16]byte]struct{}{}, nil, at
	case since >= r.span:
		r.now, r.then, r.turned = map[[16]byte]struct{}{}, r.now, at
	}
	if _, used = r.now[key]; !used {
		_, used = r.then[key]
	}
	if used || look {
		return used, false
	}
	if len(r.now) >= maxReplays {
		return false, true
	}
	r.now[key] = struct{}{}
	return false, false
}

// certificate checks that the client has shown the certificate that a token is bound to (RFC 8705, section 3).
func certificate(r *http.Request, thumbprint string) error {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return Invalid("the token is bound to a certificate, and the client has shown none")
	}
	hash := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	if shown := base64.RawURLEncoding.EncodeToString(hash[:]); subtle.ConstantTimeCompare([]byte(shown), []byte(thumbprint)) != 1 {
		return Invalid("the token is bound to the certificate %s, and the client has shown %s", thumbprint, shown)
	}
	return nil
}
