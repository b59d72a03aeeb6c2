package discover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Error says why a name could not be resolved.
type Error struct {
	Name     string
	NotFound bool // there is no such name, or it has no such records; false: nobody could say
	Err      error
}

// Error tells operators what happened.
func (e *Error) Error() string { return fmt.Sprintf("cannot resolve %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errNoName    = errors.New("there is no such name")
	errNoRecords = errors.New("it has no such records")
	errNoService = errors.New("its SRV record says that there is no such service")
)

// fixedTTL is for answers that come without one: the hosts file and the system's resolver.
const fixedTTL = 30 * time.Second

// lookup is one resolution of one name.
type lookup struct {
	o    *Options
	conf *dns.ClientConfig // nil: ask the system's resolver
}

// newLookup reads the configuration anew, as it may have changed.
func newLookup(o *Options) *lookup {
	if len(o.Servers) > 0 {
		conf := &dns.ClientConfig{Port: "53", Ndots: 1, Timeout: 5, Attempts: 2, Servers: o.Servers}
		if file, err := dns.ClientConfigFromFile(o.resolvConf); err == nil {
			conf.Search, conf.Ndots = file.Search, file.Ndots
		}
		return &lookup{o, conf}
	}
	conf, err := dns.ClientConfigFromFile(o.resolvConf)
	if err != nil || len(conf.Servers) == 0 {
		return &lookup{o, nil}
	}
	return &lookup{o, conf}
}

// addresses returns the usable addresses of a name, sorted.
func (l *lookup) addresses(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	addrs, ttl, err := l.find(ctx, name)
	if err != nil {
		return nil, ttl, err
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return l.usable(slices.Compact(addrs)), ttl, nil
}

// find looks where libc does: in the hosts file first.
func (l *lookup) find(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	if addrs := readHosts(l.o.hostsFile, name); len(addrs) > 0 {
		return addrs, fixedTTL, nil
	}
	if isLocalhost(name) { // RFC 6761, 6.3
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, fixedTTL, nil
	}
	if l.conf == nil {
		return l.system(ctx, name)
	}
	return search(l, name, func(full string) ([]netip.Addr, time.Duration, error) { return l.both(ctx, full) })
}

func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

func (l *lookup) system(ctx context.Context, name string) ([]netip.Addr, time.Duration, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	if err != nil {
		return nil, 0, systemError(name, err)
	}
	return addrs, fixedTTL, nil
}

func systemError(name string, err error) error {
	var e *net.DNSError
	return &Error{Name: name, NotFound: errors.As(err, &e) && e.IsNotFound, Err: err}
}

// usable leaves out addresses that there is no way to, as libc does where a machine has no IPv6. If none is left, all are kept.
func (l *lookup) usable(addrs []netip.Addr) []netip.Addr {
	var ok []netip.Addr
	for _, a := range addrs {
		if a.IsLoopback() || l.o.routable(a) {
			ok = append(ok, a)
		}
	}
	if len(ok) == 0 {
		return addrs
	}
	return ok
}

// routable asks the system for the way to an address. Nothing is sent.
func routable(a netip.Addr) bool {
	c, err := net.Dial("udp", netip.AddrPortFrom(a, 9).String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// search tries a name with the search domains as libc does, until one gives an answer.
func search[T any](l *lookup, name string, ask func(full string) ([]T, time.Duration, error)) ([]T, time.Duration, error) {
	var failed, missing error
	var negative time.Duration
	for _, full := range l.conf.NameList(name) {
		found, ttl, err := ask(full)
		var e *Error
		switch {
		case err == nil:
			return found, ttl, nil
		case errors.As(err, &e) && e.NotFound:
			if missing == nil || e.Err == errNoRecords {
				missing, negative = e.Err, ttl
			}
		case failed == nil:
			failed = err
		}
	}
	if failed != nil { // perhaps it would have been there
		return nil, 0, failed
	}
	return nil, negative, &Error{Name: name, NotFound: true, Err: missing}
}

// both asks for IPv4 and IPv6 addresses at the same time. One kind is enough.
func (l *lookup) both(ctx context.Context, full string) ([]netip.Addr, time.Duration, error) {
	type result struct {
		addrs []netip.Addr
		ttl   time.Duration
		err   error
	}
	six := make(chan result, 1)
	go func() { // ends with ctx
		a, ttl, err := l.kind(ctx, full, dns.TypeAAAA)
		six <- result{a, ttl, err}
	}()
	a, ttl, err := l.kind(ctx, full, dns.TypeA)
	v4, v6 := result{a, ttl, err}, <-six
	switch {
	case v4.err == nil && v6.err == nil:
		return append(v4.addrs, v6.addrs...), min(v4.ttl, v6.ttl), nil
	case v4.err == nil:
		return v4.addrs, v4.ttl, nil
	case v6.err == nil:
		return v6.addrs, v6.ttl, nil
	}
	var e *Error
	if errors.As(v4.err, &e) && e.NotFound { // then it is the other's failure that counts, if it failed
		return nil, max(v4.ttl, v6.ttl), v6.err
	}
	return nil, v4.ttl, v4.err
}

func (l *lookup) kind(ctx context.Context, full string, kind uint16) ([]netip.Addr, time.Duration, error) {
	msg, err := l.ask(ctx, full, kind)
	if err != nil {
		return nil, 0, err
	}
	names, ttl := aliases(msg.Answer, full)
	addrs, ttl := addressesIn(msg.Answer, names, ttl)
	if len(addrs) == 0 {
		return nil, negativeTTL(msg), missing(full, msg)
	}
	return addrs, ttl, nil
}

const noTTL = time.Duration(1<<63 - 1)

// aliases follows CNAMEs from a name. It returns all names on the way and the least time to live.
func aliases(records []dns.RR, name string) ([]string, time.Duration) {
	names, ttl := []string{dns.CanonicalName(name)}, noTTL
	for range records { // as many steps as there may be
		for _, rr := range records {
			c, ok := rr.(*dns.CNAME)
			if ok && dns.CanonicalName(c.Hdr.Name) == names[len(names)-1] && !slices.Contains(names, dns.CanonicalName(c.Target)) {
				names = append(names, dns.CanonicalName(c.Target))
				ttl = min(ttl, seconds(c.Hdr.Ttl))
			}
		}
	}
	return names, ttl
}

func addressesIn(records []dns.RR, names []string, ttl time.Duration) ([]netip.Addr, time.Duration) {
	var addrs []netip.Addr
	for _, rr := range records {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		a, ok := netip.AddrFromSlice(ip)
		if ok && slices.Contains(names, dns.CanonicalName(rr.Header().Name)) {
			addrs = append(addrs, a.Unmap())
			ttl = min(ttl, seconds(rr.Header().Ttl))
		}
	}
	return addrs, ttl
}

// seconds reads a time to live: RFC 2181, 8 takes one with the highest bit set for zero.
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// negativeTTL is how long an answer without records holds (RFC 2308, 5).
func negativeTTL(msg *dns.Msg) time.Duration {
	for _, rr := range msg.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return seconds(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return 0
}

func missing(name string, msg *dns.Msg) error {
	if msg.Rcode == dns.RcodeNameError {
		return &Error{Name: name, NotFound: true, Err: errNoName}
	}
	return &Error{Name: name, NotFound: true, Err: errNoRecords}
}
