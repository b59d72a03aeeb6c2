package acme

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// errNotStored says that a store has nothing by a name.
var errNotStored = errors.New("it is not stored")

// errStore says that a store does not work at all.
var errStore = errors.New("cannot use the storage")

// store keeps accounts, certificates with their keys, and answers to challenges. Gateways with the same store share them. Names are
// paths with slashes.
type store interface {
	// load returns what is stored by a name, or errNotStored.
	load(ctx context.Context, name string) ([]byte, error)

	// save stores: all of it, or nothing.
	save(ctx context.Context, name string, data []byte) error

	// remove removes what is stored by a name. It is no error when there is nothing.
	remove(ctx context.Context, name string) error

	// lock waits until no other gateway, and nobody in this one, holds a lock of that name. One whose holder has died is free.
	lock(ctx context.Context, name string) (unlock func(), err error)
}

// openStore makes the store of a place: a folder, or the URL of a Redis. It connects to nothing.
func openStore(place string) (store, error) {
	if strings.Contains(place, "://") {
		return newRemote(place)
	}
	if err := writable(place); err != nil {
		return nil, fmt.Errorf("cannot keep certificates in %s: %w", place, err)
	}
	return folder{place}, nil
}
