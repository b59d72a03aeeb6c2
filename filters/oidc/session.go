package oidc

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"strings"
	"time"

	"cardea.dev/cardea/filter"
)

// session is what is kept of a login. It never changes: what renews it makes another of the same id.
type session struct {
	ID       string          `json:"id"`
	Version  int             `json:"v,omitempty"`   // counts refreshes
	Created  int64           `json:"t"`             // at the login, in ms since 1970
	Seen     int64           `json:"seen"`          // in ms since 1970, about
	Ends     int64           `json:"ends,omitzero"` // of the access token, in s since 1970; 0: unknown
	IDToken  string          `json:"idt"`           // the last, verified
	Access   string          `json:"at,omitempty"`  // only where it is needed
	Refresh  string          `json:"rt,omitempty"`
	Scope    string          `json:"scope,omitempty"`
	UserInfo json.RawMessage `json:"ui,omitempty"`

	names    []name // under which it may be revoked
	sid      string
	subject  string
	identity *filter.Identity
	forward  []string // the value of Authorization for the upstream; nil: none

	forwardEnds int64 // when the token that is forwarded ends, in s since 1970; 0: unknown, or none is
}

// codec makes texts of sessions and sessions of texts. What it has opened it remembers for a while.
type codec struct {
	sealer    *sealer
	context   string // of the application: its issuer and client
	issuer    string
	groups    string
	forward   string
	consumers filter.Consumers
	opened    *cache[uint64, *opened]
	seed      maphash.Seed
}

// opened is a session with the text that it was in.
type opened struct {
	text []byte
	s    *session
}

const (
	maxOpened = 1024      // sessions that are remembered in plain, twice
	maxKept   = 8 << 10   // of the text of such a session
	maxShared = 128 << 10 // of the text of a session in a store
)

// seal makes the text of a session.
func (c *codec) seal(s *session) (string, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("cannot encode a session: %w", err)
	}
	return c.sealer.seal(plain, c.context), nil
}

// open returns the session of a text, or nil where the gateway has not made it.
func (c *codec) open(sealed []byte) *session {
	id := maphash.Bytes(c.seed, sealed)
	if known, ok := c.opened.get(id); ok && bytes.Equal(known.text, sealed) {
		return known.s
	}
	plain, ok := c.sealer.open(sealed, c.context)
	if !ok {
		return nil
	}
	s := &session{}
	if err := json.Unmarshal(plain, s); err != nil {
		return nil
	}
	if err := c.complete(s); err != nil {
		return nil
	}
	if len(sealed) <= maxKept {
		c.opened.put(id, &opened{bytes.Clone(sealed), s})
	}
	return s
}

// complete derives from a session what follows from it.
func (c *codec) complete(s *session) error {
	claims, err := claimsOf(s.IDToken)
	if err != nil {
		return err
	}
	if s.UserInfo != nil {
		further := map[string]any{}
		if err := json.Unmarshal(s.UserInfo, &further); err != nil {
			return fmt.Errorf("cannot read the userinfo: %w", err)
		}
		maps.Copy(further, claims) // those of the signed token count
		claims = further
	}
	s.subject, _ = claims["sub"].(string)
	if s.subject == "" {
		return errors.New("the ID token has no subject")
	}
	s.names = []name{nameOf("id", s.ID), nameOf("sub", s.subject)}
	if s.sid, _ = claims["sid"].(string); s.sid != "" {
		s.names = append(s.names, nameOf("sid", s.sid))
	}
	s.identity = c.identify(s, claims)
	switch c.forward {
	case "access_token":
		s.forward, s.forwardEnds = []string{"Bearer " + s.Access}, s.Ends
	case "id_token":
		ends, _ := claims["exp"].(float64)
		s.forward, s.forwardEnds = []string{"Bearer " + s.IDToken}, int64(ends)
	}
	return nil
}

// identify says who the session is of.
func (c *codec) identify(s *session, claims map[string]any) *filter.Identity {
	id := &filter.Identity{Subject: s.subject, Groups: texts(lookUp(claims, c.groups)), Claims: claims, Method: kind, Scopes: strings.Fields(s.Scope)}
	known := c.consumers.Credential(filter.SubjectCredential, filter.NewCredentialID(c.issuer+" "+s.subject))
	if known != nil {
		id.Consumer, id.Tags = known.Consumer.Name, known.Consumer.Tags
		id.Groups = append(id.Groups, known.Consumer.Groups...)
	}
	return id
}

// claimsOf reads the claims of a token that was verified when it came.
func claimsOf(token string) (map[string]any, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return nil, fmt.Errorf("cannot read a token: %w", err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return nil, fmt.Errorf("cannot read the claims of a token: %w", err)
	}
	return claims, nil
}

// lookUp finds a claim by its whole name, or else follows the dots in it.
func lookUp(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	first, rest, more := strings.Cut(path, ".")
	inner, ok := claims[first].(map[string]any)
	if !more || !ok {
		return nil
	}
	return lookUp(inner, rest)
}

// texts are the texts in a claim: a list of them, or one.
func texts(claim any) []string {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}

// random returns a text of 256 random bits.
func random() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// over says why a session is over by the clock, or "".
func (l limits) over(s *session, now time.Time) string {
	switch ms := now.UnixMilli(); {
	case ms-s.Created >= l.lifetime.Milliseconds():
		return "the session has reached its lifetime"
	case l.idle > 0 && ms-s.Seen >= l.idle.Milliseconds():
		return "the session was idle for too long"
	}
	return ""
}

// limits are how long sessions last.
type limits struct{ lifetime, idle time.Duration }

// left is how long the browser has to keep the cookie of a session.
func (l limits) left(s *session, now time.Time) time.Duration {
	left := time.UnixMilli(s.Created).Add(l.lifetime).Sub(now)
	if l.idle > 0 {
		left = min(left, l.idle)
	}
	return max(left, time.Second)
}
