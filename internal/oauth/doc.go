// Package oauth is an OAuth 2.0 client: it asks a token endpoint for access tokens (RFC 6749, RFC 8693), and keeps them as long as they are
// good. What it is sent is bounded in size and time, redirects are not followed, and no secret is in its errors.
//
// It is not for logins of users, and verifies no tokens. Of discovery it knows no more than how to find the token endpoint of an issuer.
// Policies may import it.
package oauth
