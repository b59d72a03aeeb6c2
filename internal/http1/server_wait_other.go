//go:build !unix

package http1

// initRaw leaves waiting to Read.
func (c *serverConn) initRaw() {}
