// Package jwks is the target `jwks`: it publishes the public halves of the keys that the gateway signs with.
//
// # Syntax
//
// Short, the files of the keys, in PEM: those that sign now, and those that have signed what is still in use:
//
//	jwks: internal.pem
//
//	jwks: [internal-2027.pem, internal-2026.pem]
//
// Long:
//
//	jwks: {keys: [internal.pem], max_age: 1h}
//
// The answer is a JWK Set (RFC 7517). Of a key pair only the public half is read out; a file with just that will do. A key is called by its
// thumbprint (RFC 7638), as in the tokens of `identity_headers`.
package jwks
