// Package bodylimit is the policy `body_limit`: how large the body of a request may be.
//
// # What it does
//
// A request that announces a longer body is refused at once, before anything of the body is read; a client that waits for
// "100 Continue" has sent nothing of it then. A body whose length is not announced (chunked coding, HTTP/2 without
// Content-Length) is counted as it streams, and the exchange fails when it grows too large: the request to the upstream is
// broken off, and never looks complete to it. Nothing is buffered. What is counted is the body as sent, before decompression.
//
// # Syntax
//
// Short:
//
//	body_limit: 1MiB
//
// Long:
//
//	body_limit: {max: 1MiB}
//
// `body_limit: off` removes a limit that an outer route or the root has. The limit holds for the whole of a stream too: routes
// with uploads or client streams (gRPC) want a larger one, or none. What follows an upgrade (WebSocket) is not counted.
//
// # Stage
//
// guard. A refused request gets 413 body_too_large.
//
// # Explain
//
// What the announced length is and what is allowed; or that the body would be counted.
//
// # Metrics
//
// None of its own. Refusals are in cardea_errors_total{code="body_too_large"}.
package bodylimit
