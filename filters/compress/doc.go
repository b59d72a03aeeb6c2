// Package compress encodes answers for clients that accept it: zstd, br (Brotli) or gzip.
//
// It never decodes, and it leaves alone what is encoded already. It may be imported by whoever lists the kinds.
//
// # Syntax
//
//	compress: {}                             # zstd, br or gzip, for texts of 1 KiB and more
//	compress: off
//	compress: gzip                           # short form: the algorithm, or a list in order of preference
//
//	compress:
//	  algorithms: [zstd, br, gzip]           # the first that the client likes best
//	  level: default                         # fast, default, best
//	  min: 1KiB                              # smaller bodies stay as they are
//	  types: [text/*, application/json]      # media types
//
// # Stage
//
// cache: it encodes what leaves a cache, so that a cache holds one form for all clients. The request phase reads what the client
// accepts (RFC 9110, section 12.5.3) before later policies can change it; the response phase encodes.
//
// # What is encoded
//
// A response is encoded when its media type is among `types` and its length is at least `min` or unknown, and the client
// accepts one of the algorithms. The one with the highest weight is taken, among equals the first in `algorithms`; a client
// that gives identity a higher weight than all of them gets the body as it is, and so does one that sends no Accept-Encoding.
//
// Never encoded are responses with a Content-Encoding, a Content-Range, `Cache-Control: no-transform`, or a status of 1xx, 204,
// 206 or 304; gRPC; and bodies known to be empty.
//
// An encoded response has Content-Encoding and Vary: Accept-Encoding. It loses what was said of the bytes as they were:
// Content-Length, Accept-Ranges, Content-MD5, Digest, Content-Digest, Repr-Digest. A strong ETag becomes a weak one. Responses that
// would have been encoded for another client get the Vary field too, and so does a 304 about one; where a 304 does not say its type, what its path ends with does. The answer to HEAD has the fields of the answer to GET.
//
// # Streams
//
// The body is encoded as it is read, without a goroutine. Where its length is unknown, what the upstream sent so far is flushed
// whenever nothing more is there, so that server-sent events and other streams arrive event by event. Each open stream holds
// an encoder: about 1 MiB for gzip and br, 2 MiB for zstd. A body that breaks off breaks off encoded, too; it never ends
// as if it were whole.
//
// # Encoded once
//
// Where a cache keeps the body (filter.EncodedForms), it keeps the encoded forms, too: a body of known length is encoded for the first client that
// takes an algorithm, and while that is sent, the form is put aside. Later clients get it as it is, with a Content-Length. Only the form of a whole
// body that was encoded to its end is kept, up to the length that the cache allows. Clients that come together while there is no form encode each
// for themselves. A form stays as long as the body does; another `level` is for bodies that come after.
//
// # Security
//
// Over TLS, the length of an encoded page betrays a secret in it to someone who can put his own text into the same page and see
// the length (BREACH). Turn compression off on routes that answer with both secrets, such as CSRF tokens, and what the
// client sent.
//
// # Explain
//
// It says which algorithm the client would get, for a response that qualifies.
//
// # Metrics
//
//	cardea_compress_responses_total{route,encoding}   responses sent encoded
//	cardea_compress_kept_total{route,encoding}        those of them whose form was kept by the cache
//	cardea_compress_bytes_total{route,direction}      bytes before (in) and after (out) encoding; kept forms do not count
package compress
