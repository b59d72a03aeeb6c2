package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// folder is a store in a folder of a file system.
type folder struct{ dir string }

// file is where something is stored. Nothing is outside of the folder.
func (f folder) file(name string) (string, error) {
	clean := make([]string, 0, 4)
	for part := range strings.SplitSeq(name, "/") {
		part = strings.Map(safe, part)
		if part == "" || part == "." || part == ".." {
			return "", fmt.Errorf("cannot store anything by the name %q", name)
		}
		clean = append(clean, part)
	}
	return filepath.Join(f.dir, filepath.Join(clean...)), nil
}

// safe makes a character one that every file system takes.
func safe(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_', r == '@':
		return r
	case r == '*':
		return '+'
	}
	return '_'
}

func (f folder) load(_ context.Context, name string) ([]byte, error) {
	file, err := f.file(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotStored
	}
	return data, err
}

// save writes beside the file and renames, so that nobody reads half of it.
func (f folder) save(_ context.Context, name string, data []byte) error {
	file, err := f.file(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-*") // its owner's alone
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

func (f folder) remove(_ context.Context, name string) error {
	file, err := f.file(name)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// lockPause is how long to wait before a lock is tried again.
const lockPause = 200 * time.Millisecond

// lock locks a file. The lock ends with the process that holds it, in whatever way that ends.
func (f folder) lock(ctx context.Context, name string) (func(), error) {
	file, err := f.file("locks/" + strings.ReplaceAll(name, "/", "-"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	for {
		unlock, err := tryLock(file)
		if err != nil || unlock != nil {
			return unlock, err
		}
		pause := time.NewTimer(lockPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		case <-pause.C:
		}
	}
}

// writable makes sure that a folder is there and can be written to, before anything is got that would be lost.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}
