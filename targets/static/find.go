package static

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"cardea.dev/cardea/filter"
)

// found is what a path stands for: an open file, or a directory with what becomes of it.
type found struct {
	name     string // below the directory, with slashes
	f        *os.File
	info     fs.FileInfo
	addSlash bool // it is a directory, and the path has no slash at its end
	list     bool // f is a directory to be listed
	fallback bool // it is the root's index, for what is not there
}

func (f *found) close() {
	if f.f != nil {
		_ = f.f.Close()
	}
}

// errHidden is why a file that may be there is not served.
var errHidden = fmt.Errorf("it is hidden: %w", fs.ErrNotExist)

// find finds what the path of a request stands for. On an error, found has only the name.
func (s *static) find(root *os.Root, urlPath string) (found, error) {
	name, slash, err := s.name(urlPath)
	if err != nil {
		return found{name: name}, err
	}
	got, err := s.look(root, name, slash)
	if err == nil || !s.spa || !errors.Is(err, fs.ErrNotExist) || strings.Contains(path.Base(name), ".") && name != "." {
		return got, err
	}
	index, indexErr := s.openIndex(root, ".")
	if indexErr != nil {
		return got, err
	}
	index.fallback = true
	return index, nil
}

// name makes the name of a file from the path of a request. It says whether the path ends in a slash.
func (s *static) name(urlPath string) (name string, slash bool, err error) {
	rest := urlPath
	if after, ok := strings.CutPrefix(urlPath, s.prefix); ok && (after == "" || after[0] == '/') {
		rest = after
	}
	slash = rest == "" || strings.HasSuffix(rest, "/")
	name = strings.TrimPrefix(path.Clean("/"+rest), "/")
	if name == "" {
		return ".", urlPath == "" || strings.HasSuffix(urlPath, "/"), nil
	}
	if strings.ContainsRune(name, 0) || !filepath.IsLocal(filepath.FromSlash(name)) || filepath.Separator != '/' && strings.ContainsRune(name, filepath.Separator) {
		return name, slash, fs.ErrInvalid
	}
	if !s.dotfiles && isHidden(name) {
		return name, slash, errHidden
	}
	return name, slash, nil
}

// isHidden says whether a part of a name begins with a dot.
func isHidden(name string) bool {
	for i, part := range strings.Split(name, "/") {
		if part[0] == '.' && !(i == 0 && part == ".well-known") {
			return true
		}
	}
	return false
}

// look finds what a name stands for.
func (s *static) look(root *os.Root, name string, slash bool) (found, error) {
	got, err := open(root, name)
	switch {
	case err != nil:
		return got, err
	case !got.info.IsDir():
		if slash {
			got.close()
			return found{name: name}, fs.ErrNotExist
		}
		return got, nil
	case !slash:
		got.close()
		return found{name: name, addSlash: true}, nil
	}
	index, err := s.openIndex(root, name)
	switch {
	case err == nil:
		got.close()
		return index, nil
	case s.listing && errors.Is(err, fs.ErrNotExist):
		got.list = true
		return got, nil
	}
	got.close()
	return found{name: name}, err
}

// openIndex opens the index of a directory.
func (s *static) openIndex(root *os.Root, dir string) (found, error) {
	for _, index := range s.index {
		got, err := open(root, path.Join(dir, index))
		if err == nil && got.info.IsDir() {
			got.close()
			continue
		}
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return got, err
		}
	}
	return found{name: dir}, fs.ErrNotExist
}

// open opens a regular file or a directory. Opening never waits, as it would for a named pipe.
func open(root *os.Root, name string) (found, error) {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return found{name: name}, err
	}
	info, err := f.Stat()
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is no regular file: %w", fs.ErrNotExist)
	}
	if err != nil {
		_ = f.Close()
		return found{name: name}, err
	}
	return found{name: name, f: f, info: info}, nil
}

// isLost says whether an error means that a name leads nowhere: out of the directory, through a file, round in circles, or is too long.
func isLost(err error) bool {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.ENXIO) {
		return true
	}
	var pathErr *fs.PathError
	return errors.As(err, &pathErr) && strings.Contains(pathErr.Err.Error(), "escapes")
}

// toSlash redirects to the same path with a slash at its end. The location is relative, whatever path the client sees.
func toSlash(ex *filter.Exchange) *http.Response {
	p := ex.Original.Path
	location := "./" + p[strings.LastIndexByte(p, '/')+1:] + "/"
	if ex.Original.Query != "" {
		location += "?" + ex.Original.Query
	}
	return &http.Response{
		StatusCode: http.StatusMovedPermanently, ProtoMajor: 1, ProtoMinor: 1, Request: ex.Request, Body: http.NoBody,
		Header: http.Header{"Location": {location}, "Content-Length": {"0"}},
	}
}
