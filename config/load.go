package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// Parse reads a configuration from a text. The name stands in errors. The error is of type Errors and holds all that is
// wrong. A Config comes back even then, with all that was right, unless the text is no YAML: use it only to look for more
// that is wrong.
func Parse(name string, text []byte, opts Options) (*Config, error) {
	root, err := ParseTree(name, text, opts)
	if root.IsZero() {
		return nil, err
	}
	return decodeConfig(root, err)
}

// decodeConfig decodes a whole tree, and adds to the errors that were found before.
func decodeConfig(root Node, before error) (*Config, error) {
	cfg := new(Config)
	errs := root.Locate(before)
	errs = append(errs, root.Locate(root.Decode(cfg))...)
	errs = append(errs, root.Locate(cfg.checkErrorNames())...)
	for name := range cfg.Policies {
		if strings.HasPrefix(name, "x-") {
			delete(cfg.Policies, name) // the user's own, for anchors
		}
	}
	return cfg, errs.Err()
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
