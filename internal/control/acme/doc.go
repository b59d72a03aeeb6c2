// Package acme has certificate authorities issue the certificates of listeners with `acme`, by the protocol of RFC 8555, and has
// them renewed. It keeps them in a store that several gateways can share, and answers what authorities ask (http-01, tls-alpn-01,
// and dns-01 by a program).
//
// All that takes an authority goes on in the background. Nothing here is on the path of requests, but for the look-up of
// certificates and of answers, which waits for nobody. Package control uses it, and nobody else.
package acme
