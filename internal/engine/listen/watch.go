package listen

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watcher calls a function when something changes in the folders that it watches. It watches folders, not files: editors replace
// files, and Kubernetes swaps a symbolic link beside them.
type watcher struct {
	changed func()
	log     *slog.Logger
	notify  *fsnotify.Watcher // nil: the system offers none, and only the clock is left
	stop    chan struct{}
	stopped chan struct{}
	wake    chan struct{} // there are other folders

	mu      sync.Mutex
	folders []string
}

// settle is how long nothing may change before the files are read: a certificate and its key are written one after the other.
const settle = 200 * time.Millisecond

// look is how often files are read in any case: network file systems tell of no changes, and watches can run out.
const look = time.Minute

// watch starts a watcher. It runs until it is closed.
func watch(changed func(), log *slog.Logger) *watcher {
	w := &watcher{changed: changed, log: log, stop: make(chan struct{}), stopped: make(chan struct{}), wake: make(chan struct{}, 1)}
	var err error
	if w.notify, err = fsnotify.NewWatcher(); err != nil {
		log.Warn("cannot watch certificates; they are read every minute", "error", err)
		w.notify = nil
	}
	go w.run()
	return w
}

// follow makes the watched folders those given, soon. It does not wait: the watcher may be waiting for who calls.
func (w *watcher) follow(folders []string) {
	w.mu.Lock()
	w.folders = folders
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close ends the watcher and waits for that.
func (w *watcher) close() {
	close(w.stop)
	<-w.stopped
}

func (w *watcher) run() {
	defer close(w.stopped)
	var events chan fsnotify.Event
	var failures chan error
	if w.notify != nil {
		defer w.notify.Close()
		events, failures = w.notify.Events, w.notify.Errors
	}
	clock := time.NewTicker(look)
	defer clock.Stop()
	settled := time.NewTimer(settle)
	defer settled.Stop()
	settled.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.wake:
			w.set()
			settled.Reset(settle) // a file may have changed before its folder was watched
		case e := <-events:
			if e.Op != fsnotify.Chmod {
				settled.Reset(settle)
			}
		case err := <-failures: // the queue of events overflowed: anything may have changed
			w.log.Debug("watching certificates", "error", err)
			settled.Reset(settle)
		case <-settled.C:
			w.changed()
		case <-clock.C:
			w.changed()
		}
	}
}

// set adds and removes folders.
func (w *watcher) set() {
	if w.notify == nil {
		return
	}
	w.mu.Lock()
	folders := w.folders
	w.mu.Unlock()
	watched := w.notify.WatchList()
	for _, dir := range watched {
		if !slices.Contains(folders, dir) {
			_ = w.notify.Remove(dir)
		}
	}
	for _, dir := range folders {
		if slices.Contains(watched, dir) {
			continue
		}
		if err := w.notify.Add(dir); err != nil {
			w.log.Warn("cannot watch a folder; its certificates are read every minute", "folder", dir, "error", err)
		}
	}
}

// follow watches the folders of all certificates.
func (s *Set) follow() {
	var folders []string
	for _, l := range s.listeners {
		if secured := l.live.Load().secured; secured != nil {
			folders = append(folders, secured.certificates.folders()...)
		}
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	if s.watch == nil {
		if len(folders) == 0 {
			return
		}
		s.watch = watch(s.refresh, s.o.Log)
	}
	s.watch.follow(folders)
}

// refresh reads all certificates anew and uses those that changed. What cannot be used is reported, and what ran goes on.
func (s *Set) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	for _, l := range s.listeners {
		now := l.live.Load()
		if now.secured == nil {
			continue
		}
		changed, errs := now.secured.certificates.refresh()
		for _, err := range errs {
			now.counts.badLoads.Inc()
			s.o.Log.Error("cannot use a changed certificate: the one before goes on serving", "listener", now.edge.Name, "error", err)
		}
		if changed > 0 {
			now.counts.loads.Add(float64(changed))
			s.metrics.expires(now.edge.Name, now.secured.certificates.expiries())
			s.o.Log.Info("certificates changed", "listener", now.edge.Name, "certificates", changed)
		}
	}
}
