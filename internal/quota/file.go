package quota

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cardea.dev/cardea/internal/folder"
)

// file is the file of a ledger. The ledger's goroutine uses it alone.
type file struct {
	path    string
	lock    *os.File
	f       *os.File
	size    int64 // what is whole; what is behind it is void
	compact int64 // the size after it was written anew last
	torn    bool  // there may be something behind size
	failing bool
	buffer  []byte
	batch   []*account
	known   map[*Series]bool // the batch has told of them
}

// openFile opens the file, locks it, and reads what is in it.
func (l *Ledger) openFile() (err error) {
	f := &file{path: l.o.File, known: map[*Series]bool{}}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", f.path, err)
	}
	if real, err := filepath.EvalSymlinks(f.path); err == nil {
		f.path = real // what is written anew takes the place of the file, not of a link to it, and all of its names have one lock
	}
	if f.lock, err = folder.Lock(f.path + ".lock"); errors.Is(err, folder.ErrHeld) {
		err = errors.New("another gateway counts in it; give each one a `file` of its own, or have them share a `store`")
	}
	if err != nil {
		return fmt.Errorf("cannot use %s: %w", f.path, err)
	}
	defer func() {
		if err != nil {
			_ = f.close()
		}
	}()
	if f.f, err = os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return fmt.Errorf("cannot write %s: %w", f.path, errors.Unwrap(err))
	}
	_ = os.Remove(f.path + ".new") // of a gateway that ended while it wrote that
	l.file = f
	if err := l.load(f); err != nil {
		return fmt.Errorf("cannot read %s: %w", f.path, err)
	}
	return nil
}

// load reads the file. A new one gets its first line.
func (l *Ledger) load(f *file) error {
	content := &lines{r: bufio.NewReaderSize(f.f, maxLine)}
	first, err := content.first()
	switch {
	case err != nil:
		return err
	case len(first) < len(magic) && strings.HasPrefix(magic, first): // it is new, or its beginning was never written
		f.size, f.torn = 0, true
		return f.write([]byte(magic))
	case first != magic:
		return errOther
	}
	r := &reader{ledger: l, numbers: map[int]*Series{}}
	whole, err := r.read(content)
	if err != nil {
		return err
	}
	if r.damaged > 0 {
		l.o.Log.Error("the file of quotas is damaged: what its damaged lines said is not known", "file", f.path, "lines", r.damaged)
	}
	f.size, f.compact, f.torn = whole, 0, true
	return nil
}

// write adds to the file, and has it on the disk when it returns. When it cannot, nothing is added.
func (f *file) write(b []byte) error {
	if f.torn {
		if err := f.f.Truncate(f.size); err != nil {
			return err
		}
		f.torn = false
	}
	f.torn = true
	if _, err := f.f.WriteAt(b, f.size); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	f.size += int64(len(b))
	f.torn = false
	return nil
}

func (f *file) close() error {
	var errs []error
	for _, c := range []*os.File{f.f, f.lock} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

var errOther = errors.New("it is no file of quotas, or one of another version")

const (
	interval = time.Second // between two writings: what a crash may lose
	least    = 1 << 20     // a file of so many bytes is not written anew
	growth   = 4           // a file that is so many times as large as it was is
)

// run writes the file, and forgets what is over, until the ledger is closed.
func (l *Ledger) run() {
	defer close(l.done)
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-t.C:
			l.tick()
		}
	}
}

// tick is what is done each second.
func (l *Ledger) tick() {
	if l.sweeper.due(l.o.Now()) {
		l.sweep()
	}
	if l.file == nil {
		return
	}
	err := l.flush()
	if err == nil && l.file.size > max(least, growth*l.file.compact) {
		if err = l.rewrite(); err != nil {
			l.file.compact = l.file.size // not again each second
		}
	}
	l.report(err)
}

// report tells when the file cannot be written, and when it can be again.
func (l *Ledger) report(err error) {
	switch {
	case err != nil:
		l.o.Failed()
		if !l.file.failing {
			l.o.Log.Error("cannot write the file of quotas: usage is counted in memory alone until it can be", "file", l.file.path, "error", err)
		}
	case l.file.failing:
		l.o.Log.Info("the file of quotas can be written again", "file", l.file.path)
	}
	l.file.failing = err != nil
}

