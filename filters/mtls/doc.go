// Package mtls is the policy `mtls`: callers show a certificate when they connect (mutual TLS).
//
// # Syntax
//
// The short form is the file with the certificates of those who are believed:
//
//	mtls: clients-ca.pem
//
// The names in the certificate may be bound, revoked certificates refused, and the certificate passed on:
//
//	mtls:
//	  ca: [clients-ca.pem, partners-ca.pem]
//	  intermediates: issuing.pem
//	  crl: clients.crl
//	  names: ["dns:*.clients.example.com", "email:*@example.com", "spiffe://example.com/ns/*/sa/orders"]
//	  forward: chain
//
// The listener must ask for certificates:
//
//	listen: {address: ":8443", tls: {cert: api.pem, client_certificate: optional}}
//
// # Stage
//
// authenticate. A certificate that is not signed by the right ones, is out of its time, revoked, not for clients, or has none of the wanted
// names gets 401 certificate_invalid; a request on a connection without a certificate gets 401 credentials_missing.
//
// What was found out about a certificate is kept until it, or a revocation list, ends, or a file changes. The fields Client-Cert and
// Client-Cert-Chain (RFC 9440) of callers are always removed.
//
// # Explain
//
// It cannot be said without a connection.
//
// # Metrics
//
// cardea_authentications_total{policy="mtls"}.
package mtls
