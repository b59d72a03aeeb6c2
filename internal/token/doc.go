// Package token is what policies that take tokens have in common: where a token stands in a request (RFC 6750), reading what tokens say
// (RFC 7519) without leniency, the rules for their claims, the cache of those that were verified, proofs of possession (DPoP, RFC 9449;
// certificates, RFC 8705), and who the caller is then.
//
// It verifies no signature of a token and asks nobody: the policies jwt and oauth2_introspection, which import it, do.
package token
