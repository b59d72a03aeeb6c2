package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// ParsePrefix reads a Prefix. A single address is the range of that address alone.
func ParsePrefix(text string) (Prefix, error) {
	trimmed := strings.TrimSpace(text)
	if !strings.Contains(trimmed, "/") {
		addr, err := netip.ParseAddr(trimmed)
		if err != nil {
			return Prefix{}, fmt.Errorf("%q is neither an address nor a range of addresses", text)
		}
		if addr.Zone() != "" {
			return Prefix{}, fmt.Errorf("%q names the zone %q, which an address cannot have here", text, addr.Zone())
		}
		addr = addr.Unmap()
		return Prefix{netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	p, err := netip.ParsePrefix(trimmed)
	if err != nil {
		return Prefix{}, fmt.Errorf("%q is not a range of addresses", text)
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return Prefix{}, fmt.Errorf("%q is not a range of addresses: one of IPv4 in IPv6 has at least /96", text)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return Prefix{}, fmt.Errorf("%q has bits set after the first %d: write %s for the range, or %s for the one address", text, p.Bits(), p.Masked(), p.Addr())
	}
	return Prefix{p}, nil
}

// String returns the range, or the address when it is a single one.
func (p Prefix) String() string {
	switch {
	case !p.IsValid():
		return ""
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.Prefix.String()
}

// Expected says what a prefix looks like.
func (Prefix) Expected() string {
	return "an address or a range of them, such as 192.0.2.7 or 10.0.0.0/8"
}

// MarshalText renders String.
func (p Prefix) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a prefix.
func (p *Prefix) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePrefix(string(text))
	return err
}
