// Package jwt is the policy `jwt`: callers show a token that an issuer has signed (RFC 7519, RFC 6750, RFC 9068).
//
// # What it does
//
// It takes the token, finds its issuer's key, verifies the signature with an algorithm that is allowed and that the key is for, and checks
// what the token says. Keys are fetched when they are first needed, renewed in the background, and kept while the issuer is down. A token
// that was verified is remembered by its SHA-256 until it expires, or its key is withdrawn.
//
// # Syntax
//
// The short form is the issuer, whose keys are found by discovery:
//
//	jwt: https://idp.example.com/
//
// Name the audience, or tokens for other services of the same issuer are accepted too:
//
//	jwt:
//	  issuer: https://idp.example.com/
//	  audience: orders
//	  scopes: [orders.read]
//
// Several issuers, each with keys of its own:
//
//	jwt:
//	  audience: orders
//	  issuers:
//	    - https://idp.example.com/
//	    - {issuer: https://partner.example.com/, jwks_url: https://partner.example.com/keys.json, algorithms: [ES256]}
//
// A secret that is shared with the issuer, for HS256, HS384 and HS512:
//
//	jwt: {issuer: billing, secret: a-secret-of-32-bytes-or-more-from-a-file}
//
// Tokens that are bound to a key of the caller, claims that the upstream gets as fields, and groups from a nested claim:
//
//	jwt:
//	  issuer: https://idp.example.com/realms/shop
//	  audience: [orders, orders-beta]
//	  required_claims: {tenant: [acme, globex], email: "*"}
//	  groups_claim: realm_access.roles
//	  claims_to_headers: {X-User: sub, X-Tenant: tenant}
//	  dpop: required
//
// Encrypted tokens:
//
//	jwt:
//	  issuer: https://idp.example.com/
//	  decrypt: {keys: /etc/cardea/token-key.pem, required: true}
//
// # Stage
//
// authenticate. What is wrong gets 401 jwt_invalid, or jwt_expired; a scope that is missing gets 403 insufficient_scope; an issuer whose
// keys cannot be had gets 503 authentication_unavailable.
//
// # Explain
//
// What is wrong with the token: "`aud` is [a], wanted b". Keys are not fetched for it: where none are known yet, it says so.
//
// # Metrics
//
// cardea_authentications_total{policy="jwt"}.
package jwt
