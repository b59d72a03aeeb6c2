package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Peer is who may be at the other end of a connection: an address, a range of addresses, or one of the words "loopback", "private"
// (loopback, link-local and private ranges) and "unix" (whoever can open the Unix socket).
type Peer struct {
	Ranges []netip.Prefix
	Unix   bool
	text   string
}

// loopbackRanges are the addresses of the machine itself, and privateRanges those of networks that are not the Internet (RFC 1918,
// RFC 4193, RFC 3927, RFC 4291).
func loopbackRanges() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func privateRanges() []netip.Prefix {
	private := []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"}
	ranges := loopbackRanges()
	for _, p := range private {
		ranges = append(ranges, netip.MustParsePrefix(p))
	}
	return ranges
}

// ParsePeer reads a Peer.
func ParsePeer(text string) (Peer, error) {
	p := Peer{text: strings.TrimSpace(text)}
	switch p.text {
	case "unix":
		p.Unix = true
	case "loopback":
		p.Ranges = loopbackRanges()
	case "private":
		p.Ranges = privateRanges()
	default:
		prefix, err := ParsePrefix(p.text)
		if err != nil {
			return Peer{}, fmt.Errorf("%w, nor one of loopback, private, unix", err)
		}
		p.Ranges = []netip.Prefix{prefix.Prefix}
	}
	return p, nil
}

// Equal says whether two peers are the same.
func (p Peer) Equal(q Peer) bool { return p.Unix == q.Unix && slices.Equal(p.Ranges, q.Ranges) }

// String returns the peer as it is written.
func (p Peer) String() string { return p.text }

// Expected says what a peer looks like.
func (Peer) Expected() string {
	return "an address or a range of them, such as 10.0.0.0/8, or loopback, private or unix"
}

// MarshalText renders String.
func (p Peer) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText reads a peer.
func (p *Peer) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePeer(string(text))
	return err
}

// RedirectPort is the port of https that requests are redirected to; 0 is no redirect.
type RedirectPort uint16

// Expected says what may be written.
func (RedirectPort) Expected() string { return "true, false, or the port where https is served" }

// String returns the port, or "off".
func (p RedirectPort) String() string {
	if p == 0 {
		return "off"
	}
	return strconv.Itoa(int(p))
}

// MarshalText renders String.
func (p RedirectPort) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads true (port 443), false, or a port.
func (p *RedirectPort) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "true", "on":
		*p = 443
		return nil
	case "false", "off":
		*p = 0
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is neither true nor false nor a port", text)
	}
	*p = RedirectPort(n)
	return nil
}
