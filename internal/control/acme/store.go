package acme

import (
	"context"
	"errors"
)

// errNotStored says that a store has nothing by a name.
var errNotStored = errors.New("it is not stored")

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
