// Package purge knows which stored responses have been purged: by their URL, a prefix of it, a tag, or all. It finds and deletes nothing: a purge is a
// mark with a number, and a response is purged when a mark for it has a higher number than purges had when the response was asked for. So a purge takes
// the same time whatever is stored, holds for what is in any store and for what is being fetched, and need not be told to what comes later.
//
// URLs and tags are marked in tables of fixed size, by hash. That two share all their places means a needless miss, never the use of what is purged.
// Prefixes are a short exact list.
//
// Numbers are given by Add, or by what several gateways share (Apply). They must never begin anew while responses with higher ones are stored: who finds
// responses without the marks that belong to them calls AtLeast, or does not use the responses.
//
// The cache and its stores import it, and those who take purges from operators.
package purge
