package disk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"

	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/stored"
)

// marks are the purges that objects in the directory may be older than, in memory and in a file there. They have the epoch, too, which all
// objects bear: when the file is lost, there is another epoch, and no object of the old one is used any more.
type marks struct {
	now     atomic.Uint64 // the epoch
	floor   atomic.Uint64 // marks up to it are dropped: what was asked for before may not come any more
	mu      sync.Mutex
	list    []mark
	last    uint64 // the latest number
	fd      int    // -1: there is no file that can be added to
	size    int64
	written atomic.Uint64 // how many writings there were
	syncing sync.Mutex
	synced  uint64 // how many of these are on the disk; guarded by syncing
}

type mark struct {
	seq   uint64
	purge filter.Purge
}

const (
	marksMagic = "cardea cache marks 1"
	marksEnd   = "end\n" // is always last, so that a file that was cut off is known
	mostMarks  = 1 << 16
	marksLimit = 4 << 20 // a file that is longer is written anew, with fewer marks
	// gap is how many numbers are left out at a start: objects may bear numbers of marks whose saving was not waited for.
	gap = 1 << 20
)

func (m *marks) epoch() uint64 { return m.now.Load() }

func (m *marks) dropped(seq uint64) bool { return seq < m.floor.Load() }

// line writes a line: its sum, and its text.
func line(b []byte, text string) []byte {
	return fmt.Appendf(b, "%016x %s\n", xxhash.Sum64String(text), text)
}

// text returns a line's text when it is whole.
func text(line []byte) (string, bool) {
	sum, text, ok := strings.Cut(string(line), " ")
	return text, ok && fmt.Sprintf("%016x", xxhash.Sum64String(text)) == sum
}

func (k mark) append(b []byte) []byte {
	purge, _ := json.Marshal(k.purge)
	return line(b, fmt.Sprintf("%d %s", k.seq, purge))
}

var errMarks = errors.New("it is damaged")

// parse reads a file of marks.
func (m *marks) parse(b []byte) error {
	b, ended := bytes.CutSuffix(b, []byte(marksEnd))
	first, rest, whole := bytes.Cut(b, []byte("\n"))
	head, ok := text(first)
	if !ended || !whole || !ok || !strings.HasPrefix(head, marksMagic+" ") {
		return errMarks
	}
	var epoch, floor uint64
	if _, err := fmt.Sscanf(head[len(marksMagic):], " %x %d %d", &epoch, &floor, &m.last); err != nil {
		return errMarks
	}
	for len(rest) > 0 {
		var one []byte
		if one, rest, whole = bytes.Cut(rest, []byte("\n")); !whole {
			return errMarks
		}
		k, err := parseMark(one)
		if err != nil {
			return err
		}
		m.list = append(m.list, k)
		m.last = max(m.last, k.seq)
	}
	m.now.Store(epoch)
	m.floor.Store(floor)
	return nil
}

func parseMark(b []byte) (k mark, err error) {
	t, ok := text(b)
	seq, purge, found := strings.Cut(t, " ")
	if !ok || !found {
		return k, errMarks
	}
	if _, err := fmt.Sscanf(seq, "%d", &k.seq); err != nil {
		return k, errMarks
	}
	return k, json.Unmarshal([]byte(purge), &k.purge)
}

// read reads the file of a directory. When there is none, or it cannot be read, there is another epoch; found says whether there was one.
func (m *marks) read(v *volume, now time.Time) (found bool, err error) {
	m.fd = -1
	b, err := v.readRoot(marksName, 4*marksLimit)
	found = !errors.Is(err, unix.ENOENT)
	if err == nil {
		err = m.parse(b)
	}
	if err == nil {
		m.last += gap
		return true, nil
	}
	m.list = nil
	m.floor.Store(0)
	m.renew()
	m.last = 0
	if found {
		m.last = max(latest(b)+gap, uint64(now.UnixMicro())) // beyond what there can have been
	}
	return found, err
}

// latest is the highest number that is in a damaged file.
func latest(b []byte) (seq uint64) {
	for one := range bytes.SplitSeq(b, []byte("\n")) {
		if k, err := parseMark(one); err == nil {
			seq = max(seq, k.seq)
		}
	}
	return seq
}

// renew has another epoch: nothing that is there is used any more.
func (m *marks) renew() { m.now.Store(rand.Uint64() | 1) }

// rewrite writes the file anew.
func (m *marks) rewrite(v *volume) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rewriteLocked(v)
}

