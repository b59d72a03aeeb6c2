package sequence

import (
	"context"
	"errors"
	"time"
)

// store is where records are kept, one for each key: by whom it is under way, or how it has ended, and the journal. Each method is one step to the store, and
// may be asked for twice. Records belong to a gateway, by a token and a lease; where the lease is over, they are abandoned. An error says that nobody knows
// whether it was done.
type store interface {
	// claim begins a record, unless there is one that says otherwise. The word is "new"; "again", where all was done before; "kept", with the answer that
	// was given; "undone" or "lost", with the progress; "busy"; "abandoned"; or "other", where the request was another.
	claim(ctx context.Context, k *shared, c *claim) (word, text string, err error)

	// note renews the lease, and sets fields by names and values, unless those of a later version are there. The word is "ok", or "gone" where the record is
	// another's.
	note(ctx context.Context, k *shared, id, token string, version int, fields ...string) (word string, err error)

	// finish says how a record has ended. What was complete once stays so. The word is "ok"; or "gone", or "none", where the record is another's, or none.
	finish(ctx context.Context, k *shared, f *finish) (word string, err error)

	// yield has the lease end.
	yield(ctx context.Context, k *shared, id, token string) error

	// list counts what was abandoned, and says which records are to be taken, so many at most: not those that only others can undo.
	list(ctx context.Context, k *shared, most int) (abandoned int, ids []string, err error)

	// take takes an abandoned record, of which it returns the fields: those of the journal, and "p", the progress. The word is "taken"; "lost", where nobody can
	// undo it; or anything else where it is not to be had.
	take(ctx context.Context, k *shared, id, token string) (word string, fields map[string]string, err error)

	// down says whether the store is known to fail.
	down() bool
}

// claim is what begins a record.
type claim struct {
	id, token   string
	fingerprint string // of the request
	progress    string // by the names of the steps
	head        string // of the journal; "": there is none
}

// finish is what ends a record.
type finish struct {
	id, token string
	how       ending
	life      time.Duration // how long it is remembered
	progress  string
	answer    string // that is kept; "": none
}

// errStore says that the store cannot be asked.
var errStore = errors.New("the store of sequences cannot be reached")
