// Package socket reads, writes and looks at TCP and Unix connections by system calls of its own, which never wait and which the
// scheduler need not be told of. It has what package net has not: to read only what is there, to write only what can be taken now, to
// ask and then to wait for the answer at once, and to see whether a connection that nobody reads was closed.
//
// Waiting is package net's business, as are deadlines and Close. The package knows no protocol and holds no buffers. Both halves of
// http1 are made of it, and upstream's pool for what is below TLS; others have no need of it.
package socket
