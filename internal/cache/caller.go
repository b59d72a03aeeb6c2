package cache

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

// SecretField says whether a field may hold credentials.
func SecretField(name string) bool {
	switch name {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	lower := strings.ToLower(name)
	return strings.Contains(lower, "key") || strings.Contains(lower, "token") || strings.Contains(lower, "secret") || strings.Contains(lower, "session") || strings.Contains(lower, "auth")
}

// AppendDigest appends a digest of a value that may be long, or a secret.
func AppendDigest(b []byte, value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.AppendEncode(b, sum[:])
}

// AppendIdentity appends a digest of who calls: of all that is known of him, since policies of later stages may tell the service any of it, and of his own credentials, where he is not
// known.
func AppendIdentity(b []byte, ex *filter.Exchange) []byte {
	h := sha256.New()
	write := func(texts ...string) {
		for _, t := range texts {
			_, _ = fmt.Fprintf(h, "%d:%s", len(t), t)
		}
		_, _ = h.Write([]byte{0})
	}
	id := ex.Identity
	if id == nil {
		for _, name := range slices.Sorted(maps.Keys(ex.Request.Header)) {
			if SecretField(name) {
				write(name)
				write(ex.Request.Header[name]...)
			}
		}
		return append(b, hex.EncodeToString(h.Sum(nil)[:16])...)
	}
	write(id.Method, id.Subject, id.Consumer)
	write(id.Groups...)
	write(id.Scopes...)
	if len(id.Claims) > 0 {
		text, err := json.Marshal(claimsThatLast(id.Claims))
		if err != nil {
			text = []byte(ex.ID) // what cannot be told is not the same as anything
		}
		write(string(text))
	}
	return append(b, hex.EncodeToString(h.Sum(nil)[:16])...)
}

// claimsThatLast are a token's claims without those that are another token's for the same caller.
func claimsThatLast(claims map[string]any) map[string]any {
	lasting := make(map[string]any, len(claims))
	for name, value := range claims {
		switch name {
		case "exp", "iat", "nbf", "jti", "auth_time", "sid", "at_hash", "c_hash", "nonce":
		default:
			lasting[name] = value
		}
	}
	return lasting
}
