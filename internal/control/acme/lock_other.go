//go:build !unix || solaris || aix

package acme

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// lockLife is after how long a lock is taken for one whose holder has died. Nobody holds one for longer than an order may take.
const lockLife = 2 * orderTime

// tryLock makes a file that was not there; nil without an error means that somebody else did.
func tryLock(file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return func() { _ = f.Close(); _ = os.Remove(file) }, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > lockLife {
		_ = os.Remove(file)
	}
	return nil, nil
}
