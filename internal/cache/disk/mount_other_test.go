//go:build !linux

package disk

import (
	"errors"
	"testing"
)

func mountMemory(string, int) error { return errors.ErrUnsupported }

func unmount(*testing.T, string) {}
