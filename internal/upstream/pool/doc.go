// Package pool keeps connections to the endpoints of an upstream and makes one round trip over one of them.
//
// It opens, reuses, limits and closes connections, sends a request as it is and gives back the answer as it comes: interim
// answers, trailers, upgrades and streams included. It never repeats a request, follows a redirect or decodes a body. What went
// wrong is told by an *Error, precisely enough to decide whether the same request may be sent again.
//
// It does not choose endpoints, balance, retry or break circuits. Only package upstream imports it.
//
// HTTP/1.1 is spoken by package http1/client, and HTTP/2 by net/http's ClientConn. The pooling is here, so that no request is ever repeated
// behind the caller's back, and so that a connection is reused only if it was left in order and nothing has come on it since. Nobody
// reads a connection of HTTP/1.1 that is not in use: it is looked at before it is used again, and now and then.
package pool
