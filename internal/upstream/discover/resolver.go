package discover

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Endpoint is an address to send requests to.
type Endpoint struct {
	Scheme   string // "http", "https" or "h2c"
	Address  string // "10.0.0.1:8080", "[::1]:8080", "localhost:8080" or "unix:/run/app.sock"
	Host     string // the name as written, or the target of the SRV record; for Host and for TLS. "localhost" for a socket
	Weight   int    // as written; with SRV times the record's weight, where 0 counts as 1
	Priority int    // of the SRV record; the lowest goes first. 0 for others
}

// Options say how names are looked up. Their zero value does it as the system does.
type Options struct {
	Servers []string                             // DNS servers, "10.0.0.2" or "10.0.0.2:53". Default: those in /etc/resolv.conf
	MinTTL  time.Duration                        // shortest time between two look-ups of a name. 0: 1 second
	MaxTTL  time.Duration                        // longest time between two look-ups of a name. 0: 5 minutes
	Timeout time.Duration                        // limit of one look-up, and of the wait of Start. 0: 5 seconds
	After   func(time.Duration) <-chan time.Time // the clock. Nil: time.After

	hostsFile, resolvConf string
	routable              func(netip.Addr) bool
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&o.MinTTL, time.Second)
	set(&o.MaxTTL, 5*time.Minute)
	set(&o.Timeout, 5*time.Second)
	if o.After == nil {
		o.After = time.After
	}
	if o.hostsFile == "" {
		o.hostsFile = "/etc/hosts"
	}
	if o.resolvConf == "" {
		o.resolvConf = "/etc/resolv.conf"
	}
	if o.routable == nil {
		o.routable = routable
	}
	return o
}

// Resolver keeps the addresses of some endpoints up to date.
type Resolver struct {
	specs  []Spec
	o      Options
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex // held while onChange runs
	started  bool       // Start has reported
	closed   bool
	onChange func([]Endpoint, error)
	found    []found // for each spec
	last     []Endpoint
	lastErr  []outcome
}

// outcome is what matters of an error to say whether it is a new one; its text has ports and times in it.
type outcome uint8

const (
	good outcome = iota
	notFound
	failed
)

func outcomeOf(err error) outcome {
	var e *Error
	switch {
	case err == nil:
		return good
	case errors.As(err, &e) && e.NotFound:
		return notFound
	}
	return failed
}

// found is what is known for a spec.
type found struct {
	endpoints []Endpoint // the last good ones
	err       error      // of the last look-up
}

// New returns a resolver that does nothing yet.
func New(specs []Spec, o Options) *Resolver {
	r := &Resolver{specs: specs, o: o.withDefaults(), found: make([]found, len(specs))}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Start looks all names up and calls onChange, once, before it returns: when all names have been looked up or the time is over. It
// calls it again whenever the endpoints or the error change, one call at a time, until ctx ends or the resolver is closed.
//
// onChange gets all endpoints, in the order of the specs and sorted by address within one. When a look-up fails, its last good
// endpoints are kept, and the error, a joined one of *Error, says so until it succeeds again. onChange must not call Close.
func (r *Resolver) Start(ctx context.Context, onChange func([]Endpoint, error)) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(r.ctx, cancel)
	var first sync.WaitGroup
	if !r.followAll(ctx, &first, onChange) {
		return
	}
	r.await(ctx, &first)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = true
	for i, s := range r.specs {
		if f := &r.found[i]; f.endpoints == nil && f.err == nil {
			f.err = &Error{Name: s.Host, Err: context.DeadlineExceeded}
		}
	}
	r.report(true)
}

// followAll starts to follow all names. It returns false when the resolver is closed already.
func (r *Resolver) followAll(ctx context.Context, first *sync.WaitGroup, onChange func([]Endpoint, error)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.onChange = onChange
	for i, s := range r.specs {
		if e, ok := s.literal(); ok {
			r.found[i].endpoints = []Endpoint{e}
			continue
		}
		first.Add(1)
		r.wg.Go(func() { r.follow(ctx, i, sync.OnceFunc(first.Done)) }) // ends with ctx, which Close ends
	}
	return true
}

