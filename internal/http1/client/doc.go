// Package client is the client's half of HTTP/1.1, in net/http's types: a connection to an endpoint, on which one request after
// another is sent and its answer read. It reads answers strictly (RFC 9112; docs/manual/strictness.md has every case), holds no
// buffer and runs no goroutine while a connection is idle, and says of each failure how far the exchange had come, so that its
// caller can tell whether the request may be repeated.
//
// It dials nothing, keeps no pool, repeats nothing and follows no redirects: those are the business of upstream's pool, which imports
// it, alone. It knows nothing of the server's half; what both share of the wire is in package http1.
package client
