//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// credentials are what requests show where gateways ask who calls.
type credentials struct {
	key    string // an API key
	token  string // a JWT, signed with ES256
	public string // the file with the public key of its issuer
}

// tokenIssuer and tokenAudience are what the token says.
const (
	tokenIssuer   = "https://idp.bench.example/"
	tokenAudience = "bench"
)

// issue makes credentials, and the file that tokens are verified with.
func issue(dir string) (*credentials, error) {
	c := &credentials{key: rand.Text(), public: filepath.Join(dir, "issuer.pem")}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key for tokens: %w", err)
	}
	now := time.Now().Unix()
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil,
		`{"iss":%q,"aud":%q,"sub":"user-4711","scope":"read write","iat":%d,"exp":%d}`, tokenIssuer, tokenAudience, now, now+24*3600))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("cannot sign a token: %w", err)
	}
	c.token = text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return nil, fmt.Errorf("cannot write the key of tokens: %w", err)
	}
	return c, os.WriteFile(c.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600)
}

// fields are the credentials as they stand in requests.
func (c *credentials) fields() string {
	if c == nil {
		return ""
	}
	return "X-API-Key: " + c.key + "\r\nAuthorization: Bearer " + c.token + "\r\n"
}

// show puts the credentials into a request.
func (c *credentials) show(r *http.Request) {
	if c != nil {
		r.Header.Set("X-API-Key", c.key)
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
}

// checkRefusal checks that a gateway which asks for credentials refuses a request without them, and one with others.
func (c *verifyClient) checkRefusal(path string) error {
	for _, other := range []*credentials{nil, {key: "another-key-0123456789", token: c.shown.token[:len(c.shown.token)-8] + "AAAAAAAA"}} {
		r, err := http.NewRequest(http.MethodGet, c.base+path, http.NoBody)
		if err != nil {
			return err
		}
		other.show(r)
		resp, err := c.http.Do(r)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			return fmt.Errorf("a request without right credentials is answered %s", resp.Status)
		}
	}
	return nil
}
