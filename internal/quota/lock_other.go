//go:build !unix

package quota

import (
	"fmt"
	"os"
)

// lockFile opens a file. There are no locks here that end with the process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("it cannot be written here: %w", err)
	}
	return f, nil
}

func syncFolder(string) error { return nil }
