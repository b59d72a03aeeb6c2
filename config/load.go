package config

import (
	"reflect"
	"strings"

	"cardea.dev/cardea/config/lang"
)

// Load reads a configuration from a file, or from a directory: all its *.yaml, *.yml and *.json files in the order of
// their names, as if they were one. Lists (routes, listen) are appended, objects of named things (upstreams, errors) united; anything else
// stands in one file only. Hidden files are left out, and links to files are followed. "-" is the standard input.
//
// Its results are those of Parse.
func Load(path string, opts Options) (*Config, error) {
	root, err := lang.LoadTree(path, opts, reflect.TypeFor[Config]())
	if root.IsZero() {
		return nil, err
	}
	return decodeConfig(root, err)
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
	if len(errs) == 0 && root.Len() == 0 {
		errs = append(errs, root.Locate(errEmpty(root))...)
	}
	errs = append(errs, root.Locate(cfg.checkErrorNames())...)
	for name := range cfg.Policies {
		if strings.HasPrefix(name, "x-") {
			delete(cfg.Policies, name) // the user's own, for anchors
		}
	}
	return cfg, errs.Err()
}

// errEmpty refuses a configuration that says nothing. A file is empty for a moment when something writes it in place; what runs must
// not end for that.
func errEmpty(root Node) error {
	e := root.Errorf("the configuration is empty")
	e.Expected = "keys such as listen, upstreams and routes"
	return e
}
