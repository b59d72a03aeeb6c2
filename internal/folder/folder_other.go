//go:build !unix

package folder

import (
	"fmt"
	"os"
)

// Lock opens a file. There are no locks here that end with the process.
func Lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("it cannot be written here: %w", err)
	}
	return f, nil
}

// Sync does nothing: names cannot be synced here.
func Sync(string) error { return nil }
