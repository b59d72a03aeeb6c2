package listen

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/http1/server"
	"cardea.dev/cardea/internal/router"
)

// Forwarding finds out who asks, by which scheme and for which host, where proxies stand between, and tells upstreams. It is
// immutable.
type Forwarding struct {
	trusted bart.Lite // ranges of peers whose fields are believed
	anyone  bool      // whether there are such ranges
	unix    bool      // peers without an address are believed
	rfc7239 bool      // Forwarded is believed, not X-Forwarded-*
	host    bool      // a forwarded host is believed
	mode    mode
	write   []field
}

// mode is what upstreams are told.
type mode uint8

const (
	appendPeer mode = iota // the client and the proxies between
	clientOnly             // the client alone
	nothing                // nothing; fields of trusted proxies pass
)

// field is a field that is written.
type field uint8

const (
	forwardedFor field = iota
	forwardedHost
	forwardedProto
	forwardedPort
	forwarded
	realIP
)

// names are the fields' names, in the form that http.Header has them in.
var names = [...]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "Forwarded", "X-Real-Ip"}

// NewForwarding makes the rules of a listener.
func NewForwarding(c config.Forwarded, trusted []config.Peer) *Forwarding {
	f := &Forwarding{rfc7239: c.From == "forwarded", host: c.Host}
	for _, p := range trusted {
		f.unix = f.unix || p.Unix
		for _, r := range p.Ranges {
			f.trusted.Insert(r)
			f.anyone = true
		}
	}
	switch c.Mode {
	case "set":
		f.mode = clientOnly
	case "off":
		f.mode = nothing
	}
	for _, name := range c.Headers {
		i := slices.IndexFunc(names[:], func(n string) bool { return strings.EqualFold(n, name) })
		if i >= 0 {
			f.write = append(f.write, field(i))
		}
	}
	return f
}

// maxHops bounds a chain of proxies: what stands further away is not looked at.
const maxHops = 64

func (f *Forwarding) trusts(a netip.Addr) bool {
	if !a.IsValid() {
		return f.unix
	}
	return f.anyone && f.trusted.Contains(a)
}

// Caller is who asks, and for what.
type Caller struct {
	Trusted bool       // the peer is a trusted proxy
	Client  netip.Addr // invalid where nobody knows it, as on Unix sockets
	Scheme  string     // "http" or "https"
	Host    string     // in lower case, without port
}

// Apply finds out who calls. It removes what the peer may not say: hop-by-hop fields, and forwarding fields unless it is trusted. Then
// it writes those for the upstream, whose values it keeps in values as far as there is room.
//
// The order is what makes it safe. Fields of a trusted proxy are read before Connection is obeyed, so that its client cannot make
// the gateway overlook them by naming them there; and the gateway's own are written after, so that nobody can have them removed.
func (f *Forwarding) Apply(r *http.Request, values []string) Caller {
	o := origin{scheme: "http", host: r.Host}
	o.peer, o.text = peerOf(r)
	if r.TLS != nil {
		o.scheme = "https"
	}
	trusted := f.trusts(o.peer)
	if trusted {
		f.believe(r.Header, &o)
	}
	te := r.Header["Te"]
	stripNamed(r.Header)
	for name := range r.Header {
		if hopByHop(name) || f.stranger(name, trusted) {
			delete(r.Header, name)
		}
	}
	keepTrailers(r.Header, te)
	if f.mode != nothing {
		f.tell(r.Header, &o, values)
	}
	return Caller{trusted, o.client(), o.scheme, router.NormalizeHost(o.host)}
}

// origin is where a request comes from.
type origin struct {
	peer   netip.Addr   // invalid where it has no address
	text   string       // the peer as it is written; "" when that has to be made
	before []netip.Addr // what trusted proxies tell: who the peer was called by, who that one was, and so on to the client
	scheme string
	host   string
}

// client is the farthest that is known.
func (o *origin) client() netip.Addr {
	if n := len(o.before); n > 0 {
		return o.before[n-1]
	}
	return o.peer
}

// peerOf reads the address of a peer. The text is a piece of what is given, where that is how the address is written.
func peerOf(r *http.Request) (peer netip.Addr, text string) {
	remote := r.RemoteAddr
	ap, known := server.Peer(r)
	if !known {
		var err error
		if ap, err = netip.ParseAddrPort(remote); err != nil {
			return netip.Addr{}, ""
		}
	}
	a := ap.Addr()
	switch colon := strings.LastIndexByte(remote, ':'); {
	case a.Is4():
		return a, remote[:colon]
	case !a.Is4In6() && a.Zone() == "":
		return a, remote[1 : colon-1]
	}
	return a.Unmap().WithZone(""), ""
}

// stranger says whether a field is one for forwarding that has to go: all of a stranger's; of a trusted proxy's those that the gateway
// works out itself, and those that it does not believe. Names with underscores count too: some servers take them for hyphens. That is
// why fields that look like a message's length to them go as well.
func (f *Forwarding) stranger(name string, trusted bool) bool {
	kind := forwardingField(name)
	if kind == notForwarding {
		return looksLikeLength(name)
	}
	believed := trusted && (kind == rfcField) == f.rfc7239 && strings.IndexByte(name, '_') < 0
	return !believed || f.mode != nothing && kind != otherField
}

// StripTrailer removes from the trailer section of a request what a client may not say in the head either: some servers add the one to
// the other.
func StripTrailer(h http.Header) {
	for name := range h {
		if forwardingField(name) != notForwarding || looksLikeLength(name) || sameName(name, "x-request-id") {
			delete(h, name)
		}
	}
}

// looksLikeLength says whether a field looks like Content-Length or Transfer-Encoding to servers that take underscores for hyphens.
func looksLikeLength(name string) bool {
	switch len(name) {
	case len("content_length"):
		return strings.IndexByte(name, '_') >= 0 && sameName(name, "content-length")
	case len("transfer_encoding"):
		return strings.IndexByte(name, '_') >= 0 && sameName(name, "transfer-encoding")
	}
	return false
}

// fieldKind is what a field has to do with forwarding.
type fieldKind uint8

const (
	notForwarding fieldKind = iota
	rfcField                // Forwarded
	ownField                // one that the gateway works out: client, scheme, host
	otherField              // another X-Forwarded-*
)

// forwardingField says what a field has to do with forwarding.
func forwardingField(name string) fieldKind {
	if len(name) < len("Forwarded") {
		return notForwarding
	}
	switch name[0] | 0x20 {
	case 'f':
		if sameName(name, "forwarded") {
			return rfcField
		}
	case 'x':
		if len(name) >= len("x-forwarded") && sameName(name[:len("x-forwarded")], "x-forwarded") {
			return xForwarded(name[len("x-forwarded"):])
		}
		if sameName(name, "x-real-ip") {
			return ownField
		}
	}
	return notForwarding
}

func xForwarded(rest string) fieldKind {
	if rest != "" && rest[0] != '-' && rest[0] != '_' {
		return notForwarding
	}
	for _, own := range [...]string{"-for", "-host", "-proto"} {
		if sameName(rest, own) {
			return ownField
		}
	}
	return otherField
}

// sameName compares a field's name with one in lower case, taking underscores for hyphens.
func sameName(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