func (m *marks) rewriteLocked(v *volume) error {
	b := line(nil, fmt.Sprintf("%s %x %d %d", marksMagic, m.epoch(), m.floor.Load(), m.last))
	for _, k := range m.list {
		b = k.append(b)
	}
	fd, err := v.replaceRoot(marksName, append(b, marksEnd...))
	if err != nil {
		return fmt.Errorf("cannot write the file of purges: %w", err)
	}
	m.syncing.Lock()
	defer m.syncing.Unlock()
	if m.fd >= 0 {
		_ = unix.Close(m.fd)
	}
	m.fd, m.size = fd, int64(len(b))
	m.synced = m.written.Add(1)
	return nil
}

// add adds a mark. When it cannot be written, it removes the file, so that nothing is used after a restart, unless it is written meanwhile.
func (m *marks) add(v *volume, k mark) (written uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, k)
	m.last = max(m.last, k.seq)
	if len(m.list) > mostMarks {
		m.compact()
	}
	if m.fd < 0 || v == nil {
		return 0, errors.New("cannot save the purge: the directory is lost")
	}
	b := k.append(nil)
	if m.size+int64(len(b)) > marksLimit {
		m.compact()
		err = m.rewriteLocked(v)
	} else if err = writeAt(m.fd, append(b, marksEnd...), m.size); err == nil {
		m.size += int64(len(b))
		m.written.Add(1)
	}
	if err == nil {
		return m.written.Load(), nil
	}
	m.forgo(v)
	return 0, fmt.Errorf("cannot save the purge: %w", err)
}

// forgo gives up the file: without it, everything counts as purged.
func (m *marks) forgo(v *volume) {
	_ = unix.Unlinkat(v.root, marksName, 0)
	m.syncing.Lock()
	defer m.syncing.Unlock()
	_ = unix.Close(m.fd)
	m.fd = -1
}

// wait returns when a writing is on the disk. Those who come together wait together.
func (m *marks) wait(written uint64) error {
	m.syncing.Lock()
	defer m.syncing.Unlock()
	if m.synced >= written {
		return nil
	}
	now := m.written.Load()
	if m.fd < 0 {
		return errors.New("cannot save the purge: the directory is lost")
	}
	if err := unix.Fsync(m.fd); err != nil {
		return fmt.Errorf("cannot save the purge: %w", err)
	}
	m.synced = now
	return nil
}

// drop forgets the marks up to a number; the soft ones, up to another, which is not above it.
func (m *marks) drop(v *volume, upTo, soft uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = slices.DeleteFunc(m.list, func(k mark) bool { return k.seq <= soft || !k.purge.Soft && k.seq <= upTo })
	m.floor.Store(max(m.floor.Load(), upTo))
	m.last = max(m.last, upTo)
	if v == nil || m.fd < 0 {
		return nil // it is written when the directory is there again
	}
	return m.rewriteLocked(v)
}

// compact makes the marks fewer: of several for the same, the latest counts. Where too many are left, the older half becomes one for all.
func (m *marks) compact() {
	latest := map[filter.Purge]uint64{}
	for _, k := range m.list {
		latest[k.purge] = max(latest[k.purge], k.seq)
	}
	all := latest[filter.Purge{All: true}]
	m.list = m.list[:0]
	size := 0
	for p, seq := range latest {
		if seq > all || p == (filter.Purge{All: true}) {
			m.list = append(m.list, mark{seq, p})
			size += len(mark{seq, p}.append(nil))
		}
	}
	slices.SortFunc(m.list, func(a, b mark) int { return cmp.Compare(a.seq, b.seq) })
	if size < marksLimit/2 && len(m.list) < mostMarks/2 {
		return
	}
	half := len(m.list) / 2
	m.list = append([]mark{{m.list[half].seq, filter.Purge{All: true}}}, m.list[half+1:]...)
}

// sync has all on the disk.
func (m *marks) sync() error {
	m.mu.Lock()
	open := m.fd >= 0
	m.mu.Unlock()
	if !open {
		return nil
	}
	return m.wait(m.written.Load())
}

func (m *marks) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncing.Lock()
	defer m.syncing.Unlock()
	if m.fd >= 0 {
		_ = unix.Close(m.fd)
	}
	m.fd = -1
}

// readMarks reads the marks at the start.
func (s *Store) readMarks(v *volume) {
	found, err := s.marks.read(v, s.now())
	s.void = err != nil
	if found && err != nil {
		s.log.Error("cannot read the file of purges: all stored responses count as purged", "dir", s.path, "error", err)
	}
}

