// Package journal keeps records in a folder, by keys, so that they are there after the process was killed, or the machine has lost its power. It is for what is
// few and must not be lost: heads of records are in memory, their parts, which may be long, on the disk alone.
//
// It knows nothing of what it keeps, and encrypts nothing. One process has a folder at a time. Policies and targets may import it.
//
// # Files
//
//	lock                     held (flock) while the folder is in use
//	0000000000000001.journal batches, the first of which has this number; the file with the highest number is written to
//
// A file begins with a line that says what it is. A batch is what was written at once, and was on the disk before the next one was begun: a head, with its
// length, its number, and sums of both, and then changes of records. So a batch that is not whole is the last one, and whoever wrote it was told nothing: it is
// cut off. A batch that is not whole with others behind it was damaged later, and nothing is made of it. Files whose records are all over, or written anew in a
// later file, are removed, the oldest first; no file is ever changed but at its end.
package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/internal/folder"
)

// Options say where a journal is.
type Options struct {
	// Dir is the folder. It is made if it is not there.
	Dir string

	// Log is told when the disk fails, and when it does not any more.
	Log *slog.Logger

	// Now is the clock. By default the system's.
	Now func() time.Time

	// File is how long a file becomes before another is begun. By default 16 MiB.
	File int64
}

// Journal keeps records with heads of a type, which encoding/json can write and read. One goroutine does all.
type Journal[H any] struct {
	o       Options
	lock    *os.File
	asked   chan *question[H]
	stop    chan struct{}
	once    sync.Once
	done    chan struct{}
	failing atomic.Bool

	// Of the goroutine alone.
	records map[string]*Record[H]
	files   []*file // the newest is the last
	untidy  bool    // the oldest could not be removed
	torn    bool    // there may be something behind the end of the newest
	number  uint64  // of the next batch
	live    int64   // bytes that records refer to
	ends    ends
}

// question is what the goroutine is to do.
type question[H any] struct {
	ctx  context.Context
	do   func(tx *Tx[H])
	done chan error
}

// Errors of journals.
var (
	ErrClosed = errors.New("the journal is closed")
	ErrHeld   = errors.New("another gateway uses it; give each one a directory of its own")
)

// Open opens a journal, and reads it. Close must be called.
func Open[H any](o Options) (*Journal[H], error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.File == 0 {
		o.File = usualFile
	}
	j := &Journal[H]{
		o: o, asked: make(chan *question[H], waiting), stop: make(chan struct{}), done: make(chan struct{}), records: map[string]*Record[H]{}, ends: ends{},
	}
	if err := j.open(); err != nil {
		_ = j.shut()
		return nil, fmt.Errorf("cannot use the directory %s: %w", o.Dir, err)
	}
	go j.run() // until Close
	return j, nil
}

// open locks the folder, and reads what is in it.
func (j *Journal[H]) open() (err error) {
	if err := os.MkdirAll(j.o.Dir, 0o700); err != nil {
		return fmt.Errorf("it cannot be made: %w", err)
	}
	j.lock, err = folder.Lock(filepath.Join(j.o.Dir, "lock"))
	switch {
	case errors.Is(err, folder.ErrHeld):
		return ErrHeld
	case err != nil:
		return err
	}
	if err := j.load(); err != nil {
		return err
	}
	_ = folder.Sync(filepath.Dir(j.o.Dir)) // the folder may be new; who may not read the one above has made it otherwise
	return folder.Sync(j.o.Dir)            // whoever made the last file may have ended before
}

// Bounds of what is written at once.
const (
	waiting  = 1024    // questions
	together = 256     // questions
	longest  = 4 << 20 // bytes, before one that is longer
)

// Do has f called, alone, and returns what it has once all that it has changed is on the disk. An error says that nobody knows whether it is, or whether f was
// called; f is called as if nothing had been changed by one whose change could not be written.
func Do[H, R any](ctx context.Context, j *Journal[H], f func(tx *Tx[H]) R) (R, error) {
	var got, none R
	q := &question[H]{ctx: ctx, done: make(chan error, 1), do: func(tx *Tx[H]) { got = f(tx) }}
	select {
	case j.asked <- q:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-j.done:
		return none, ErrClosed
	}
	select {
	case err := <-q.done:
		if err != nil {
			return none, err
		}
		return got, nil
	case <-ctx.Done():
		return none, ctx.Err()
	case <-j.done:
		return none, ErrClosed
	}
}

// Failing says whether the last writing has failed.
func (j *Journal[H]) Failing() bool { return j.failing.Load() }

// Close ends the goroutine, and gives the folder back.
func (j *Journal[H]) Close() error {
	j.once.Do(func() { close(j.stop) })
	<-j.done
	return j.shut()
}

func (j *Journal[H]) shut() error {
	var errs []error
	for _, f := range j.files {
		errs = append(errs, f.Close())
	}
	j.files = nil
	if j.lock != nil {
		errs = append(errs, j.lock.Close())
		j.lock = nil
	}
	return errors.Join(errs...)
}

// run answers questions, those that have come meanwhile with one writing.
func (j *Journal[H]) run() {
	defer close(j.done)
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-j.stop:
			return
		case q := <-j.asked:
			j.answer(q)
		case <-t.C:
			j.sweep()
		}
		j.tidy()
	}
}

// answer answers a question, and others that wait.
func (j *Journal[H]) answer(q *question[H]) {
	tx := newTx(j)
	var all []*question[H]
	for q != nil {
		if err := q.ctx.Err(); err != nil {
			q.done <- err
		} else {
			q.do(tx)
			all = append(all, q)
		}
		if len(all) >= together || len(tx.buffer) >= longest {
			break
		}
		select {
		case q = <-j.asked:
		default:
			q = nil
		}
	}
	err := tx.commit()
	for _, q := range all {
		q.done <- err
	}
}

// report tells when the disk fails, and when it does not any more.
func (j *Journal[H]) report(err error) {
	was := j.failing.Swap(err != nil)
	switch {
	case err != nil && !was:
		j.o.Log.Error("cannot write the journal", "directory", j.o.Dir, "error", err)
	case err == nil && was:
		j.o.Log.Info("the journal can be written again", "directory", j.o.Dir)
	}
}
