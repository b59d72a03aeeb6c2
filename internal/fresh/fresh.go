// Package fresh keeps what was read from files, and reads them again once they have changed. It starts no goroutine: whoever asks first after
// a second has passed looks at the files' times, and reads them only where these differ. Policies import it.
package fresh

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	// interval is how long nobody looks at the files.
	interval = time.Second
	// settled is how long a file must not have been written before its time alone says that it is the same: clocks of file systems are coarse.
	settled = 2 * time.Second
)

// Files are files and what was made of them. They are safe for use by several goroutines.
type Files[T any] struct {
	names []string
	max   int64
	parse func(texts [][]byte) (T, error)
	log   *slog.Logger

	value atomic.Pointer[T]
	next  atomic.Int64 // when to look again, in nanoseconds
	busy  atomic.Bool
	seen  []state // owned by whoever is busy
	said  string  // the error that was logged last
}

// state is a file as it was read.
type state struct {
	info os.FileInfo
	text []byte
	at   time.Time
}

// Read reads the files for the first time, each of so many bytes at most. Parse makes something of their texts, in the order of the names;
// it must not keep them. Later errors are logged, and what was read before goes on being used.
func Read[T any](names []string, most int64, log *slog.Logger, now time.Time, parse func(texts [][]byte) (T, error)) (*Files[T], error) {
	f := &Files[T]{names: names, max: most, parse: parse, log: log, seen: make([]state, len(names))}
	if _, err := f.look(now); err != nil {
		return nil, err
	}
	f.next.Store(now.Add(interval).UnixNano())
	return f, nil
}

// Value is what was made of the files. It looks whether they have changed at most once a second.
func (f *Files[T]) Value(now time.Time) *T {
	if now.UnixNano() >= f.next.Load() && f.busy.CompareAndSwap(false, true) {
		defer f.busy.Store(false)
		f.next.Store(now.Add(interval).UnixNano())
		f.refresh(now)
	}
	return f.value.Load()
}

// refresh reads the files again, if they have changed, and logs what is wrong with them once.
func (f *Files[T]) refresh(now time.Time) {
	changed, err := f.look(now)
	switch {
	case err != nil && err.Error() != f.said:
		f.said = err.Error()
		f.log.Error("cannot use a changed file; what was read before goes on being used", "files", f.names, "error", err)
	case err == nil && (changed || f.said != ""):
		f.said = ""
		f.log.Info("read changed files", "files", f.names)
	}
}

// look reads the files whose times have changed, and parses all if the text of one has.
func (f *Files[T]) look(now time.Time) (changed bool, err error) {
	read := make([]state, len(f.names))
	for i, name := range f.names {
		if read[i], err = f.readOne(name, f.seen[i], now); err != nil {
			return false, err
		}
		changed = changed || f.seen[i].info == nil || !bytes.Equal(read[i].text, f.seen[i].text)
	}
	if changed {
		texts := make([][]byte, len(read))
		for i := range read {
			texts[i] = read[i].text
		}
		value, err := f.parse(texts)
		if err != nil {
			return false, err
		}
		f.value.Store(&value)
	}
	f.seen = read
	return changed, nil
}

// readOne reads a file, unless it is the same as before.
func (f *Files[T]) readOne(name string, before state, now time.Time) (state, error) {
	info, err := os.Stat(name)
	if err != nil {
		return state{}, fmt.Errorf("cannot read %s: %w", name, plain(err))
	}
	if old := before.info; old != nil && os.SameFile(old, info) && old.ModTime().Equal(info.ModTime()) && old.Size() == info.Size() &&
		before.at.Sub(info.ModTime()) > settled {
		return before, nil
	}
	if !info.Mode().IsRegular() {
		return state{}, fmt.Errorf("cannot read %s: it is no regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return state{}, fmt.Errorf("cannot read %s: %w", name, plain(err))
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, f.max+1))
	switch {
	case err != nil:
		return state{}, fmt.Errorf("cannot read %s: %w", name, plain(err))
	case int64(len(text)) > f.max:
		return state{}, fmt.Errorf("cannot read %s: it has more than %d bytes", name, f.max)
	}
	return state{info: info, text: text, at: now}, nil
}

// plain is an error without the file's name, which the message has already.
func plain(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
