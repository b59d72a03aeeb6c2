package filter

import "io"

// EncodedForms is what the body of a response may have beside itself: the body's encoded forms, kept with what is stored, so that it is encoded once
// for many clients. The bodies of caches implement it; who encodes what leaves a cache asks them. It is of whole bodies: that of a partial response
// has none, nor has one of which something was read. It is safe for use by several goroutines, before and after the body's Close.
type EncodedForms interface {
	// Encoded returns the whole body in a content coding ("gzip", "br", "zstd") and its length, if that form is kept. It does not depend on the
	// body, which is to be closed, too.
	Encoded(coding string) (form io.ReadCloser, length int64, ok bool)

	// MostEncoded is how long a form may be that is kept; 0: none is.
	MostEncoded() int64

	// KeepEncoded offers a form of the whole body, which was encoded to its end. The blocks are not changed any more. One that is there already stays.
	KeepEncoded(coding string, blocks [][]byte)
}
