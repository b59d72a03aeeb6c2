package static

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/target"
)

// Config says which files are served. The short form is Dir.
type Config struct {
	// Dir is the directory of the files. A relative name starts at the configuration's directory.
	Dir string `yaml:"dir,short,required"`

	// Index is the file that answers for a directory, or a list of them; the first that is there is taken. By default "index.html"; an
	// empty list means that there is none.
	Index []string `yaml:"index"`

	// SPA answers with the index of the root, for single-page applications, where nothing is found and the last part of the path has no
	// dot. By default false.
	SPA bool `yaml:"spa"`

	// Listing lists directories that have no index. By default false.
	Listing bool `yaml:"listing"`

	// Dotfiles serves names that begin with a dot, which are otherwise hidden, except for .well-known at the root. By default false.
	Dotfiles bool `yaml:"dotfiles"`

	// Precompressed answers with the file of the same name and .br, .zst or .gz at the end, for clients that accept it, if it is not
	// older than the file itself. By default false.
	Precompressed bool `yaml:"precompressed"`

	// CacheControl is the Cache-Control field of files. The index that SPA answers with gets "no-cache" instead. By default there is none,
	// so that browsers guess.
	CacheControl string `yaml:"cache_control"`

	// StripPrefix is what the path of the request has before the file's name. By default the literal path of the route's match before
	// `/**`; "/" strips nothing.
	StripPrefix string `yaml:"strip_prefix"`
}

// Default sets the index.
func (c *Config) Default() { c.Index = []string{"index.html"} }

// Validate checks names and fields.
func (c *Config) Validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, config.FieldErrorf("dir", "the directory has no name"))
	}
	for i, name := range c.Index {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("index[%d]", i), "%q cannot be the name of a file", name))
		}
	}
	if c.SPA && len(c.Index) == 0 {
		errs = append(errs, config.FieldErrorf("spa", "a single-page application needs an index"))
	}
	if !httpguts.ValidHeaderFieldValue(c.CacheControl) {
		errs = append(errs, config.FieldErrorf("cache_control", "%q cannot be the value of a field", c.CacheControl))
	}
	if c.StripPrefix != "" && c.StripPrefix[0] != '/' {
		errs = append(errs, config.FieldErrorf("strip_prefix", "the prefix must begin with /"))
	}
	return errors.Join(errs...)
}

// Kind is the target `static`.
func Kind() target.Kind { return target.Define("static", build) }

// static serves files of a directory.
type static struct {
	dir           string
	prefix        string // of paths, without a slash at the end
	index         []string
	spa           bool
	listing       bool
	dotfiles      bool
	precompressed bool
	cacheControl  string
}

func build(env *filter.Env, c *Config) (target.Target, error) {
	dir := c.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(env.Dir, dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, config.FieldErrorf("dir", "cannot serve files of %s: %w", dir, err)
	}
	if !info.IsDir() {
		return nil, config.FieldErrorf("dir", "cannot serve files of %s: it is not a directory", dir)
	}
	prefix := c.StripPrefix
	if prefix == "" {
		prefix = env.Route.Prefix
	}
	return &static{
		dir: dir, prefix: strings.TrimRight(prefix, "/"), index: c.Index, spa: c.SPA, listing: c.Listing, dotfiles: c.Dotfiles,
		precompressed: c.Precompressed, cacheControl: c.CacheControl,
	}, nil
}

// Serve answers with a file.
func (s *static) Serve(ex *filter.Exchange) (*http.Response, error) {
	if m := ex.Request.Method; m != http.MethodGet && m != http.MethodHead {
		return nil, filter.Reject(filter.MethodNotAllowed, "").With("Allow", "GET, HEAD")
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, filter.Reject(filter.InternalError, "").Because(fmt.Errorf("cannot open %s: %w", s.dir, err))
	}
	defer root.Close() // files that are open stay open
	found, err := s.find(root, ex.Request.URL.Path)
	if err != nil {
		return nil, refusal(err)
	}
	switch {
	case found.addSlash:
		return toSlash(ex), nil
	case found.list:
		return s.list(ex, found)
	}
	return s.file(ex, root, found), nil
}

// refusal is why there is no file to serve.
func refusal(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) || isLost(err) {
		return filter.Reject(filter.FileNotFound, "").Because(err)
	}
	return filter.Reject(filter.InternalError, "").Because(err)
}

// Explain says which file the request would get.
func (s *static) Explain(ex *filter.Exchange) string {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return fmt.Sprintf("%s cannot be opened", s.dir)
	}
	defer root.Close()
	found, err := s.find(root, ex.Request.URL.Path)
	if err != nil {
		return fmt.Sprintf("404: %s is not in %s", found.name, s.dir)
	}
	defer found.close()
	switch {
	case found.addSlash:
		return "301 to the path with a slash at its end: it is a directory"
	case found.list:
		return "the list of the directory " + filepath.Join(s.dir, found.name)
	case found.fallback:
		return "nothing is found; the file " + filepath.Join(s.dir, found.name) + " instead"
	}
	return "the file " + filepath.Join(s.dir, found.name)
}
