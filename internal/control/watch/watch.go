// Package watch tells when configuration files change: edited in place, renamed over as editors do, or swapped by a symbolic
// link as Kubernetes does with ConfigMaps. It does not read them.
package watch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files must be quiet before a change is told: editors and kubelets write in several steps.
const settle = 200 * time.Millisecond

// Files calls changed, from one goroutine, each time the content of what list returns has changed. It watches the folders that
// the files are in, and those that they link to. It returns when ctx ends, or at once with an error when nothing can be watched.
func Files(ctx context.Context, list func() ([]string, error), changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("cannot watch files: %w", err)
	}
	defer func() { _ = w.Close() }()
	files, err := list()
	if err != nil {
		return err
	}
	if err := follow(w, files); err != nil {
		return err
	}
	last := digest(files)
	quiet := time.NewTimer(settle)
	quiet.Stop()
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
		case <-quiet.C:
			if files, err = list(); err != nil {
				continue // the files are gone for a moment; their return is an event too
			}
			_ = follow(w, files)
			if now := digest(files); now != last {
				last = now
				changed()
			}
		}
	}
}

// follow watches the folders of files and of what they link to. What is watched already stays so.
func follow(w *fsnotify.Watcher, files []string) error {
	for _, name := range files {
		if err := w.Add(filepath.Dir(name)); err != nil {
			return fmt.Errorf("cannot watch %s: %w", filepath.Dir(name), err)
		}
		if real, err := filepath.EvalSymlinks(name); err == nil && filepath.Dir(real) != filepath.Dir(name) {
			_ = w.Add(filepath.Dir(real))
		}
	}
	return nil
}

// digest stands for the names and contents of files.
func digest(files []string) [sha256.Size]byte {
	h := sha256.New()
	for _, name := range files {
		text, err := os.ReadFile(name)
		fmt.Fprintf(h, "%q %d %v\n", name, len(text), err != nil)
		h.Write(text)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
