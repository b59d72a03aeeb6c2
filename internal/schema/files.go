package schema

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxFile is how large a document may be.
const maxFile = 64 << 20

// Files are the documents of a folder, each read once. Nothing outside of the folder is read, and nothing from the network.
type Files struct {
	dir string

	mu   sync.Mutex
	read map[string]*file // by path below dir, with slashes

	naming sync.Mutex
	named  map[string]*identifiers // by file; nil: $id and anchors are the compiler's to follow
	known  map[string]Location     // by URI
}

// file is one of them.
type file struct {
	doc   any
	added bool              // it is in no file
	sum   [sha256.Size]byte // 0: it could not be read
	err   error
}

// NewFiles returns the documents below a folder.
func NewFiles(dir string) (*Files, error) {
	dir, err := filepath.Abs(dir)
	return &Files{dir: dir, read: map[string]*file{}}, err
}

// Open returns the files for a document, and the document's name among them. Relative names start at dir, whose folder the files are; those of a
// document elsewhere are the files of its own folder.
func Open(dir, name string) (*Files, string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", fmt.Errorf("cannot find the folder of the configuration: %w", err)
	}
	full := name
	if !filepath.IsAbs(name) {
		full = filepath.Join(abs, name)
	}
	below, err := filepath.Rel(abs, full)
	if err != nil || !filepath.IsLocal(below) {
		abs, below = filepath.Split(full)
	}
	files, err := NewFiles(abs)
	return files, filepath.ToSlash(below), err
}

// Add adds a document that is in no file.
func (f *Files) Add(name string, doc any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read[name] = &file{doc: doc, added: true}
}

// Load returns a document. It must not be changed.
func (f *Files) Load(name string) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.read[name]; known != nil {
		return known.doc, known.err
	}
	own := &file{}
	text, err := f.text(name)
	if err == nil {
		own.sum = sha256.Sum256(text)
		own.doc, err = parse(name, text)
	}
	own.err = err
	f.read[name] = own
	return own.doc, own.err
}

// Sum is a digest of what a document's file holds now.
func (f *Files) Sum(name string) ([sha256.Size]byte, error) {
	text, err := f.text(name)
	return sha256.Sum256(text), err
}

// Current says whether all that was read is still what the files hold.
func (f *Files) Current() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, own := range f.read {
		if own.added {
			continue
		}
		now, err := f.Sum(name)
		if unread := own.sum == ([sha256.Size]byte{}); unread != (err != nil) || !unread && now != own.sum {
			return false
		}
	}
	return true
}

// Names are the files that were asked for, with those that could not be read, by their absolute names.
func (f *Files) Names() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, own := range f.read {
		if !own.added {
			all = append(all, filepath.Join(f.dir, filepath.FromSlash(name)))
		}
	}
	return all
}

// text reads a file. Links that lead out of the folder are not followed.
func (f *Files) text(name string) ([]byte, error) {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer root.Close()
	kind, err := root.Stat(filepath.FromSlash(name))
	if err == nil && !kind.Mode().IsRegular() { // to open a pipe would wait for who writes
		return nil, fmt.Errorf("cannot read %s: it is no regular file", name)
	}
	in, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	case len(text) > maxFile:
		return nil, fmt.Errorf("cannot read %s: it has more than %d MiB", name, maxFile>>20)
	}
	return text, nil
}

// parse reads JSON or YAML.
func parse(name string, text []byte) (any, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	start := bytes.TrimLeft(text, " \t\r\n")
	var doc any
	var err error
	if strings.HasSuffix(name, ".json") || len(start) > 0 && start[0] == '{' && !isYAML(name) {
		doc, err = Decode(text, Bounds{})
	} else {
		doc, err = decodeYAML(text)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return doc, nil
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// base is what the URLs of the documents begin with, for the compiler.
const base = "file:///"

// URL is the URL of a place in a document.
func (l Location) URL() string {
	return (&url.URL{Scheme: "file", Path: "/" + l.File, Fragment: l.Pointer}).String()
}

// Location is a place in a document: the name of its file, and a JSON pointer.
type Location struct{ File, Pointer string }

// String is the place as people write it.
func (l Location) String() string {
	if l.Pointer == "" {
		return l.File
	}
	return l.File + "#" + l.Pointer
}

// At returns a place below.
func (l Location) At(tokens ...string) Location {
	for _, t := range tokens {
		l.Pointer += "/" + Escape(t)
	}
	return l
}

// Escape writes a name as a token of a JSON pointer (RFC 6901, section 3).
func Escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// unescape reads a token of a JSON pointer.
func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// Resolve returns where a $ref in a document leads. Refs that are remote, or lead out of the folder, are errors.
func (l Location) Resolve(ref string) (Location, error) {
	u, err := url.Parse(ref)
	switch {
	case err != nil:
		return Location{}, fmt.Errorf("%s: the $ref %q is no URI reference", l, ref)
	case u.Scheme != "" || u.Host != "":
		return Location{}, fmt.Errorf("%s: the $ref %q leads to another machine or scheme; only files of the same folder are read", l, ref)
	case strings.HasPrefix(u.Path, "/"):
		return Location{}, fmt.Errorf("%s: the $ref %q is an absolute path; only files below the folder are read", l, ref)
	}
	to := Location{File: l.File, Pointer: u.Fragment}
	if u.Path != "" {
		to.File = filepath.ToSlash(filepath.Join(filepath.Dir(filepath.FromSlash(l.File)), filepath.FromSlash(u.Path)))
	}
	if !filepath.IsLocal(filepath.FromSlash(to.File)) {
		return Location{}, fmt.Errorf("%s: the $ref %q leads out of the folder", l, ref)
	}
	return to, nil
}

// Lookup returns what is at a place.
func (f *Files) Lookup(l Location) (any, error) {
	doc, err := f.Load(l.File)
	if err != nil {
		return nil, err
	}
	v, ok := lookup(doc, l.Pointer)
	if !ok {
		return nil, fmt.Errorf("%s has nothing at #%s", l.File, l.Pointer)
	}
	return v, nil
}

// Has says whether there is something at a place.
func (f *Files) Has(l Location) bool {
	_, err := f.Lookup(l)
	return err == nil
}

func lookup(v any, pointer string) (any, bool) {
	if pointer == "" {
		return v, true
	}
	if pointer[0] != '/' {
		return nil, false
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		switch at := v.(type) {
		case map[string]any:
			child, ok := at[unescape(token)]
			if !ok {
				return nil, false
			}
			v = child
		case []any:
			i, ok := index(token, len(at))
			if !ok {
				return nil, false
			}
			v = at[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func index(token string, n int) (int, bool) {
	i := 0
	for _, c := range token {
		if c < '0' || c > '9' || i > n {
			return 0, false
		}
		i = i*10 + int(c-'0')
	}
	return i, token != "" && i < n
}

// Deref follows $refs of reference objects, which are not schemas, to what they stand for.
func (f *Files) Deref(l Location) (Location, any, error) {
	for range 50 {
		v, err := f.Lookup(l)
		if err != nil {
			return l, nil, err
		}
		o, _ := v.(map[string]any)
		ref, ok := o["$ref"].(string)
		if !ok {
			return l, v, nil
		}
		from := l
		if l, err = f.Resolve(l, ref); err != nil {
			return l, nil, err
		}
		if _, err := f.Lookup(l); err != nil {
			return l, nil, fmt.Errorf("%s: the $ref %q leads nowhere: %w", from, ref, err)
		}
	}
	return l, nil, fmt.Errorf("%s: the $refs lead in a circle", l)
}
