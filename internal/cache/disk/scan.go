package disk

import (
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// scan finds what objects there are, by the names and lengths of their files, and removes what a crash has left. It reads no file.
func (s *Store) scan(v *volume, void bool) {
	for folder := range folders {
		if err := s.scanFolder(v, folder, void); err != nil {
			s.sick(v, "read", err)
			return
		}
		if s.stopped(v) {
			return
		}
	}
	s.mu.Lock()
	if s.vol.Load() == v {
		s.ix.order()
		s.scanned = true
	}
	s.mu.Unlock()
	s.reserve(v, 0) // the limit may be lower than it was
}

func (s *Store) stopped(v *volume) bool {
	select {
	case <-s.stop:
		return true
	default:
		return s.vol.Load() != v
	}
}

func (s *Store) scanFolder(v *volume, folder int, void bool) error {
	fd, err := open(v.folder[folder], ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), folderName(folder))
	defer dir.Close()
	heads := map[id]int64{}
	for !s.stopped(v) {
		names, err := dir.Readdirnames(1024)
		s.scanNames(v, folder, names, heads, void)
		if errors.Is(err, io.EOF) {
			s.scanHeads(v, heads)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanNames has files of a folder in the index. Those of other things are left alone.
func (s *Store) scanNames(v *volume, folder int, names []string, heads map[id]int64, void bool) {
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			if !strings.HasPrefix(name, tempPrefix+v.run) {
				_ = v.remove(folder, name)
			}
			continue
		}
		object, head := strings.CutSuffix(name, headSuffix)
		i, ok := parseID(object)
		if !ok || i.folder() != folder {
			continue
		}
		var st unix.Stat_t
		if unix.Fstatat(v.folder[folder], name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		switch {
		case void:
			_ = v.remove(folder, name)
		case head:
			heads[i] = v.cost(st.Size)
		default:
			s.mu.Lock()
			s.ix.scanned(i, v.cost(st.Size), uint32(max(st.Mtim.Sec, 1)), false)
			s.mu.Unlock()
		}
	}
}

// scanHeads notes which objects have heads in files of their own. Those of objects that are gone are removed.
func (s *Store) scanHeads(v *volume, heads map[id]int64) {
	for i, cost := range heads {
		s.mu.Lock()
		e := s.ix.get(i)
		if e != nil && e.flags&fromScan != 0 {
			at := e.until
			s.ix.set(i, e.cost+cost, at, true)
			s.ix.get(i).flags |= fromScan
		}
		s.mu.Unlock()
		if e == nil {
			_ = v.remove(i.folder(), i.headName())
		}
	}
}

func parseID(name string) (i id, ok bool) {
	if len(name) != 2*len(i) || strings.ToLower(name) != name {
		return i, false
	}
	_, err := hex.Decode(i[:], []byte(name))
	return i, err == nil
}
