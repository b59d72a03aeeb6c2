package geoip

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// look is how often a file is looked at for changes.
	look = 10 * time.Second
	// maxSize bounds a database, which is held in memory: a file that is mapped crashes the process when it is cut short.
	maxSize = 2 << 30
)

// Database is a database that is in use. It follows its file until Close.
type Database struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[contents]

	mu    sync.Mutex
	seen  stamp // what was last read, whether it could be used or not
	fault error // of that

	stop, done chan struct{}
}

// contents is what a file held. It is immutable.
type contents struct {
	reader    *maxminddb.Reader
	countries bool
	systems   bool
}

// stamp is how a change of a file shows.
type stamp struct {
	info os.FileInfo
}

// same says whether a file is still what it was.
func (s stamp) same(info os.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime())
}

// Open reads a database and starts to watch its file.
func Open(path string, log *slog.Logger) (*Database, error) {
	d := &Database{path: path, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	if err := d.Refresh(); err != nil {
		return nil, err
	}
	go d.watch()
	return d, nil
}

// Close ends the watching.
func (d *Database) Close() error {
	close(d.stop)
	<-d.done
	return nil
}

func (d *Database) watch() {
	defer close(d.done)
	clock := time.NewTicker(look)
	defer clock.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-clock.C:
			d.follow()
		}
	}
}

// follow takes in a change of the file, and tells of it.
func (d *Database) follow() {
	d.mu.Lock()
	before := d.fault
	d.mu.Unlock()
	was := d.current.Load()
	err := d.Refresh()
	switch {
	case err != nil && (before == nil || before.Error() != err.Error()):
		d.log.Error("a database of addresses cannot be used; what was read before stays in use", "file", d.path, "error", err)
	case err == nil && d.current.Load() != was:
		d.log.Info("a database of addresses was read again", "file", d.path, "built", d.current.Load().reader.Metadata.BuildTime())
	}
}

// Refresh reads the file if it has changed. Where it cannot be used, what was read before stays in use and the error says why.
func (d *Database) Refresh() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	info, err := os.Stat(d.path)
	if err != nil {
		d.seen, d.fault = stamp{}, fmt.Errorf("cannot read the database: %w", err)
		return d.fault
	}
	if d.seen.same(info) {
		return d.fault
	}
	fresh, err := read(d.path, info)
	if before := d.current.Load(); err == nil && before != nil && (before.countries && !fresh.countries || before.systems && !fresh.systems) {
		err = fmt.Errorf("%s has become a %s, which does not have what it had as a %s", d.path, fresh.reader.Metadata.DatabaseType, before.reader.Metadata.DatabaseType)
	}
	d.seen, d.fault = stamp{info}, err
	if err != nil {
		return err
	}
	d.current.Store(fresh)
	return nil
}

// read reads a file.
func read(path string, info os.FileInfo) (*contents, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Size() > maxSize:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, int64(maxSize))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the database: %w", err)
	}
	defer func() { _ = f.Close() }()
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("cannot read the database %s: %w", path, err)
	}
	return parse(path, data)
}

// parse makes contents of the bytes of a file, and looks at all of its records: what is wrong with one must not show only when its address
// calls.
func parse(path string, data []byte) (c *contents, err error) {
	defer func() {
		if p := recover(); p != nil { // the library is not ours, and neither is the file
			c, err = nil, fmt.Errorf("%s is not well formed: %v", path, p)
		}
	}()
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%s is not in the MaxMind DB format: %w", path, err)
	}
	c = &contents{reader: reader}
	found := new(answer)
	leaves := 2 * (reader.Metadata.NodeCount + 1) // twice what a tree of so many nodes has
	for result := range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if leaves--; leaves == 0 {
			return nil, fmt.Errorf("%s is not well formed: its tree goes in circles", path)
		}
		if err := found.country(result); err != nil {
			return nil, fmt.Errorf("%s does not hold countries as GeoLite2 does: at %s: %w", path, result.Prefix(), err)
		}
		if err := found.system(result); err != nil {
			return nil, fmt.Errorf("%s does not hold autonomous systems as GeoLite2 does: at %s: %w", path, result.Prefix(), err)
		}
		c.countries = c.countries || found.code != ""
		c.systems = c.systems || found.number != 0
	}
	if !c.countries && !c.systems {
		return nil, fmt.Errorf("%s is a %q, and holds neither countries nor autonomous systems", path, reader.Metadata.DatabaseType)
	}
	return c, nil
}

// answer is what a look-up writes to. Those of a pool make it free of allocations.
type answer struct {
	code   string
	number uint32
}

var (
	errFields   = errors.New("its fields are of other types")
	answers     = sync.Pool{New: func() any { return new(answer) }}
	countryPath = []any{"country", "iso_code"}
	homePath    = []any{"registered_country", "iso_code"}
	systemPath  = []any{"autonomous_system_number"}
)

// country reads the country of a record: where the address is used, or else where its owner is.
func (a *answer) country(r maxminddb.Result) error {
	a.code = ""
	if err := r.DecodePath(&a.code, countryPath...); err != nil {
		return typed(err)
	}
	if a.code != "" {
		return nil
	}
	return typed(r.DecodePath(&a.code, homePath...))
}

func (a *answer) system(r maxminddb.Result) error {
	a.number = 0
	return typed(r.DecodePath(&a.number, systemPath...))
}

// typed says in our words what the library says of records with other fields than expected.
func typed(err error) error {
	if err == nil {
		return nil
	}
	var unfit maxminddb.UnmarshalTypeError
	if errors.As(err, &unfit) {
		return errFields
	}
	return err
}

// HasCountries says whether the database knows of countries.
func (d *Database) HasCountries() bool { return d.current.Load().countries }

// HasSystems says whether the database knows of autonomous systems.
func (d *Database) HasSystems() bool { return d.current.Load().systems }

// Type is the type that the database gives itself: "GeoLite2-Country".
func (d *Database) Type() string { return d.current.Load().reader.Metadata.DatabaseType }

// Country returns the ISO 3166 code of the country of an address, or "" where there is none.
func (d *Database) Country(addr netip.Addr) (string, error) {
	c := d.current.Load()
	if !c.covers(addr) {
		return "", nil
	}
	a := answers.Get().(*answer)
	err := a.country(c.reader.Lookup(addr))
	code := a.code
	answers.Put(a)
	if err != nil {
		return "", fmt.Errorf("cannot look up the country of %s: %w", addr, err)
	}
	return code, nil
}

// System returns the number of the autonomous system of an address, or 0 where there is none.
func (d *Database) System(addr netip.Addr) (uint32, error) {
	c := d.current.Load()
	if !c.covers(addr) {
		return 0, nil
	}
	a := answers.Get().(*answer)
	err := a.system(c.reader.Lookup(addr))
	number := a.number
	answers.Put(a)
	if err != nil {
		return 0, fmt.Errorf("cannot look up the autonomous system of %s: %w", addr, err)
	}
	return number, nil
}

// covers says whether addresses of this kind are in the database at all.
func (c *contents) covers(addr netip.Addr) bool {
	return addr.IsValid() && (addr.Is4() || c.reader.Metadata.IPVersion == 6)
}
