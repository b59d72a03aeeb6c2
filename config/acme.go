package config

import (
	"errors"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ACME has a certificate authority issue a listener's certificates, and renew them, by the protocol of RFC 8555. The short form
// are the domains; `tls: acme` takes all defaults.
//
// Certificates are got in the background: the gateway starts whether the authority answers or not, and a certificate serves until a
// newer one is there. Using it means that you agree to the authority's terms of service.
type ACME struct {
	// Domains are the names that get certificates, each one of its own: "api.example.com", or "*.example.com", which takes `dns`.
	// By default the hosts that routes match, without those that no authority can vouch for, such as localhost; those with a
	// wildcard only where there is `dns`.
	Domains []string `yaml:"domains,short"`

	// Email is where the authority may write to. By default it has no address.
	Email string `yaml:"email"`

	// CA is the authority: "letsencrypt", "letsencrypt-staging" (for trying: no browser trusts its certificates, and its limits are
	// wide), or the URL of an authority's directory. By default "letsencrypt".
	CA string `yaml:"ca"`

	// CARoot is a PEM file with the certificates that the authority's own server is trusted by, for a private one. By default
	// those of the system.
	CARoot string `yaml:"ca_root"`

	// Challenges are how the authority may make sure that a domain is ours: "http-01" (it asks a listener without TLS, which it
	// reaches at port 80), "tls-alpn-01" (it asks this listener, which it reaches at port 443) and "dns-01" (it looks for a record,
	// see `dns`). By default dns-01 where there is `dns`, and else the other two, http-01 where there is a listener without TLS.
	Challenges []string `yaml:"challenges" enum:"http-01,tls-alpn-01,dns-01"`

	// DNS is a program that adds and removes the records of dns-01.
	DNS *ACMEHook `yaml:"dns"`

	// Profile is the sort of certificate, where the authority has several: Let's Encrypt's "shortlived" lives for six days. By
	// default the authority's own choice.
	Profile string `yaml:"profile"`

	// EAB binds the account to one that you have with the authority, where it wants that (external account binding).
	EAB *ACMEBinding `yaml:"eab"`

	// Storage is the folder in which account, keys and certificates are kept, or a Redis or Valkey for gateways on several machines:
	// "redis://host:6379", or with TLS "rediss://user:${PASSWORD}@host:6379/1". Several gateways that share it, a folder on one
	// machine or over a file system that knows locks (flock), order each certificate once, and answer each other's challenges. By default
	// "acme" in the folder that systemd keeps for the service (StateDirectory=), or else "cardea/acme" where the user's programs
	// keep their data ($XDG_DATA_HOME, or ~/.local/share).
	Storage string `yaml:"storage"`
}

// ACMEHook is a program that adds and removes DNS records. The short form is the program with its arguments.
type ACMEHook struct {
	// Exec is the program and its first arguments. Three more follow: "present" or "cleanup", the name of the TXT record
	// ("_acme-challenge.example.com") and its value. It ends with 0 once that is done, and may be called for several names at once.
	Exec []string `yaml:"exec,short,required"`

	// Timeout is how long the program may take; "cleanup" never more than 30s, and 5s once the gateway ends.
	// By default 2m. 0 is the default too.
	Timeout Duration `yaml:"timeout"`

	// Wait is how long after "present" the authority is told to look, for records that take their time to be seen everywhere. By
	// default 0: not at all.
	Wait Duration `yaml:"wait"`
}

// ACMEBinding is the key by which an authority knows your account with it.
type ACMEBinding struct {
	// KeyID names the key.
	KeyID string `yaml:"key_id,required"`

	// HMACKey is the key itself, in base64url, as the authority gave it.
	HMACKey Secret `yaml:"hmac_key,required"`
}

// Default sets the time limit.
func (h *ACMEHook) Default() { h.Timeout = Duration(2 * time.Minute) }

// Validate checks that there is a program.
func (h *ACMEHook) Validate() error {
	if len(h.Exec) == 0 || h.Exec[0] == "" {
		return FieldErrorf("exec", "the program is missing")
	}
	return nil
}

// Directory is the URL of the authority's directory.
func (a *ACME) Directory() string {
	switch a.CA {
	case "", "letsencrypt":
		return "https://acme-v02.api.letsencrypt.org/directory"
	case "letsencrypt-staging":
		return "https://acme-staging-v02.api.letsencrypt.org/directory"
	}
	return a.CA
}

// Validate checks what can be seen from here.
func (a *ACME) Validate() error {
	var errs []error
	for i, name := range a.Domains {
		path := "domains[" + strconv.Itoa(i) + "]"
		if err := CheckDomain(name); err != nil {
			errs = append(errs, FieldErrorf(path, "%w", err))
		}
		if strings.HasPrefix(name, "*.") && a.DNS == nil {
			errs = append(errs, FieldErrorf(path, "%q has a wildcard, which takes dns-01: say in `dns` how records are made", name))
		}
		if slices.Contains(a.Domains[:i], name) {
			errs = append(errs, FieldErrorf(path, "%q is named twice", name))
		}
	}
	if u, err := url.Parse(a.Directory()); err != nil || u.Scheme != "https" || u.Host == "" {
		errs = append(errs, &FieldError{
			Path: "ca", Err: errors.New(strconv.Quote(a.CA) + " is no authority"),
			Expected: `"letsencrypt", "letsencrypt-staging" or a URL with https`,
		})
	}
	switch wants := slices.Contains(a.Challenges, "dns-01"); {
	case wants && a.DNS == nil:
		errs = append(errs, FieldErrorf("challenges", "dns-01 needs `dns`, which says how records are made"))
	case !wants && a.DNS != nil && len(a.Challenges) > 0:
		errs = append(errs, FieldErrorf("dns", "it is never used: `challenges` does not name dns-01"))
	}
	if scheme, _, isURL := strings.Cut(a.Storage, "://"); isURL && scheme != "redis" && scheme != "rediss" {
		errs = append(errs, &FieldError{
			Path: "storage", Err: errors.New(strconv.Quote(scheme) + " is no storage"), Expected: "a folder, or redis://HOST:PORT, or rediss:// with TLS",
		})
	}
	if a.Email != "" && (!strings.Contains(a.Email, "@") || strings.ContainsAny(a.Email, " ,<>:?")) {
		errs = append(errs, FieldErrorf("email", "%q is not an address", a.Email))
	}
	return errors.Join(errs...)
}

// CheckDomain says why a name cannot stand in a certificate.
func CheckDomain(name string) error {
	host := strings.TrimPrefix(name, "*.")
	_, err := netip.ParseAddr(name)
	labels := strings.Split(host, ".")
	valid := !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != ""
	})
	switch {
	case err == nil:
		return errors.New(strconv.Quote(name) + " is an address; certificates are got for names")
	case strings.ToLower(name) != name:
		return errors.New(strconv.Quote(name) + " is not in lower case")
	case !valid || len(name) > 253:
		return errors.New(strconv.Quote(name) + " is not a domain; names in other scripts are written as xn--…")
	case host != name && len(labels) < 2:
		return errors.New(strconv.Quote(name) + " has a wildcard over a whole top level")
	}
	return nil
}

// File is a file or folder of the configuration, where relative names start at dir.
func (a *ACME) File(dir, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
