// Package watch tells when configuration files change: edited in place, renamed over as editors do, or swapped by a symbolic
// link as Kubernetes does with ConfigMaps. What they say is not its business.
package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be quiet before a change is told: editors and kubelets write in several steps.
const settle = 200 * time.Millisecond

// look is how often files are looked at in any case: network file systems tell of no changes, and watches can run out.
const look = 5 * time.Second

// Sources are the files that are watched.
type Sources struct {
	// Files lists the files of the configuration. Each change of one is told, and whether there are more or fewer.
	Files func() ([]string, error)

	// Used are further files, which the configuration names, as they were when it was loaded. Nil: none. Changes of their content are told.
	Used func() map[string]Digest
}

// Digest stands for what files hold.
type Digest [sha256.Size]byte

// Watch calls changed, from one goroutine, each time that files have changed. It watches the folders that they are in, and those
// that they link to. It returns when ctx ends, or at once with an error when nothing can be watched.
func Watch(ctx context.Context, s Sources, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	defer func() { _ = w.Close() }()
	files, err := s.Files()
	if err != nil {
		return err
	}
	if err := follow(w, files); err != nil {
		return err
	}
	last := seen{files: Look(files...)}
	quiet := time.NewTimer(settle)
	quiet.Stop()
	clock := time.NewTicker(look)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Errors: // an overflow, mostly: something has changed, and the digest will tell
			if !ok {
				return nil
			}
			quiet.Reset(settle)
		case event, ok := <-w.Events:
			if !ok {
				return nil
			}
			if event.Op != fsnotify.Chmod {
				quiet.Reset(settle)
			}
		case <-clock.C:
			now, isNew := s.look(w, last)
			if isNew {
				quiet.Reset(settle) // it may not be all there yet
				continue
			}
			last = now
		case <-quiet.C:
			now, isNew := s.look(w, last)
			if last = now; !isNew {
				continue
			}
			changed()
			if now, isNew = s.look(w, last); isNew { // also at the files that are used now
				quiet.Reset(settle)
				continue
			}
			last = now
		}
	}
}

// seen is what files were when they were last looked at.
type seen struct {
	files Digest            // of the configuration
	used  map[string]Digest // by name
}

// look says what files are now, and whether that is a change.
func (s Sources) look(w *fsnotify.Watcher, last seen) (now seen, changed bool) {
	files, err := s.Files()
	if err != nil {
		return last, false // they are gone for a moment; their return is an event too
	}
	now = seen{files: Look(files...), used: map[string]Digest{}}
	changed = now.files != last.files
	if s.Used != nil {
		for name, loaded := range s.Used() {
			now.used[name] = Look(name)
			before, known := last.used[name]
			changed = changed || now.used[name] != loaded && (!known || now.used[name] != before)
			files = append(files, name)
		}
	}
	_ = follow(w, files)
	return now, changed
}

// follow watches the folders of files and of what they link to, as far as that can be. What is watched already stays so.
func follow(w *fsnotify.Watcher, files []string) (failed error) {
	for _, name := range files {
		if err := w.Add(filepath.Dir(name)); err != nil {
			failed = fmt.Errorf("cannot watch %s: %w", filepath.Dir(name), err)
			continue
		}
		if real, err := filepath.EvalSymlinks(name); err == nil && filepath.Dir(real) != filepath.Dir(name) {
			_ = w.Add(filepath.Dir(real))
		}
	}
	return failed
}

// Look says what files are called and hold now.
func Look(files ...string) Digest {
	h := sha256.New()
	for _, name := range files {
		n, err := digestFile(h, name)
		fmt.Fprintf(h, "\n%q %d %v\n", name, n, err != nil)
	}
	return Digest(h.Sum(nil))
}

// digestFile writes the content of a regular file: to open a pipe would wait for who writes.
func digestFile(to io.Writer, name string) (int64, error) {
	if kind, err := os.Stat(name); err != nil || !kind.Mode().IsRegular() {
		return 0, cmp.Or(err, os.ErrInvalid)
	}
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	return io.Copy(to, f)
}
