// Package issuer knows those who issue tokens: their discovery documents (OpenID Connect Discovery 1.0, RFC 8414) and their keys (RFC 7517),
// fetched over HTTP, kept, and renewed before they are needed.
//
// It verifies no token; package token and the policies do. It opens no connection before it is asked for something for the first time.
// Policies that take tokens import it.
package issuer
