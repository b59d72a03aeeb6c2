package acme

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"cardea.dev/cardea/config"
)

// settings are what one authority is asked by.
type settings struct {
	directory, email, roots, storage string
	profile                          string
	eabKey, eabMAC                   string
	challenges                       []string
	hook                             hookSettings
}

// key tells settings apart.
func (s settings) key() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q", fmt.Sprint(s)))
}

// wanted is a name that shall have a certificate.
type wanted struct {
	name     string
	settings settings
	at       string // where it is said: "[1].tls.acme"
}

// Check says what is wrong with how certificates are to be got, as far as that can be seen without asking anybody. The errors are
// config.FieldErrors below the list of listeners.
func Check(cfg *config.Config, dir string) error {
	_, err := gather(cfg, dir)
	return err
}

// gather lists the names that shall have certificates.
func gather(cfg *config.Config, dir string) ([]wanted, error) {
	var all []wanted
	var errs []error
	at := map[string]int{} // in all, by name
	plain := slices.ContainsFunc(cfg.Listen, func(l config.Listener) bool { return !l.Secure() })
	for i := range cfg.Listen {
		l := &cfg.Listen[i]
		if !l.Secure() || l.TLS.ACME == nil {
			continue
		}
		path := fmt.Sprintf("[%d].tls.acme", i)
		s, err := newSettings(l.TLS.ACME, dir, plain)
		if err != nil {
			errs = append(errs, config.FieldErrorf(path, "%w", err))
			continue
		}
		names := l.TLS.ACME.Domains
		if len(names) == 0 {
			names = hosts(cfg.Routes, s)
		}
		if len(names) == 0 {
			errs = append(errs, config.FieldErrorf(path, "it is not said for which names: no route matches a host that an authority can vouch for; name them in `domains`"))
		}
		for _, name := range names {
			if known, ok := at[name]; ok {
				if all[known].settings.key() != s.key() {
					errs = append(errs, config.FieldErrorf(path, "another listener gets the certificate for %q in another way", name))
				}
				continue
			}
			at[name] = len(all)
			all = append(all, wanted{name, s, path})
		}
	}
	return all, errors.Join(errs...)
}

// newSettings reads what is configured. Plain says whether there is a listener without TLS.
func newSettings(a *config.ACME, dir string, plain bool) (settings, error) {
	s := settings{directory: a.Directory(), email: a.Email, profile: a.Profile, challenges: a.Challenges}
	var errs []error
	if a.CARoot != "" {
		text, err := os.ReadFile(a.File(dir, a.CARoot))
		if err != nil {
			errs = append(errs, config.FieldErrorf("ca_root", "cannot read the certificates: %w", err))
		}
		if s.roots = string(text); err == nil && !validRoots(text) {
			errs = append(errs, config.FieldErrorf("ca_root", "%s has no certificate", a.CARoot))
		}
	}
	if a.EAB != nil {
		s.eabKey, s.eabMAC = a.EAB.KeyID, a.EAB.HMACKey.Reveal()
		if !validMAC(s.eabMAC) {
			errs = append(errs, config.FieldErrorf("eab.hmac_key", "the key is not in base64url"))
		}
	}
	var err error
	if s.hook, err = newHook(a.DNS, dir); err != nil {
		errs = append(errs, config.FieldErrorf("dns.exec", "%w", err))
	}
	if s.storage, err = storageOf(a, dir); err != nil {
		errs = append(errs, config.FieldErrorf("storage", "%w", err))
	}
	switch asked := len(a.Challenges) > 0; {
	case !asked && a.DNS != nil:
		s.challenges = []string{acme.ChallengeTypeDNS01}
	case !asked && plain:
		s.challenges = []string{acme.ChallengeTypeHTTP01, acme.ChallengeTypeTLSALPN01}
	case !asked:
		s.challenges = []string{acme.ChallengeTypeTLSALPN01}
	case !plain && slices.Contains(a.Challenges, acme.ChallengeTypeHTTP01):
		errs = append(errs, config.FieldErrorf("challenges", "http-01 is answered by a listener without TLS, and there is none"))
	}
	return s, errors.Join(errs...)
}

// newHook finds the program that makes records.
func newHook(h *config.ACMEHook, dir string) (hookSettings, error) {
	if h == nil {
		return hookSettings{}, nil
	}
	s := hookSettings{exec: slices.Clone(h.Exec), timeout: h.Timeout.Std(), wait: h.Wait.Std()}
	if s.timeout <= 0 {
		s.timeout = 2 * time.Minute
	}
	if program := s.exec[0]; strings.Contains(program, "/") && !filepath.IsAbs(program) {
		s.exec[0] = filepath.Join(dir, program)
	}
	program, err := exec.LookPath(s.exec[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return s, fmt.Errorf("cannot run %s: %w", h.Exec[0], errors.Unwrap(err))
	}
	if s.exec[0], err = filepath.Abs(program); err != nil {
		return s, err
	}
	s.dir, err = filepath.Abs(dir)
	return s, err
}

// storageOf is where certificates are kept: the URL of a Redis, or a folder, which need not be there yet.
func storageOf(a *config.ACME, dir string) (string, error) {
	if strings.Contains(a.Storage, "://") {
		_, err := newRemote(a.Storage)
		return a.Storage, err
	}
	place := a.File(dir, a.Storage)
	if place == "" {
		base := os.Getenv("STATE_DIRECTORY") // systemd.exec(5); several are separated by colons
		base, _, _ = strings.Cut(base, ":")
		home := os.Getenv("HOME")
		switch data := os.Getenv("XDG_DATA_HOME"); {
		case base != "":
			place = filepath.Join(base, "acme")
		case filepath.IsAbs(data):
			place = filepath.Join(data, "cardea", "acme")
		case home != "":
			place = filepath.Join(home, ".local", "share", "cardea", "acme")
		default:
			return "", errors.New("it is not said where certificates are kept, and there is no home folder; name one in `storage`")
		}
	}
	place, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(place); err == nil && !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", place)
	}
	return place, nil
}

// hosts lists the hosts that routes match and that the authority can vouch for.
func hosts(routes []config.Route, s settings) []string {
	var names []string
	for i := range routes {
		for _, m := range routes[i].Match {
			for _, host := range m.Host {
				if suits(host, s) {
					names = append(names, host)
				}
			}
		}
		names = append(names, hosts(routes[i].Routes, s)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// suits says whether the authority can vouch for a host.
func suits(host string, s settings) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err == nil || config.CheckDomain(host) != nil {
		return false
	}
	if host[0] == '*' && !slices.Contains(s.challenges, acme.ChallengeTypeDNS01) {
		return false
	}
	u, err := url.Parse(s.directory)
	public := err == nil && s.roots == "" && strings.Contains(u.Hostname(), ".")
	return !public || !local(host)
}

// local says whether a name is one that means something else to everybody (RFC 6761, RFC 6762, RFC 8375, RFC 9476).
func local(host string) bool {
	labels := strings.Split(host, ".")
	top := labels[len(labels)-1]
	return len(labels) < 2 || strings.HasSuffix(host, ".home.arpa") ||
		slices.Contains([]string{"localhost", "local", "internal", "test", "example", "invalid", "onion", "alt", "lan", "home", "corp"}, top)
}