// flush writes what the file does not know.
func (l *Ledger) flush() error {
	f := l.file
	for {
		b := l.gather()
		if len(f.batch) == 0 {
			return nil
		}
		if err := f.write(b); err != nil {
			l.again()
			return err
		}
	}
}

// gatherMost is how much is written at once.
const gatherMost = 64 * chunk

// gather renders accounts that the file does not know, as many as one writing takes. They are in file.batch.
func (l *Ledger) gather() []byte {
	f := l.file
	f.batch, f.buffer = f.batch[:0], f.buffer[:0]
	clear(f.known)
	for len(f.batch) < gatherMost {
		if !l.gatherSome() {
			break
		}
	}
	return f.buffer
}

func (l *Ledger) gatherSome() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.file
	n := min(chunk, len(l.dirty))
	some := l.dirty[len(l.dirty)-n:]
	for _, a := range some {
		if !f.known[a.series] {
			f.known[a.series] = true
			f.buffer = appendSeries(f.buffer, a.series)
		}
		f.buffer = appendUsage(f.buffer, a, a.anew)
		a.dirty, a.anew = false, false
	}
	f.batch = append(f.batch, some...)
	clear(some)
	l.dirty = l.dirty[:len(l.dirty)-n]
	return n > 0
}

// again has the batch written once more: it did not get into the file.
func (l *Ledger) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.file.batch {
		a.anew = true // as it may be known no more which of its slots are new
		l.mark(a)
	}
}

// rewrite writes the file anew, with what counts alone, and puts it into the old one's place.
func (l *Ledger) rewrite() error {
	fresh, err := os.OpenFile(l.file.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	n, err := l.writeAll(fresh)
	if err == nil {
		err = fresh.Sync()
	}
	if err == nil {
		err = os.Rename(fresh.Name(), l.file.path)
	}
	if err != nil {
		_ = fresh.Close()
		_ = os.Remove(fresh.Name())
		return err
	}
	_ = l.file.f.Close() // it has no name any more
	l.file.f, l.file.size, l.file.compact, l.file.torn = fresh, n, n, false
	return folder.Sync(filepath.Dir(l.file.path))
}

// writeAll writes all that counts. What is counted meanwhile is written by the next flush.
func (l *Ledger) writeAll(to io.Writer) (n int64, err error) {
	w := bufio.NewWriterSize(to, maxLine)
	put := func(b []byte) {
		m, e := w.Write(b)
		n, err = n+int64(m), errors.Join(err, e)
	}
	put([]byte(magic))
	l.mu.Lock()
	series := append([]*Series(nil), l.series...)
	l.mu.Unlock()
	var b []byte
	for _, s := range series {
		put(appendSeries(b[:0], s))
		l.each(s, func(a *account) {
			b = appendUsage(b[:0], a, true)
			if err == nil {
				put(b)
			}
		})
	}
	return n, errors.Join(err, w.Flush())
}

// lines reads a file by lines.
type lines struct {
	r     *bufio.Reader
	whole int64 // the bytes of the whole lines so far
}

// first returns as much as the first line of a file of quotas has.
func (l *lines) first() (string, error) {
	b := make([]byte, len(magic))
	n, err := io.ReadFull(l.r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	l.whole = int64(n)
	return string(b[:n]), nil
}

// next returns the next whole line, or nil at the end. What has no newline at the end was not written whole. Of a line that is too long it returns
// the end, whose checksum is not right.
func (l *lines) next() ([]byte, error) {
	long := int64(0)
	for {
		line, err := l.r.ReadSlice('\n')
		switch {
		case err == nil:
			l.whole += long + int64(len(line))
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
			long += int64(len(line))
		case errors.Is(err, io.EOF):
			return nil, nil
		default:
			return nil, err
		}
	}
}

// Check says whether there is something else at a file's path than a file of quotas. It opens nothing for long and locks nothing.
func Check(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	defer f.Close()
	first, err := (&lines{r: bufio.NewReader(f)}).first()
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	if first != magic && !strings.HasPrefix(magic, first) {
		return fmt.Errorf("cannot read %s: %w", path, errOther)
	}
	return nil
}
