package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cardea.dev/cardea/filter"
)

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
	for _, name := range slices.Sorted(maps.Keys(id.Tags)) {
		write(name, id.Tags[name])
	}
	write(beside(id, ex.Request.Header["Authorization"])...)
	if len(id.Claims) > 0 {
		text, err := json.Marshal(claimsThatLast(id.Claims))
		if err != nil {
			text = []byte(ex.ID) // what cannot be told is not the same as anything
		}
		write(string(text))
	}
	return append(b, hex.EncodeToString(h.Sum(nil)[:16])...)
}

// beside are the credentials that the service gets beside those that the caller is known by: those of a user, where a key says which program calls. A token that the caller is known by
// is renewed from time to time, and tells nothing more.
func beside(id *filter.Identity, authorization []string) []string {
	switch id.Method {
	case "jwt", "introspection", "oidc":
		if len(authorization) != 1 {
			break
		}
		if scheme, _, _ := strings.Cut(authorization[0], " "); strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "dpop") {
			return nil
		}
	}
	return authorization
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
