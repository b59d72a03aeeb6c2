// Package listen accepts connections: it opens sockets, speaks TLS, the PROXY protocol, HTTP/1.1 and HTTP/2 on them, says who
// is at the other end, and changes all of that under running connections when the configuration does.
//
// It matches no routes and answers no requests: each goes to the handler that it was made with, which learns from an Edge what
// the listener knows. The engine uses it; nobody else does, but for what starts and ends a gateway.
package listen
