package control

import (
	"maps"
	"path/filepath"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/control/watch"
)

// used are the files that a configuration names and that only a reload reads again, as they are when it is loaded.
type used map[string]watch.Digest

// newUsed notes what consumers are read from, what the servers of upstreams and of certificate authorities are trusted by, and what is known of services. The configuration may be
// nil. Policies and targets note theirs.
func newUsed(cfg *config.Config, dir string) used {
	u := used{}
	if cfg == nil {
		return u
	}
	names := append([]string(nil), cfg.ConsumerFiles...)
	for _, upstream := range cfg.Upstreams {
		names = append(names, upstream.TLS.CA, upstream.OpenAPI.File)
	}
	for _, l := range cfg.Listen {
		if l.Secure() && l.TLS.ACME != nil {
			names = append(names, l.TLS.ACME.CARoot)
		}
	}
	for _, name := range names {
		if name != "" && !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		u.note(name)
	}
	return u
}

// note takes in a file.
func (u used) note(name string) {
	if _, known := u[name]; !known && name != "" {
		u[name] = watch.Look(name)
	}
}

// keepUsed keeps which files the last load has read. Those of one that failed count beside those of what runs: either may be mended.
func (g *Gateway) keepUsed(files used, ok bool) {
	if ok {
		g.running = files
	}
	all := maps.Clone(g.running)
	if all == nil {
		all = used{}
	}
	maps.Copy(all, files)
	g.used.Store(&all)
}

// Used are the files that the configuration names and that only a reload reads again, as they were when they were read. It is not to be changed.
func (g *Gateway) Used() map[string]watch.Digest {
	if all := g.used.Load(); all != nil {
		return *all
	}
	return nil
}
