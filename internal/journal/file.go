package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"cardea.dev/cardea/internal/folder"
)

// file is one of the files of a journal.
type file struct {
	*os.File
	size int64 // of what is whole
	live int64 // bytes that records refer to
}

const (
	suffix    = ".journal"
	magic     = "cardea journal 1\n"
	mark      = "\xffbat" // before each batch
	headSize  = len(mark) + 4 + 8 + 8 + 8
	usualFile = 16 << 20
)

// Kinds of changes.
const (
	put    byte = 'p'
	add    byte = 'a'
	remove byte = 'r'
)

// appendHead appends the head of a batch.
func appendHead(b []byte, number uint64, payload []byte) []byte {
	from := len(b)
	b = append(b, mark...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = binary.LittleEndian.AppendUint64(b, number)
	b = binary.LittleEndian.AppendUint64(b, xxhash.Sum64(payload))
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b[from:]))
}

// readHead reads the head of a batch.
func readHead(b []byte) (size int64, number, sum uint64, ok bool) {
	if len(b) < headSize || !bytes.HasPrefix(b, []byte(mark)) || xxhash.Sum64(b[:headSize-8]) != binary.LittleEndian.Uint64(b[headSize-8:]) {
		return 0, 0, 0, false
	}
	b = b[len(mark):]
	return int64(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint64(b[4:]), binary.LittleEndian.Uint64(b[12:]), true
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// write adds a batch to the newest file, or to one that is made for it, and has it on the disk when it returns. It says where its payload is. When it cannot,
// nothing is added.
func (j *Journal[H]) write(payload []byte) (in *file, at int64, err error) {
	if int64(len(payload)) > 1<<32-1 {
		return nil, 0, errors.New("there is too much to write at once")
	}
	f, fresh := j.newest(), false
	if f == nil || f.size >= j.o.File {
		fresh = true
		if f, err = j.create(); err != nil {
			return nil, 0, err
		}
	}
	n, err := f.add(payload, j.number, j.torn && !fresh)
	if err == nil && fresh {
		err = folder.Sync(j.o.Dir)
	}
	switch {
	case err != nil && fresh:
		_ = f.Close()
		_ = os.Remove(f.Name())
		return nil, 0, err
	case err != nil:
		j.torn = true
		return nil, 0, err
	case fresh:
		j.files = append(j.files, f)
	}
	j.torn = false
	j.number++
	f.size += n
	return f, f.size - int64(len(payload)), nil
}

// add writes a batch behind what is whole, and has it on the disk. It returns its length.
func (f *file) add(payload []byte, number uint64, torn bool) (n int64, err error) {
	if torn {
		if err := f.Truncate(f.size); err != nil {
			return 0, err
		}
	}
	b := make([]byte, 0, len(magic)+headSize+len(payload))
	if f.size == 0 {
		b = append(b, magic...)
	}
	b = append(appendHead(b, number, payload), payload...)
	if _, err := f.WriteAt(b, f.size); err != nil {
		return 0, err
	}
	return int64(len(b)), f.Sync()
}

func (j *Journal[H]) newest() *file {
	if len(j.files) == 0 {
		return nil
	}
	return j.files[len(j.files)-1]
}

// create makes a file for the next batch. Another of that name has nothing in it that anybody was told of.
func (j *Journal[H]) create() (*file, error) {
	f, err := os.OpenFile(filepath.Join(j.o.Dir, fmt.Sprintf("%016x%s", j.number, suffix)), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &file{File: f}, nil
}

// load reads all files.
func (j *Journal[H]) load() error {
	names, err := filepath.Glob(filepath.Join(escaped(j.o.Dir), "*"+suffix))
	if err != nil {
		return err
	}
	slices.Sort(names)
	for i, name := range names {
		opened, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		f := &file{File: opened}
		j.files = append(j.files, f)
		if err := j.read(f, i == len(names)-1); err != nil {
			return fmt.Errorf("%s %w", filepath.Base(name), err)
		}
	}
	j.number = max(j.number, 1)
	now := j.o.Now().UnixMilli()
	for key, r := range j.records {
		if r.over(now) {
			delete(j.records, key)
			continue
		}
		j.count(r, 1)
		j.ends.note(key, r.until)
	}
	return nil
}

// escaped is a path as a pattern.
func escaped(path string) string {
	var b []byte
	for i := range len(path) {
		if bytes.IndexByte([]byte(`*?[\`), path[i]) >= 0 {
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// damage says where a file is damaged.
func damage(at int64) error {
	return fmt.Errorf("is damaged at byte %d, and what it says there and behind it cannot be known; move the directory away to begin with an empty one: "+
		"what was under way is not known then", at)
}

// read reads a file. Only the last one may have an end that is not whole.
func (j *Journal[H]) read(f *file, last bool) error {
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	begun := bytes.TrimRight(b[:min(len(b), len(magic))], "\x00")
	switch {
	case len(begun) < len(magic) && strings.HasPrefix(magic, string(begun)):
		if !last || another(b) {
			return damage(0)
		}
		j.torn = true
		return nil
	case !bytes.HasPrefix(b, []byte(magic)):
		return errors.New("is no journal, or one of another version; name another directory")
	}
	f.size = int64(len(magic))
	for f.size < int64(len(b)) {
		rest := b[f.size:]
		size, number, sum, ok := readHead(rest)
		ok = ok && size <= int64(len(rest)-headSize) && xxhash.Sum64(rest[headSize:int64(headSize)+size]) == sum
		if !ok && last && !another(rest[1:]) {
			j.o.Log.Warn("the end of the journal was not written whole, and is left away", "file", f.Name(), "bytes", len(rest))
			j.torn = true
			return nil
		}
		if !ok || j.number != 0 && number != j.number || j.apply(f, rest[headSize:int64(headSize)+size], f.size+int64(headSize)) != nil {
			return damage(f.size)
		}
		j.number = number + 1
		f.size += int64(headSize) + size
	}
	return nil
}

// another says whether a batch begins somewhere.
func another(b []byte) bool {
	for {
		i := bytes.Index(b, []byte(mark))
		if i < 0 {
			return false
		}
		if _, _, _, ok := readHead(b[i:]); ok {
			return true
		}
		b = b[i+1:]
	}
}

// apply makes the changes of a batch, whose payload is somewhere in a file.
func (j *Journal[H]) apply(in *file, payload []byte, at int64) error {
	c := &changes{b: payload, in: in, from: at}
	for c.at < len(payload) && c.err == nil {
		kind, key := c.byte(), string(c.bytes())
		switch kind {
		case remove:
			delete(j.records, key)
			continue
		case put, add:
		default:
			return fmt.Errorf("there is no change %q", kind)
		}
		r := &Record[H]{until: c.varint()}
		r.head = c.span()
		if err := json.Unmarshal(c.text(r.head), &r.Head); err != nil {
			return err
		}
		for range c.uvarint() {
			if c.err != nil {
				break
			}
			name := string(c.bytes())
			r.parts = append(r.parts, part{name, c.span()})
		}
		if old := j.records[key]; kind == add && old != nil {
			for _, p := range old.parts {
				if !r.Has(p.name) {
					r.parts = append(r.parts, p)
				}
			}
		}
		j.records[key] = r
	}
	return c.err
}

// changes reads changes.
type changes struct {
	b    []byte
	at   int
	in   *file
	from int64 // where b is in it
	err  error
}

var errShort = errors.New("it ends in the middle")

func (c *changes) byte() byte {
	if c.at >= len(c.b) {
		c.err = errShort
		return 0
	}
	c.at++
	return c.b[c.at-1]
}

func (c *changes) uvarint() uint64 {
	v, n := binary.Uvarint(c.b[c.at:])
	if n <= 0 {
		c.err, c.at = errShort, len(c.b)
		return 0
	}
	c.at += n
	return v
}

func (c *changes) varint() int64 {
	v, n := binary.Varint(c.b[c.at:])
	if n <= 0 {
		c.err, c.at = errShort, len(c.b)
		return 0
	}
	c.at += n
	return v
}

// span reads a text, and says where it is.
func (c *changes) span() *span {
	n := c.uvarint()
	if n > uint64(len(c.b)-c.at) {
		c.err, n = errShort, 0
	}
	s := &span{in: c.in, at: c.from + int64(c.at), size: int(n)}
	c.at += int(n)
	return s
}

func (c *changes) text(s *span) []byte { return c.b[s.at-c.from:][:s.size] }

func (c *changes) bytes() []byte { return c.text(c.span()) }