// SaveMark saves a purge, so that it holds after a restart, too. It is on the disk when it returns. After an error it may not be known after a restart.
func (s *Store) SaveMark(seq uint64, p filter.Purge) error { return s.saveMark(seq, p, true) }

// NoteMark is SaveMark that does not wait for the disk: a purge survives the end of the process at once, and that of the machine some seconds later.
func (s *Store) NoteMark(seq uint64, p filter.Purge) error { return s.saveMark(seq, p, false) }

func (s *Store) saveMark(seq uint64, p filter.Purge, wait bool) error {
	v := s.use()
	if v != nil {
		defer v.release()
	}
	written, err := s.marks.add(v, mark{seq, p})
	if err == nil && wait {
		if err = s.marks.wait(written); err != nil {
			s.marks.mu.Lock()
			s.marks.forgo(v)
			s.marks.mu.Unlock()
		}
	}
	if err != nil && v != nil {
		s.sick(v, "save a purge", err)
	}
	return err
}

// LoadMarks calls apply with all purges that are saved, and returns the number that the next one must be above.
func (s *Store) LoadMarks(apply func(seq uint64, p filter.Purge)) (seq uint64) {
	s.marks.mu.Lock()
	list, seq := slices.Clone(s.marks.list), s.marks.last
	s.marks.mu.Unlock()
	for _, k := range list {
		apply(k.seq, k.purge)
	}
	return seq
}

// DropMarks forgets the purges up to a number. It is for when no object is left that they are for, as Sweep has it. What was asked for before such a
// purge, and comes later, is not stored any more.
func (s *Store) DropMarks(upTo uint64) error { return s.dropMarks(upTo, upTo) }

func (s *Store) dropMarks(upTo, soft uint64) error {
	v := s.use()
	if v != nil {
		defer v.release()
	}
	err := s.marks.drop(v, upTo, soft)
	if err != nil && v != nil {
		s.sick(v, "save a purge", err)
	}
	return err
}

// Sweep removes all objects that are purged, and then forgets the purges up to a number, which must have been the latest before Sweep was called. Soft ones
// are forgotten when all objects are younger. It goes slowly, and returns an error when it has not gone through all.
func (s *Store) Sweep(ctx context.Context, upTo uint64, purged func(*stored.Response) bool) error {
	s.mu.Lock()
	scanned := s.scanned
	s.mu.Unlock()
	if !scanned {
		return errors.New("cannot remove what is purged: it is not known yet what there is")
	}
	// From here on nothing is stored that these purges are for.
	s.marks.raise(upTo)
	count, soft := 0, upTo
	all := s.each(func(v *volume, i id) bool {
		soft = min(soft, s.sweepOne(v, i, purged))
		if count++; count%100 == 0 {
			select {
			case <-time.After(10 * time.Millisecond):
			case <-s.stop:
			case <-ctx.Done():
			}
		}
		return ctx.Err() == nil
	})
	if !all {
		return errors.Join(errors.New("cannot remove what is purged: it was not gone through"), ctx.Err())
	}
	return s.dropMarks(upTo, soft)
}

func (m *marks) raise(floor uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.floor.Store(max(m.floor.Load(), floor))
}

// sweepOne removes an object if it is purged. Otherwise it returns how many purges are older.
func (s *Store) sweepOne(v *volume, i id, purged func(*stored.Response) bool) (seq uint64) {
	known, head := s.peek(i)
	if !known {
		return math.MaxUint64
	}
	o, err := s.open(v, i, head)
	if err != nil {
		return math.MaxUint64
	}
	o.close()
	if !purged(o.r) {
		return o.r.Seq
	}
	s.discard(v, i, o.ino)
	return math.MaxUint64
}

// each calls f with all objects of the index. It says whether it went through all of them, in one directory.
func (s *Store) each(f func(v *volume, i id) bool) bool {
	v := s.use()
	if v == nil {
		return false
	}
	defer v.release()
	var some []id
	for from := uint32(1); from != 0; {
		s.mu.Lock()
		if s.vol.Load() != v || s.closing {
			s.mu.Unlock()
			return false
		}
		some, from = s.ix.some(some[:0], from, 256)
		s.mu.Unlock()
		for _, i := range some {
			if !f(v, i) {
				return false
			}
		}
	}
	return true
}
