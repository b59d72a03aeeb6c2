package filter

import (
	"crypto/sha256"
	"strings"
	"time"
)

// Identity is who calls, however that was found out. One may be shared by all requests with the same credential: it is never changed.
type Identity struct {
	Subject  string            // the caller's own name: a token's `sub`, a user name, a certificate's subject
	Consumer string            // the consumer that the gateway knows the caller as, if any
	Groups   []string          // groups or roles
	Scopes   []string          // what the credential is good for (RFC 6749, section 3.3)
	Tags     map[string]string // of the consumer
	Claims   map[string]any    // a token's claims, if any
	Method   string            // the policy that authenticated: "jwt", "api_key", …
}

// String says who it is, in one line.
func (id *Identity) String() string {
	if id == nil {
		return "nobody"
	}
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	add("subject", id.Subject)
	add("consumer", id.Consumer)
	add("groups", strings.Join(id.Groups, ", "))
	add("scopes", strings.Join(id.Scopes, " "))
	if len(parts) == 0 {
		return "by " + id.Method
	}
	return strings.Join(parts, ", ")
}

// Consumer is a caller that the gateway knows by name.
type Consumer struct {
	Name   string
	Groups []string
	Tags   map[string]string
}

// CredentialKind says what a credential is.
type CredentialKind string

// The kinds of credentials, each with the text that its id is made of.
const (
	KeyCredential         CredentialKind = "api_key"     // the key itself
	PasswordCredential    CredentialKind = "basic"       // the user name
	SubjectCredential     CredentialKind = "jwt"         // the issuer, a space, and the subject
	CertificateCredential CredentialKind = "certificate" // a name of the certificate: "dns:…", "email:…", "uri:…", "subject:…", "sha256:…"
	SignatureCredential   CredentialKind = "signature"   // the key id
)

// CredentialID finds a credential: the SHA-256 of the text that its kind says. So a key is not kept, and looking it up takes a time
// that tells nothing about the keys there are.
type CredentialID [sha256.Size]byte

// NewCredentialID makes the id of a text.
func NewCredentialID(text string) CredentialID { return sha256.Sum256([]byte(text)) }

// Credential is what a consumer proves with who they are.
type Credential struct {
	Consumer *Consumer
	Label    string    // what operators may see of it: the beginning of a key, a user name
	Secret   string    // the hash of a password, or a secret that is shared; "" for the other kinds
	Expires  time.Time // zero: never
	Scopes   []string

	// Identity is what requests with the credential are given. Policies that know more of the caller make their own of it.
	Identity *Identity
}

// Expired says whether the credential is good no longer.
func (c *Credential) Expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// Consumers finds the consumers that the gateway knows, and their credentials, each in a time that does not depend on how many there are.
// It is safe for use by several goroutines.
type Consumers interface {
	// Named returns the consumer with a name, or nil.
	Named(name string) *Consumer

	// Credential returns the credential of a kind with an id, or nil. It may be expired.
	Credential(kind CredentialKind, id CredentialID) *Credential
}
