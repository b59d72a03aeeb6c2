package folder

import (
	"errors"
	"path/filepath"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path); !errors.Is(err, ErrHeld) {
		t.Errorf("a second time: %v", err)
	}
	_ = held.Close()
	again, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	if _, err := Lock(filepath.Join(path, "x")); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("where it cannot be: %v", err)
	}
}

func TestSync(t *testing.T) {
	if err := Sync(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := Sync(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("there is no such folder")
	}
}
