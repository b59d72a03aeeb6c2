package token

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/place"
)

// Settings are what policies that take tokens have in common.
type Settings struct {
	// In are the places where the token may be: "header.NAME", "query.NAME" or "cookie.NAME". In the field Authorization it follows the
	// word Bearer (or DPoP). A request with several tokens is refused. By default [header.authorization].
	In []string `yaml:"in"`

	// Forward leaves the token in the request that the upstream gets. By default on.
	Forward bool `yaml:"forward"`

	// Scopes are what the token must be good for (the claims `scope` or `scp`), all of them. One that is not gets 403
	// insufficient_scope. By default none.
	Scopes []string `yaml:"scopes"`

	// RequiredClaims are claims that the token must have, each with the values of which one must be there; "*" is any. Nested claims are
	// written with dots. By default none.
	RequiredClaims map[string][]string `yaml:"required_claims"`

	// SubjectClaim is the claim that says who the caller is. By default "sub".
	SubjectClaim string `yaml:"subject_claim"`

	// GroupsClaim are claims with the caller's groups or roles, such as "realm_access.roles". What all of them say is put together.
	// By default [groups, roles].
	GroupsClaim []string `yaml:"groups_claim"`

	// ClaimsToHeaders are fields of the request that the upstream gets, each with the claim that it is made of. The fields are removed
	// from what clients send in any case. A list is written with commas. By default none.
	ClaimsToHeaders map[string]string `yaml:"claims_to_headers"`

	// Leeway is how far the clocks of issuer and gateway may be apart. By default 30s. 0 is none.
	Leeway config.Duration `yaml:"leeway" max:"5m"`

	// DPoP asks for a proof that the caller has the key that the token is bound to (RFC 9449). By default tokens that are bound to a key
	// are refused.
	DPoP *DPoP `yaml:"dpop"`

	// CacheEntries is how many tokens are remembered, so that they need not be verified again. By default 10000. 0 remembers none.
	CacheEntries int `yaml:"cache_entries" min:"0" max:"10000000"`
}

// DPoP says how proofs of possession are checked. The short form is Mode.
type DPoP struct {
	// Mode is "required", or "optional": then tokens that are not bound to a key may be shown as Bearer.
	Mode string `yaml:"mode,short,required" enum:"required,optional"`

	// MaxAge is how old a proof may be. As long its identifier is remembered, so that it is not taken twice. By default 1m.
	MaxAge config.Duration `yaml:"max_age" min:"1s" max:"10m"`
}

// Default is a minute.
func (d *DPoP) Default() { d.MaxAge = config.Duration(time.Minute) }

// Default is the field Authorization, and what most issuers say.
func (s *Settings) Default() {
	s.In = []string{"header.authorization"}
	s.Forward = true
	s.SubjectClaim = "sub"
	s.GroupsClaim = []string{"groups", "roles"}
	s.Leeway = config.Duration(30 * time.Second)
	s.CacheEntries = 10000
}

// Check finds what is wrong with the settings.
func (s *Settings) Check() error {
	var errs []error
	add := func(path, format string, args ...any) {
		errs = append(errs, config.FieldErrorf(path, format, args...))
	}
	if len(s.In) == 0 {
		add("in", "the token has no place")
	}
	for i, text := range s.In {
		if _, err := place.Parse(text); err != nil {
			add(fmt.Sprintf("in[%d]", i), "%w", err)
		}
	}
	for i, scope := range s.Scopes {
		// RFC 6749, section 3.3.
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r == '"' || r == '\\' || r > '~' }) {
			add(fmt.Sprintf("scopes[%d]", i), "%q is no scope", scope)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.ClaimsToHeaders)) {
		if !httpguts.ValidHeaderFieldName(name) || slices.Contains([]string{"Host", "Authorization", "Cookie", "Connection", "Content-Length", "Transfer-Encoding", "Dpop"}, http.CanonicalHeaderKey(name)) {
			add(fmt.Sprintf("claims_to_headers[%q]", name), "%q cannot be made of a claim", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.RequiredClaims)) {
		if len(s.RequiredClaims[name]) == 0 {
			add(fmt.Sprintf("required_claims[%q]", name), "no value is accepted: \"*\" is any")
		}
	}
	if s.SubjectClaim == "" {
		add("subject_claim", "it is empty")
	}
	return errors.Join(errs...)
}
