package listen

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
)

// certificates are the certificates of one listener. Which are in use changes when their files do.
type certificates struct {
	strict  bool
	issued  Issued // those that are no files; nil: there are none
	current atomic.Pointer[choice]
	files   []certificateFile // only touched by who holds the set's lock
}

// certificateFile is where a certificate comes from, and what was last read there.
type certificateFile struct {
	path      string            // in the configuration, below the listener: "tls.certificates[0]"
	shown     string            // the file as configured
	cert, key string            // files
	read      [sha256.Size]byte // of what was last read
	good      bool              // what was last read is in use
	loaded    *tls.Certificate
	fault     string // what was last wrong, so that it is said once
}

// choice finds certificates by name. It is immutable.
type choice struct {
	first    []*tls.Certificate // when no name fits: the first one, and those that share its name
	exact    map[string][]*tls.Certificate
	wildcard map[string][]*tls.Certificate // by what follows the star: ".example.com"
}

// loadCertificates reads the certificates of a listener. Each error is about a field of it.
func loadCertificates(t *config.ListenerTLS, dir string) (*certificates, error) {
	cs := &certificates{strict: t.StrictSNI}
	var errs []error
	for i, c := range t.All() {
		f := certificateFile{path: "tls", shown: c.Cert, cert: inDir(dir, c.Cert), key: inDir(dir, c.Key)}
		if t.Cert == "" {
			f.path = "tls.certificates[" + strconv.Itoa(i) + "]"
		}
		if c.Key == "" {
			f.key = f.cert
		}
		if _, err := f.load(); err != nil {
			errs = append(errs, err)
		}
		cs.files = append(cs.files, f)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	cs.choose()
	return cs, nil
}

func inDir(dir, file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(dir, file)
}

// load reads the files, and says whether they hold another certificate than before. An error leaves the one before in use. What
// was read before already is not looked at again.
func (f *certificateFile) load() (changed bool, err error) {
	cert, err := os.ReadFile(f.cert)
	if err != nil {
		return false, f.wrong("cert", "cannot read the certificate", err)
	}
	key := cert
	if f.key != f.cert {
		if key, err = os.ReadFile(f.key); err != nil {
			return false, f.wrong("key", "cannot read the key", err)
		}
	}
	sum := sha256.New()
	sum.Write(cert)
	sum.Write([]byte{0})
	sum.Write(key)
	read := [sha256.Size]byte(sum.Sum(nil))
	if read == f.read {
		if f.good {
			f.fault = ""
		}
		return false, nil
	}
	f.read, f.good = read, false
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, f.wrong("cert", "cannot use the certificate", fmt.Errorf("%s: %s", f.shown, strings.TrimPrefix(err.Error(), "tls: ")))
	}
	f.loaded, f.good, f.fault = &pair, true, ""
	return true, nil
}

// wrong is an error about one of the files.
func (f *certificateFile) wrong(field, what string, err error) error {
	return config.FieldErrorf(f.path+"."+field, "%s: %w", what, err)
}

// refresh reads the files again, and uses what changed. It returns what cannot be used; the certificate from before stays.
func (cs *certificates) refresh() (changed int, errs []error) {
	for i := range cs.files {
		f := &cs.files[i]
		other, err := f.load()
		if err != nil && err.Error() != f.fault {
			f.fault = err.Error()
			errs = append(errs, err)
		}
		if other {
			changed++
		}
	}
	if changed > 0 {
		cs.choose()
	}
	return changed, errs
}

// choose brings what is loaded into use.
func (cs *certificates) choose() {
	c := &choice{exact: map[string][]*tls.Certificate{}, wildcard: map[string][]*tls.Certificate{}}
	for i := range cs.files {
		cert := cs.files[i].loaded
		for _, name := range namesOf(cert) {
			if suffix, ok := strings.CutPrefix(name, "*"); ok {
				c.wildcard[suffix] = append(c.wildcard[suffix], cert)
			} else {
				c.exact[name] = append(c.exact[name], cert)
			}
		}
	}
	defer cs.current.Store(c)
	if len(cs.files) == 0 {
		return
	}
	first := cs.files[0].loaded
	c.first = []*tls.Certificate{first}
	if names := namesOf(first); len(names) > 0 {
		for _, cert := range append(c.exact[names[0]], c.wildcard[strings.TrimPrefix(names[0], "*")]...) {
			if cert != first {
				c.first = append(c.first, cert)
			}
		}
	}
}

// namesOf lists the host names of a certificate, in lower case.
func namesOf(c *tls.Certificate) []string {
	names := c.Leaf.DNSNames
	if len(names) == 0 && len(c.Leaf.IPAddresses) == 0 && c.Leaf.Subject.CommonName != "" {
		names = []string{c.Leaf.Subject.CommonName}
	}
	names = slices.Clone(names)
	for i := range names {
		names[i] = strings.ToLower(strings.TrimSuffix(names[i], "."))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// named returns the certificates for a host name.
func (c *choice) named(name string) []*tls.Certificate {
	if found := c.exact[name]; found != nil {
		return found
	}
	if dot := strings.IndexByte(name, '.'); dot > 0 {
		return c.wildcard[name[dot:]]
	}
	return nil
}

// pick finds the certificate for a connection. Nil without an error makes crypto/tls refuse the name (unrecognized_name).
func (cs *certificates) pick(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c := cs.current.Load()
	name := canonicalName(hello.ServerName)
	found := c.named(name)
	if found == nil && cs.issued != nil {
		if cert := cs.issued.Certificate(name); cert != nil {
			return cert, nil
		}
	}
	if found == nil {
		found = c.first
		switch {
		case cs.strict:
			return nil, nil
		case len(found) == 0 && cs.issued == nil:
			return nil, nil
		case len(found) == 0:
			return cs.issued.Any(), nil
		}
	}
	for _, cert := range found {
		if len(found) == 1 || hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return found[0], nil
}

// expiries says when each certificate expires, by its file as configured.
func (cs *certificates) expiries() map[string]time.Time {
	at := make(map[string]time.Time, len(cs.files))
	for _, f := range cs.files {
		at[f.shown] = f.loaded.Leaf.NotAfter
	}
	return at
}

// folders lists the folders to watch.
func (cs *certificates) folders() []string {
	var dirs []string
	for _, f := range cs.files {
		dirs = append(dirs, filepath.Dir(f.cert), filepath.Dir(f.key))
	}
	return dirs
}

// sameFiles says whether two listeners' certificates come from the same places.
func (cs *certificates) sameFiles(other *certificates) bool {
	return cs.strict == other.strict && (cs.issued == nil) == (other.issued == nil) && slices.EqualFunc(cs.files, other.files, func(a, b certificateFile) bool {
		return a.cert == b.cert && a.key == b.key && a.shown == b.shown
	})
}
