// Package http1 is what an HTTP/1.1 server and a client share of the wire: reading heads, fields, targets and bodies out of a
// connection's bytes, in net/http's types. It reads messages strictly: where there is any doubt about where a message ends, the
// message is refused, and the connection is good for nothing any more (RFC 9112; docs/manual/strictness.md has every case, beside
// what others do, and is checked).
//
// It opens, serves and closes nothing: packages http1/server and http1/client do, and they alone read messages with it. The engine and
// what answers for it know it for ParseError. It imports nothing of theirs.
//
//	Reader       bytes of a connection, in a pooled buffer
//	Head         one head, read by Reader.ReadRequestHead and Reader.ReadResponseHead
//	Framing      where a body ends: RequestLength, ResponseLength (RFC 9112, section 6.3)
//	BodyReader   a body, whichever way it ends, and its trailer
package http1
