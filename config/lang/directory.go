package lang

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// LoadTree reads the tree of a file, of a directory's files, or of the standard input ("-"), without any meaning. The struct that it is to
// be decoded into says which keys of several files go together: lists are appended, objects united.
func LoadTree(path string, opts Options, into reflect.Type) (Node, error) {
	if path == "-" {
		text, err := io.ReadAll(io.LimitReader(os.Stdin, maxFile+1))
		if err != nil {
			return Node{}, fileError("-", err)
		}
		return ParseTree("-", text, opts)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return loadDirectory(path, opts, into)
	}
	text, err := opts.read(path)
	if err != nil {
		return Node{}, fileError(path, err)
	}
	return ParseTree(path, text, opts)
}

// read reads a file of the configuration itself.
func (o Options) read(path string) ([]byte, error) {
	if o.ReadFile != nil {
		return o.ReadFile(path)
	}
	return readUpTo(path, maxFile+1)
}

// readUpTo reads the beginning of a file. Not all that can be read has an end.
func readUpTo(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// fileError is an error about a whole file.
func fileError(path string, err error) error {
	return Errors{{Pos: Pos{File: path}, Message: "cannot read the configuration: " + reason(err)}}
}

// loadDirectory reads and merges the files of a directory.
func loadDirectory(dir string, opts Options, into reflect.Type) (Node, error) {
	files, err := Files(dir)
	if err != nil {
		return Node{}, fileError(dir, err)
	}
	if len(files) == 0 {
		return Node{}, fileError(dir, fmt.Errorf("the directory has no *.yaml, *.yml or *.json file"))
	}
	merged := &value{kind: NodeMap}
	var errs Errors
	for _, file := range files {
		text, err := opts.read(file)
		if err != nil {
			errs = append(errs, Node{}.Locate(fileError(file, err))...)
			continue
		}
		root, found := parseText(file, text, opts.expander(file))
		errs = append(errs, found...)
		if root == nil {
			continue
		}
		if merged.at.src == nil {
			merged.at = root.at
		}
		errs = append(errs, mergeFile(merged, root, into)...)
	}
	if merged.at.src == nil {
		return Node{}, errs.Err()
	}
	return Node{merged}, errs.Err()
}

// Files lists the files that make up the configuration at a path: the path itself, or a directory's files in the order in which
// they are read. What watches for changes watches these.
func Files(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // in lexical order
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			continue
		}
		if target, err := os.Stat(name); err != nil || target.Mode().IsRegular() {
			files = append(files, name) // one that cannot be read is reported when it is
		}
	}
	return files, nil
}

// mergeFile adds the root of one file to what the files before it said.
func mergeFile(merged, root *value, into reflect.Type) Errors {
	if root.kind == NodeNull {
		return nil
	}
	if root.kind != NodeMap {
		e := Node{root}.Errorf("cannot use %s here", root.kind)
		e.Expected = "an object with keys such as listen, upstreams and routes"
		return Errors{e}
	}
	var errs Errors
	for _, e := range root.entries {
		before := merged.entry(e.key.text)
		switch {
		case before == nil:
			merged.add(e.key, e.value)
		case rootKind(into, e.key.text) == reflect.Slice:
			appendLists(merged, before, e.value)
		case rootKind(into, e.key.text) == reflect.Map && isMapOrNull(before.value) && isMapOrNull(e.value):
			errs = append(errs, uniteMaps(before, e.value)...)
		default:
			errs = append(errs, twice(e.key, before.key))
		}
	}
	return errs
}

// rootKind is what a key at the root holds; Invalid for one that the struct does not name.
func rootKind(into reflect.Type, name string) reflect.Kind {
	for f := range into.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); tag == name && name != "" {
			return f.Type.Kind()
		}
	}
	return reflect.Invalid
}

// isMapOrNull reports whether a value can be united with another.
func isMapOrNull(v *value) bool { return v.kind == NodeMap || v.kind == NodeNull }

// appendLists puts a second list behind the first. Single values are lists of one.
func appendLists(parent *value, first *entry, second *value) {
	list := &value{kind: NodeList, at: first.value.at, parent: parent, name: first.key}
	for _, v := range []*value{first.value, second} {
		switch v.kind {
		case NodeList:
			for _, item := range v.items {
				list.appendItem(item)
			}
		case NodeNull:
		default:
			list.appendItem(v)
		}
	}
	first.value = list
}

// uniteMaps adds the entries of a second object to the first.
func uniteMaps(first *entry, second *value) Errors {
	if first.value.kind == NodeNull {
		second.parent, second.name = first.value.parent, first.value.name
		first.value = second
		return nil
	}
	var errs Errors
	for _, e := range second.entries {
		if before := first.value.entry(e.key.text); before != nil {
			errs = append(errs, twice(e.key, before.key))
			continue
		}
		first.value.add(e.key, e.value)
	}
	return errs
}

// twice is the error for what two files say.
func twice(key, before *value) *Error {
	e := Node{key}.Errorf("%q is set in two files", key.text)
	return e.RelatedAt(Node{before}, "first here")
}
