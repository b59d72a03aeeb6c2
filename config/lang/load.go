package lang

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Options say where a configuration's `${…}` come from.
type Options struct {
	Env      func(string) (string, bool)  // looks up a variable; nil: the environment
	ReadFile func(string) ([]byte, error) // reads a file; nil: from disk
	Dir      string                       // what relative file names are relative to; "": the configuration's own directory
}

// expander returns what replaces `${…}` in a file.
func (o Options) expander(file string) *expander {
	x := &expander{env: o.Env, readFile: o.ReadFile, dir: o.Dir}
	if x.env == nil {
		x.env = os.LookupEnv
	}
	if x.readFile == nil {
		x.readFile = func(path string) ([]byte, error) { return readUpTo(path, maxSecretFile+1) }
	}
	if x.dir == "" && file != "-" {
		x.dir = filepath.Dir(file)
	}
	return x
}

// ParseTree reads a text into a tree, without any meaning. The name stands in errors, which are of type Errors. What is
// wrong with a `${…}` is said when its value is decoded.
func ParseTree(name string, text []byte, opts Options) (Node, error) {
	root, errs := parseText(name, text, opts.expander(name))
	if root == nil {
		return Node{}, errs.Err()
	}
	return Node{root}, errs.Err()
}

// reason is why a file cannot be read, without its name.
func reason(err error) string {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err.Error()
	}
	return err.Error()
}
