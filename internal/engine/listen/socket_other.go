//go:build !unix

package listen

import (
	"errors"
	"syscall"
)

func reusePort(syscall.RawConn) error { return errors.ErrUnsupported }

func keepFromChildren(int) {}

func takeOver(int) error { return errors.ErrUnsupported }
