// Package server is the server's half of HTTP/1.1, in net/http's types: it reads requests from connections that were accepted
// elsewhere, one goroutine each, and calls an http.Handler. Requests are read strictly: where there is any doubt about where one
// ends, it is refused and the connection closed (RFC 9112; docs/manual/strictness.md has every case).
//
// It knows no routes, no policies, no TLS configuration, and no HTTP/2. The engine imports it, for its listeners and to send whole
// responses; nobody else does. It knows nothing of the client's half; what both share of the wire is in package http1.
package server
