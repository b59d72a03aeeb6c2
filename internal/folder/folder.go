// Package folder has what files need that one process uses alone, and that must be there after a crash: a lock, and names that are on the disk. What is in the
// files is for its users to say. Policies and targets may import it.
package folder

import "errors"

// ErrHeld says that somebody else holds a lock.
var ErrHeld = errors.New("it is in use already")
