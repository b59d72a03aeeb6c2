// Package http1 is an HTTP/1.1 server and client engine that speaks net/http's types. It reads messages strictly: where there is
// any doubt about where a message ends, the message is refused and the connection closed (RFC 9112; docs/manual/strictness.md has
// every case, beside what others do, and is checked).
//
// The server serves connections that were accepted elsewhere, one goroutine each, and calls an http.Handler. It knows no routes,
// no policies, no TLS configuration, and no HTTP/2. The engine imports it for its listeners, upstream's pool for its connections;
// it imports nothing of theirs.
package http1
