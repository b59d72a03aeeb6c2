package disk

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func mountMemory(at string, size int) error {
	return unix.Mount("none", at, "tmpfs", 0, fmt.Sprint("size=", size))
}

func unmount(t *testing.T, at string) {
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
}