// await waits for the first look-ups, for as long as one may take.
func (r *Resolver) await(ctx context.Context, first *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { first.Wait(); close(done) }() // ends when all followers have looked up once or ended
	limit := time.NewTimer(r.o.Timeout + 100*time.Millisecond)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// Close stops the resolver and waits until it has. onChange is not called any more.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}

// follow looks the name of a spec up, again and again.
func (r *Resolver) follow(ctx context.Context, i int, once func()) {
	defer once()
	failures := 0
	for {
		endpoints, ttl, err := r.resolve(ctx, r.specs[i])
		if ctx.Err() != nil {
			return
		}
		r.update(i, endpoints, err)
		once()
		if failures++; err == nil {
			failures = 0
		}
		select {
		case <-r.o.After(r.wait(ttl, failures)):
		case <-ctx.Done():
			return
		}
	}
}

// wait is the time to the next look-up. After failures it grows from the shortest to half a minute, unless the answer says more.
func (r *Resolver) wait(ttl time.Duration, failures int) time.Duration {
	if failures > 0 {
		ttl = max(ttl, min(r.o.MinTTL<<min(failures-1, 10), 30*time.Second))
	}
	return max(r.o.MinTTL, min(ttl, r.o.MaxTTL))
}

func (r *Resolver) update(i int, endpoints []Endpoint, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := &r.found[i]
	f.err = err
	if err == nil || f.endpoints == nil {
		f.endpoints = endpoints
	}
	if r.started {
		r.report(false)
	}
}

// report calls onChange if there is something new. r.mu is held.
func (r *Resolver) report(always bool) {
	var all []Endpoint
	var errs []error
	outcomes := make([]outcome, len(r.found))
	for i, f := range r.found {
		all = append(all, f.endpoints...)
		outcomes[i] = outcomeOf(f.err)
		if f.err != nil {
			errs = append(errs, f.err)
		}
	}
	if r.closed || (!always && slices.Equal(outcomes, r.lastErr) && slices.Equal(all, r.last)) {
		return
	}
	r.last, r.lastErr = all, outcomes
	r.onChange(slices.Clone(all), errors.Join(errs...))
}

// literal returns the endpoint of a spec that needs no look-up.
func (s Spec) literal() (Endpoint, bool) {
	e := Endpoint{Scheme: s.Scheme, Host: s.Host, Weight: s.Weight}
	if s.Path != "" {
		e.Address, e.Host = "unix:"+s.Path, "localhost"
		return e, true
	}
	if _, err := netip.ParseAddr(s.Host); err != nil {
		return e, false
	}
	e.Address = net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	return e, true
}

func (r *Resolver) resolve(ctx context.Context, s Spec) ([]Endpoint, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	l := newLookup(&r.o)
	if s.SRV {
		return resolveSRV(ctx, l, s)
	}
	addrs, ttl, err := l.addresses(ctx, s.Host)
	if err != nil {
		return nil, ttl, err
	}
	return endpoints(addrs, Endpoint{Scheme: s.Scheme, Host: strings.TrimSuffix(s.Host, "."), Weight: s.Weight}, s.Port), ttl, nil
}

// endpoints makes an endpoint of each address. Loopback addresses of both families are one server, which may listen to either, so
// that the choice is left to the dialler.
func endpoints(addrs []netip.Addr, like Endpoint, port int) []Endpoint {
	p := strconv.Itoa(port)
	if len(addrs) == 2 && addrs[0].IsLoopback() && addrs[1].IsLoopback() && addrs[0].Is4() != addrs[1].Is4() {
		like.Address = net.JoinHostPort("localhost", p)
		return []Endpoint{like}
	}
	list := make([]Endpoint, len(addrs))
	for i, a := range addrs {
		list[i] = like
		list[i].Address = net.JoinHostPort(a.String(), p)
	}
	return list
}

// resolveSRV returns the endpoints of all SRV records of a name. With an error it returns those that could be had.
func resolveSRV(ctx context.Context, l *lookup, s Spec) ([]Endpoint, time.Duration, error) {
	records, extra, ttl, err := l.services(ctx, s.Host)
	if err != nil {
		return nil, ttl, err
	}
	slices.SortFunc(records, func(a, b *dns.SRV) int {
		if a.Priority != b.Priority {
			return int(a.Priority) - int(b.Priority)
		}
		return strings.Compare(a.Target+strconv.Itoa(int(a.Port)), b.Target+strconv.Itoa(int(b.Port)))
	})
	var all []Endpoint
	var errs []error
	for _, srv := range records {
		addrs, least := addressesIn(extra, []string{dns.CanonicalName(srv.Target)}, noTTL)
		if len(addrs) == 0 {
			addrs, least, err = l.addresses(ctx, dns.Fqdn(srv.Target))
			if err != nil {
				errs = append(errs, err)
				continue
			}
		}
		ttl = min(ttl, least)
		slices.SortFunc(addrs, netip.Addr.Compare)
		all = append(all, endpoints(l.usable(addrs), Endpoint{
			Scheme: s.Scheme, Host: strings.TrimSuffix(srv.Target, "."), Priority: int(srv.Priority),
			Weight: s.Weight * max(1, int(srv.Weight)),
		}, int(srv.Port))...)
	}
	return all, ttl, errors.Join(errs...)
}
