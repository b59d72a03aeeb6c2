package config

import (
	"errors"
	"net/netip"
	"strings"
)

// Admin is the operators' listener: health, metrics, the running configuration, explain, reload. The short form is its address;
// `off` turns it off.
//
// Where others than this machine can reach it, it must have a token. "/livez" and "/readyz" answer without it, for the probes of
// load balancers and Kubernetes.
type Admin struct {
	// Address is where it listens, as for `listen`: "127.0.0.1:9090", "unix:/run/cardea-admin.sock". By default "127.0.0.1:9090".
	Address string `yaml:"address,short"`

	// Token is what callers must send as a bearer token ("Authorization: Bearer …"), with at least 16 characters; best
	// ${file:/run/secrets/admin}. By default none, which is possible on loopback addresses and Unix sockets alone.
	Token Secret `yaml:"token"`

	// Pprof offers profiles of the process under "/debug/pprof/". By default on for loopback addresses and Unix sockets, and off
	// elsewhere.
	Pprof *bool `yaml:"pprof"`

	// Off is true when `admin: off` was written.
	Off bool `yaml:",off"`
}

// minToken is the least length of a token: what is shorter can be guessed.
const minToken = 16

// Default sets the address.
func (a *Admin) Default() { a.Address = "127.0.0.1:9090" }

// Validate checks the address, and that strangers need a token.
func (a *Admin) Validate() error {
	if a.Off {
		return nil
	}
	if _, _, err := ParseAddress(a.Address); err != nil {
		return &FieldError{Path: "address", Err: err, Expected: `an address such as "127.0.0.1:9090" or "unix:/run/cardea-admin.sock"`}
	}
	var errs []error
	if a.Token == "" && !a.Local() {
		errs = append(errs, FieldErrorf("address", "others than this machine can reach %s: it needs a `token`; or listen on 127.0.0.1", a.Address))
	}
	if a.Token != "" && len(a.Token.Reveal()) < minToken {
		errs = append(errs, FieldErrorf("token", "the token has fewer than %d characters: it could be guessed", minToken))
	}
	return errors.Join(errs...)
}

// Local says whether only this machine can reach the listener: it is on loopback, or a Unix socket.
func (a *Admin) Local() bool {
	network, place, err := ParseAddress(a.Address)
	switch {
	case err != nil:
		return false
	case network == "unix":
		return true
	case network != "tcp":
		return false // whoever opened the socket chose where
	}
	host := strings.Trim(place[:strings.LastIndexByte(place, ':')], "[]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// Profiles says whether profiles are offered.
func (a Admin) Profiles() bool {
	if a.Pprof != nil {
		return *a.Pprof
	}
	return a.Local()
}
