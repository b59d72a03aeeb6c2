package compile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/redis"
)

// checkCaches checks what a cache cannot know by itself: whether there is the store that it is shared through, and whether its directory is its own.
func (c *compiler) checkCaches() {
	c.wrongCaches = map[string]bool{}
	c.cacheDirs, c.usedCaches = map[string]string{}, map[string]bool{}
	node := c.cfg.Self.Field("caches")
	wrong := func(name string, err error) {
		c.wrongCaches[name] = true
		c.errs = append(c.errs, node.Field(name).Locate(err)...)
	}
	var dirs []directory
	names := slices.Sorted(maps.Keys(c.cfg.Caches))
	slices.SortStableFunc(names, func(a, b string) int { return comparePlaces(node.Field(a).Pos(), node.Field(b).Pos()) })
	for _, name := range names {
		settings := c.cfg.Caches[name]
		if c.saidBelow(node.Field(name).Path()) {
			c.wrongCaches[name] = true
			continue
		}
		if name == "" {
			wrong(name, errors.New("a cache needs a name"))
			continue
		}
		if settings.Shared {
			if err := c.checkShared(&settings); err != nil {
				wrong(name, err)
			}
		}
		if settings.Disk == nil {
			continue
		}
		if node.Field(name).Field("disk").IsOff() {
			wrong(name, config.FieldErrorf("disk", "it is a directory, or left out; write ./off for a directory of that name"))
			continue
		}
		d, err := newDirectory(name, c.Dir, settings.Disk.Path)
		if err != nil {
			wrong(name, config.FieldErrorf("disk.path", "%w", err))
			continue
		}
		for i := range dirs {
			if why := d.clash(&dirs[i]); why != "" {
				c.wrongCaches[name] = true
				c.errs = append(c.errs, pathOf(node, name).Errorf("%s: each cache needs a directory of its own", why).RelatedAt(pathOf(node, dirs[i].cache), "it is here"))
				break
			}
		}
		dirs = append(dirs, d)
		c.cacheDirs[name] = d.path
	}
}

// saidBelow says whether something has been found wrong at a place of the configuration, or below it.
func (c *compiler) saidBelow(path string) bool {
	return slices.ContainsFunc(c.errs, func(e *config.Error) bool {
		below, ok := strings.CutPrefix(e.Path, path)
		return ok && (below == "" || below[0] == '.' || below[0] == '[')
	})
}

// unusedCaches warns of caches that nothing uses.
func (c *compiler) unusedCaches() {
	for name := range c.cfg.Caches {
		if !c.usedCaches[name] {
			w := c.cfg.Self.Field("caches").Key(name).Errorf("nothing uses cache %q", name)
			w.Warning = true
			c.warnings = append(c.warnings, w)
		}
	}
}

// pathOf is where the directory of a cache is written.
func pathOf(caches config.Node, name string) config.Node {
	disk := caches.Field(name).Field("disk")
	if path := disk.Field("path"); path.Pos().Line > 0 {
		return path
	}
	return disk
}

func comparePlaces(a, b config.Pos) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
}

// checkShared checks the store of a cache that gateways share. That of the root has been checked.
func (c *compiler) checkShared(settings *config.Cache) error {
	if settings.Store != "" {
		if _, err := redis.New(settings.Store.Reveal()); err != nil {
			return config.FieldErrorf("store", "%w", err)
		}
		return nil
	}
	if c.cfg.Store == "" || c.cfg.Store == "local" {
		return config.FieldErrorf("shared", "there is no store to share it through: say `store: redis://HOST:PORT` at the root, or in the cache")
	}
	return nil // what is wrong with that of the root has been said
}

// directory is the directory of a cache.
type directory struct {
	cache, written string
	path           string        // absolute, without symbolic links
	above          []fs.FileInfo // the directory and those that it is in, as far as they are there
	texts          []string      // their paths
}

// newDirectory finds out where a directory is, which need not be there yet.
func newDirectory(cache, dir, written string) (directory, error) {
	d := directory{cache: cache, written: written}
	path := written
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return d, fmt.Errorf("cannot say which directory it is: %w", err)
	}
	d.path = realPath(path)
	for p := d.path; ; p = filepath.Dir(p) {
		info, _ := os.Stat(p)
		if info != nil && !info.IsDir() {
			return d, fmt.Errorf("%s is no directory", p)
		}
		d.above, d.texts = append(d.above, info), append(d.texts, p)
		if p == filepath.Dir(p) {
			return d, nil
		}
	}
}

// realPath is a path without symbolic links, as far as it is there.
func realPath(path string) string {
	rest := ""
	for p := path; ; p = filepath.Dir(p) {
		real, err := filepath.EvalSymlinks(p)
		if err == nil {
			return filepath.Join(real, rest)
		}
		if !errors.Is(err, fs.ErrNotExist) || p == filepath.Dir(p) {
			return path
		}
		rest = filepath.Join(filepath.Base(p), rest)
	}
}

// clash says how a directory has to do with that of another cache, or "".
func (d *directory) clash(other *directory) string {
	in := func(inner, outer *directory) int { // how far up the outer one is, or -1
		for i := range inner.texts {
			if inner.texts[i] == outer.path || inner.above[i] != nil && outer.above[0] != nil && os.SameFile(inner.above[i], outer.above[0]) {
				return i
			}
		}
		return -1
	}
	inner, outer := in(d, other), in(other, d)
	switch {
	case inner == 0:
		return fmt.Sprintf("%s is the directory of the cache %q, too", d.written, other.cache)
	case inner > 0:
		return fmt.Sprintf("%s is inside of %s, the directory of the cache %q", d.written, other.written, other.cache)
	case outer > 0:
		return fmt.Sprintf("%s, the directory of the cache %q, is inside of %s", other.written, other.cache, d.written)
	}
	return ""
}
