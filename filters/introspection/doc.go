// Package introspection is the policy `oauth2_introspection`: callers show a token that an authorization server is asked about (RFC 7662).
//
// # What it does
//
// It sends the token to the introspection endpoint of the server and believes what that answers. Answers are kept for a while, by the
// SHA-256 of the token: a token that is revoked is good for so long at most. Requests with the same token wait for one question. Where
// the server does not answer, tokens without an answer that is kept get 503: none passes unasked.
//
// # Syntax
//
// The endpoint, and who the gateway is there:
//
//	oauth2_introspection:
//	  endpoint: https://idp.example.com/introspect
//	  client_id: gateway
//	  client_secret: the-secret-from-a-file
//
// The endpoint may be discovered, and what the server says of the token is checked like the claims of a token:
//
//	oauth2_introspection:
//	  issuer: https://idp.example.com/
//	  client_id: gateway
//	  client_secret: the-secret-from-a-file
//	  client_auth: post
//	  audience: orders
//	  scopes: [orders.read]
//	  cache: 30s
//	  cache_inactive: 5s
//
// # Stage
//
// authenticate. A token that is not active gets 401 token_inactive, one that does not fulfil the rules 401 jwt_invalid, or 403
// insufficient_scope; where the server cannot be asked, 503 authentication_unavailable.
//
// # Explain
//
// What is wrong with the token, where an answer is kept. The server is not asked for it.
//
// # Metrics
//
// cardea_authentications_total{policy="oauth2_introspection"}.
package introspection
