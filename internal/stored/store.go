package stored

import (
	"context"
	"errors"
	"io"
	"iter"
)

// ErrNotKept says that a store does not take a response: it is too large, there is no room, or the store is down.
var ErrNotKept = errors.New("the store does not keep it")

// Store keeps responses by their keys, behind the memory of a cache. It is safe for use by several goroutines. A store that is lost behaves as one
// that is empty and takes nothing; it says so once in the log, and finds out by itself when it is there again.
type Store interface {
	// Get returns the response with a key, or nil. A body that is not as it was written is not there. It waits no longer than ctx, nor than the store's
	// own patience.
	Get(ctx context.Context, key string) *Response

	// Put begins to store a response, whose Size is -1 while it is not known. Its Trailer and Body come later. The error is ErrNotKept.
	Put(ctx context.Context, r *Response) (Writer, error)

	// Update replaces the head of the response with the same key, keeping its body.
	Update(ctx context.Context, r *Response)

	// Delete lets a response go.
	Delete(ctx context.Context, key string)

	// All goes through the responses, heads only, as far as they are known without asking others. It may miss those that come meanwhile.
	All() iter.Seq[*Response]

	// Stats says how much it holds.
	Stats() Stats

	// Close ends it. What it keeps for longer is safe then.
	Close() error
}

// Writer takes the body of a response that is to be stored. One goroutine writes; reads may go on at the same time.
type Writer interface {
	// Write appends to the body. After an error, ErrNotKept among them, nothing of it is stored.
	io.Writer

	// ReadAt reads what has been written. Stores that cannot give it back before it is whole return ErrNotKept.
	io.ReaderAt

	// Commit stores the response with what is known of it now: the body is whole. It returns the response as it is stored, with its Body.
	Commit(r *Response) (*Response, error)

	// Abort throws away what was written, and cannot be read any more. It does nothing after Commit, and must be called otherwise, also after one that failed.
	Abort()
}

// Stats say how much a store holds.
type Stats struct {
	Objects, Bytes, Limit, Evicted int64
	Down                           bool
}
