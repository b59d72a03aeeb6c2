package disk

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// folders is how many directories the objects are in.
const folders = 64

// id names an object's file: the beginning of its key's SHA-256.
type id [16]byte

func newID(key string) id {
	sum := sha256.Sum256([]byte(key))
	return id(sum[:])
}

func (i id) folder() int { return int(i[0]) % folders }

// name is the name of the object's file in its folder; headName that of its head's, where that is another.
func (i id) name() string     { return hex.EncodeToString(i[:]) }
func (i id) headName() string { return i.name() + headSuffix }

const (
	headSuffix = ".head"
	tempPrefix = "new-"
	lockName   = "lock"
	marksName  = "marks"
)

// volume is the directory, opened. All files are reached from its folders, which are opened once: who puts a link in the place of a folder or a file leads
// nobody elsewhere.
type volume struct {
	path    string
	root    int
	folder  [folders]int
	block   int64 // bytes in which the file system gives room
	refs    atomic.Int64
	created atomic.Uint64
	run     string // tells this opening's temporary files from others'
}

// openRoot makes the directory and opens it.
func openRoot(path string) (v *volume, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the directory %s: %w", path, errors.Unwrap(err))
	}
	v = &volume{path: path, run: strconv.FormatUint(rand.Uint64(), 36)}
	v.refs.Store(1)
	for i := range v.folder {
		v.folder[i] = -1
	}
	if v.root, err = open(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return nil, fmt.Errorf("cannot open the directory %s: %w", path, err)
	}
	return v, nil
}

// openFolders makes and opens what is in the directory.
func (v *volume) openFolders() (err error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(v.root, &fs); err != nil {
		return err
	}
	v.block = min(max(int64(fs.Bsize), 512), 1<<20) //nolint:unconvert // it is of another type elsewhere
	for i := range v.folder {
		name := folderName(i)
		if err := unix.Mkdirat(v.root, name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot make the directory %s: %w", filepath.Join(v.path, name), err)
		}
		if v.folder[i], err = open(v.root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
			return fmt.Errorf("cannot open the directory %s: %w", filepath.Join(v.path, name), err)
		}
	}
	return nil
}

func folderName(i int) string { return hex.EncodeToString([]byte{byte(i)}) }

// lockIn locks a directory for as long as the file is open, or this process lives. It returns held where that is the lock.
func (v *volume) lockIn(held *os.File) (*os.File, error) {
	fd, err := open(v.root, lockName, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot use the directory %s: it cannot be written in: %w", v.path, err)
	}
	if held != nil && sameFile(int(held.Fd()), fd) {
		return held, unix.Close(fd)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another gateway, or another cache of this one, keeps its responses in it; give each one a directory of its own")
		}
		return nil, fmt.Errorf("cannot use the directory %s: %w", v.path, err)
	}
	return os.NewFile(uintptr(fd), lockName), nil
}

func sameFile(a, b int) bool {
	var x, y unix.Stat_t
	return unix.Fstat(a, &x) == nil && unix.Fstat(b, &y) == nil && x.Dev == y.Dev && x.Ino == y.Ino
}

// use keeps the volume open until release. It says no when it is closed.
func (v *volume) use() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (v *volume) release() {
	if v.refs.Add(-1) > 0 {
		return
	}
	for _, fd := range append(v.folder[:], v.root) {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// cost is how much room a file takes: whole blocks, and its place in the folder.
func (v *volume) cost(size int64) int64 {
	return (size+v.block-1)/v.block*v.block + entryCost
}

// entryCost is about what a name takes in a directory.
const entryCost = 64

// openFile opens a file of a folder for reading. It must be a plain file.
func (v *volume) openFile(folder int, name string) (fd int, err error) {
	return open(v.folder[folder], name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// create makes a temporary file in a folder.
func (v *volume) create(folder int) (fd int, name string, err error) {
	name = tempPrefix + v.run + "-" + strconv.FormatUint(v.created.Add(1), 36)
	fd, err = open(v.folder[folder], name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	return fd, name, err
}

func (v *volume) rename(folder int, from, to string) error {
	return retry(func() error { return unix.Renameat(v.folder[folder], from, v.folder[folder], to) })
}

// remove removes a file, which need not be there.
func (v *volume) remove(folder int, name string) error {
	err := retry(func() error { return unix.Unlinkat(v.folder[folder], name, 0) })
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// writeFile writes a whole file at once, under a temporary name, and gives it its own.
func (v *volume) writeFile(folder int, name string, content []byte) error {
	fd, temp, err := v.create(folder)
	if err != nil {
		return err
	}
	err = errors.Join(writeAt(fd, content, 0), unix.Close(fd))
	if err == nil {
		err = v.rename(folder, temp, name)
	}
	if err != nil {
		_ = v.remove(folder, temp)
	}
	return err
}

func open(at int, path string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(at, path, flags|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

// retry calls a system call again when a signal has interrupted it.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// readAt reads as much as there is, up to len(b).
func readAt(fd int, b []byte, off int64) (n int, err error) {
	for n < len(b) {
		m, err := unix.Pread(fd, b[n:], off+int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return n, nil
}

func writeAt(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.EIO
		}
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// stat is what a file is. It must be a plain one.
func stat(fd int) (size int64, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, 0, errDamaged
	}
	return st.Size, st.Ino, nil
}

// is says whether a name is still that of a file.
func (v *volume) is(folder int, name string, ino uint64) bool {
	var st unix.Stat_t
	return unix.Fstatat(v.folder[folder], name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Ino == ino
}

// plain says whether a name is that of a plain file.
func (v *volume) plain(folder int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(v.folder[folder], name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// readRoot reads a whole file of the directory itself.
func (v *volume) readRoot(name string, most int64) ([]byte, error) {
	fd, err := open(v.root, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	size, _, err := stat(fd)
	if err != nil {
		return nil, err
	}
	if size > most {
		return nil, fmt.Errorf("it is too long: %d bytes", size)
	}
	b := make([]byte, size)
	n, err := readAt(fd, b, 0)
	return b[:n], err
}

// replaceRoot writes a file of the directory itself anew, which is on the disk when it returns. It returns the file, open for writing.
func (v *volume) replaceRoot(name string, content []byte) (fd int, err error) {
	temp := name + ".new"
	_ = unix.Unlinkat(v.root, temp, 0)
	fd, err = open(v.root, temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return -1, err
	}
	if err = writeAt(fd, content, 0); err == nil {
		err = retry(func() error { return unix.Fsync(fd) })
	}
	if err == nil {
		err = unix.Renameat(v.root, temp, v.root, name)
	}
	if err == nil {
		err = retry(func() error { return unix.Fsync(v.root) })
	}
	if err != nil {
		_ = unix.Close(fd)
		_ = unix.Unlinkat(v.root, temp, 0)
		return -1, err
	}
	return fd, nil
}
