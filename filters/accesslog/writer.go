package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/filter"
)

const (
	maxPending  = 8 << 20                // bytes that wait; what comes then is dropped
	eagerly     = 64 << 10               // bytes that are written at once
	gather      = 200 * time.Millisecond // how long fewer may wait
	closeWithin = 5 * time.Second        // how long Close waits for a stuck disk or pipe
)

// Writer appends lines to a file, in a goroutine of its own that Close ends. Lines that come while it writes wait in memory.
type Writer struct {
	name string
	sink sink
	log  *slog.Logger

	mu      sync.Mutex
	pending []byte
	spare   []byte // the buffer that is not pending, while nothing is written
	closed  bool

	some   chan struct{} // something is pending
	many   chan struct{} // so much that it is written at once
	reopen chan struct{}
	stop   chan struct{}
	done   chan struct{}

	torn    bool // what was written last does not end a line
	failing bool

	lines, full, failed, late prometheus.Counter
}

// sink is what a Writer writes to.
type sink interface {
	// ready returns what to write to now.
	ready() (*os.File, error)
	// reset lets go of it.
	reset()
}

// keptWriter returns the writer of a file, which all routes and snapshots share.
func keptWriter(env *filter.Env, name string) (*Writer, error) {
	var to sink
	switch name {
	case "stdout":
		to = stream{os.Stdout}
	case "stderr":
		to = stream{os.Stderr}
	default:
		if !filepath.IsAbs(name) {
			name = filepath.Join(env.Dir, name)
		}
		if err := checkFile(name); err != nil {
			return nil, err
		}
		to = &file{name: filepath.Clean(name)}
	}
	return filter.Keep(env, "log:"+name, func() (*Writer, error) { return newWriter(env, name, to), nil })
}

func newWriter(env *filter.Env, name string, to sink) *Writer {
	lines := env.Metrics.Counter("access_log_lines_total", "Lines handed to the writer of an access log.", "file")
	dropped := env.Metrics.Counter("access_log_dropped_total", "Lines of an access log that were lost.", "file", "reason")
	w := &Writer{
		name: name, sink: to, log: env.Log,
		some: make(chan struct{}, 1), many: make(chan struct{}, 1), reopen: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}),
		lines: lines.WithLabelValues(name), full: dropped.WithLabelValues(name, "full"),
		failed: dropped.WithLabelValues(name, "error"), late: dropped.WithLabelValues(name, "closed"),
	}
	go w.run()
	return w
}

// checkFile says why a file could not be written, without making it: a check by another user must leave nothing behind.
func checkFile(name string) error {
	dir, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("cannot log to %s: %w", name, err)
	}
	if !dir.IsDir() {
		return fmt.Errorf("cannot log to %s: %s is not a directory", name, filepath.Dir(name))
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot log to %s: %w", name, err)
	case info.IsDir():
		return fmt.Errorf("cannot log to %s: it is a directory", name)
	case !info.Mode().IsRegular():
		return nil // opening a named pipe would wait for its reader
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("cannot log to %s: %w", name, err)
	}
	return f.Close()
}

// write takes a copy of a line. It never waits for the file.
func (w *Writer) write(line []byte) {
	w.mu.Lock()
	before := len(w.pending)
	switch {
	case w.closed:
		w.mu.Unlock()
		w.late.Inc()
		return
	case before+len(line) > maxPending:
		w.mu.Unlock()
		w.full.Inc()
		return
	}
	w.pending = append(w.pending, line...)
	w.mu.Unlock()
	w.lines.Inc()
	if before == 0 {
		signal(w.some)
	}
	if before < eagerly && before+len(line) >= eagerly {
		signal(w.many)
	}
}

// signal wakes who waits on a channel, now or when it next does.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Reopen opens the file anew, as after a rotation that kept the name and the file. Streams are left as they are.
func (w *Writer) Reopen() { signal(w.reopen) }

// Close writes what is pending and ends the writer.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-w.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("cannot write the last lines of the access log %s within %v", w.name, closeWithin)
	}
}

// run writes what is pending, until Close.
func (w *Writer) run() {
	defer close(w.done)
	defer w.sink.reset()
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			w.flush()
			return
		case <-w.reopen:
			w.sink.reset()
			continue
		case <-w.some:
		}
		timer.Reset(gather)
		select {
		case <-w.many:
		case <-timer.C:
		case <-w.stop:
		}
		w.flush()
	}
}

// flush writes what is pending.
func (w *Writer) flush() {
	w.mu.Lock()
	buf := w.pending
	w.pending, w.spare = w.spare[:0], nil
	w.mu.Unlock()
	if len(buf) > 0 {
		w.put(buf)
	}
	if cap(buf) <= 1<<20 { // a burst's memory is given back
		w.mu.Lock()
		w.spare = buf[:0]
		w.mu.Unlock()
	}
}

// put writes lines, and counts those that it cannot write.
func (w *Writer) put(lines []byte) {
	f, err := w.sink.ready()
	n := 0
	if err == nil && w.torn {
		_, err = f.Write([]byte{'\n'})
	}
	if err == nil {
		w.torn = false
		n, err = f.Write(lines)
	}
	if err == nil {
		if w.failing {
			w.failing = false
			w.log.Info("the access log is written again", "file", w.name)
		}
		return
	}
	w.torn = w.torn || n > 0 && lines[n-1] != '\n'
	w.failed.Add(float64(bytes.Count(lines[n:], []byte{'\n'})))
	w.sink.reset()
	if !w.failing {
		w.failing = true
		w.log.Error("cannot write the access log; lines are lost", "file", w.name, "error", err)
	}
}

// stream is a sink that is always there.
type stream struct{ f *os.File }

func (s stream) ready() (*os.File, error) { return s.f, nil }
func (s stream) reset()                   {}

// file is a sink that follows its name.
type file struct {
	name string
	f    *os.File
	info fs.FileInfo // of f
}

// ready opens the file when it is not open, or when its name stands for another one by now.
func (s *file) ready() (*os.File, error) {
	if s.f != nil {
		now, err := os.Stat(s.name)
		if err == nil && os.SameFile(now, s.info) {
			return s.f, nil
		}
		s.reset()
	}
	f, err := os.OpenFile(s.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.f, s.info = f, info
	return f, nil
}

func (s *file) reset() {
	if s.f != nil {
		_ = s.f.Close()
		s.f = nil
	}
}
