// Package upstreamauth is the policy `upstream_auth`: how the gateway identifies itself to the upstream. What the client has sent in the
// same fields never reaches it.
//
// # Syntax
//
// A user and a password, a bearer token, or any fields, which do not change:
//
//	upstream_auth: {basic: {username: gateway, password: "${UPSTREAM_PASSWORD}"}}
//
//	upstream_auth: {bearer: "${UPSTREAM_TOKEN}"}
//
//	upstream_auth: {header: {X-Api-Key: "${API_KEY}"}}
//
// A token that the gateway gets for itself (RFC 6749, section 4.4):
//
//	upstream_auth:
//	  client_credentials:
//	    issuer: https://idp.example.com/     # or token_url
//	    client_id: gateway
//	    client_secret: ${CLIENT_SECRET}
//	    scopes: [orders.read, orders.write]
//
// A token that the gateway gets in exchange for that of the caller (RFC 8693):
//
//	upstream_auth:
//	  token_exchange:
//	    token_url: https://idp.example.com/oauth/token
//	    client_id: gateway
//	    client_secret: ${CLIENT_SECRET}
//	    audience: orders
//
// A signature as AWS and its likes ask for (Signature Version 4):
//
//	upstream_auth:
//	  aws:
//	    region: eu-central-1
//	    service: s3
//	    host: my-bucket.s3.eu-central-1.amazonaws.com
//	    access_key: ${AWS_ACCESS_KEY_ID}
//	    secret_key: ${AWS_SECRET_ACCESS_KEY}
//
// Only `header` goes together with one of the others.
//
// # Tokens
//
// One token is kept for all routes with the same settings, across reloads. It is renewed before its end, while the old one is still sent;
// one request for it is under way at a time. When the server fails, the old token is sent as long as it is good, and the server is asked again
// after half a second, one second, and so on up to thirty. Without a good token requests get 502 upstream_auth_failed, at once.
//
// If the upstream answers 401 to a token older than ten seconds, a new one is asked for. A request without a body is then sent once
// more; otherwise the next one gets the new token.
//
// Exchanged tokens are kept by the SHA-256 of the caller's, until the end of either. A caller without a bearer token, or with one that
// the server refuses, gets 401 token_exchange_rejected. The gateway does not verify the caller's token itself: that is the server's part, or
// that of a policy that authenticates.
//
// # Stage
//
// dispatch, as the last policy: what it sets, no other policy sees or copies.
//
// # Explain
//
// Whose credentials are sent, whether a token is held and until when; never the credentials.
//
// # Metrics
//
//   - cardea_upstream_auth_tokens_total{server,grant,result}: requests for tokens; the result is `granted`, `refused` (the server said
//     no) or `failed` (it did not answer as it should).
package upstreamauth
