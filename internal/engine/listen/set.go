package listen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/http1"
	"cardea.dev/cardea/observe"
)

// Options are what a Set is made with.
type Options struct {
	Handler   func(*Edge) http.Handler                 // serves what comes by a listener; called anew when that changes
	Refuse    func(net.Conn, *http1.ParseError) []byte // what a client gets whose message cannot be read; nil: a short text
	Log       *slog.Logger                             // nil: nothing is logged
	Metrics   *observe.Metrics                         // nil: nothing is shown
	Inherited []Inherited                              // sockets for "systemd:NAME"; nil: those that the environment tells of
	Issued    Issued                                   // certificates of listeners with `acme`; nil: these get none
	Drain     time.Duration                            // how long connections of a listener that was removed may go on; 0: 30s
}

// Set is all the listeners of a gateway.
type Set struct {
	o         Options
	metrics   *metrics
	inherited inheritance

	mu        sync.Mutex // one Apply, Shutdown or refresh at a time
	listeners []*listener
	leaving   []*listener // removed, but not without connections yet
	watch     *watcher    // nil until there are certificates
	ended     bool

	drains  sync.WaitGroup
	running context.Context // ends when listeners that leave must be gone
	end     context.CancelFunc
}

// defaultDrain is how long connections of a removed listener may go on.
const defaultDrain = 30 * time.Second

// New returns a set without listeners.
func New(o Options) *Set {
	o.Drain = cmp.Or(o.Drain, defaultDrain)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Set{o: o, metrics: newMetrics(o.Metrics), inherited: inheritance{given: o.Inherited}}
	s.running, s.end = context.WithCancel(context.Background())
	return s
}

// planned is a listener as it will be.
type planned struct {
	config  *config.Listener
	key     string
	secured *secured
	old     *listener // which stays; nil: it is new
	socket  net.Listener
}

// Apply makes the listeners those of a configuration. New addresses are opened before anything else happens, and certificates are
// loaded; when one of these fails, nothing has changed. Sockets whose address stays are kept with their connections, which follow
// the new rules. Listeners that are gone accept no more at once, and their connections end in the time that the options give.
//
// Dir is where relative file names start. The errors are config.FieldErrors below the list: "[1].tls.cert".
func (s *Set) Apply(ctx context.Context, listeners []config.Listener, dir string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return errors.New("cannot listen: the gateway is shutting down")
	}
	plan, err := prepare(listeners, dir, s.o.Issued)
	if err != nil {
		return err
	}
	if err := s.open(ctx, plan); err != nil {
		return err
	}
	s.commit(plan)
	return nil
}

// Open opens the socket of an address that is not one of the listeners, such as that of the admin API, in the way theirs are. It is
// the caller's. A Unix socket is its owner's alone.
func (s *Set) Open(ctx context.Context, address string) (net.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := openSocket(ctx, &config.Listener{Address: address, Mode: "0600"}, &s.inherited)
	if err != nil {
		return nil, s.explain(err, address)
	}
	return l, nil
}

// Check says what is wrong with listeners as far as that can be seen without opening them: names and addresses that stand twice,
// certificates that cannot be read or used.
func Check(listeners []config.Listener, dir string) error {
	_, err := prepare(listeners, dir, nil)
	return err
}

// prepare does all that can fail but opening sockets.
func prepare(listeners []config.Listener, dir string, issued Issued) ([]planned, error) {
	plan := make([]planned, len(listeners))
	names, keys := map[string]bool{}, map[string]bool{}
	var errs []error
	for i := range listeners {
		c := &listeners[i]
		p := planned{config: c, key: c.Address}
		var err error
		if strings.HasSuffix(c.Address, ":0") {
			p.key += " " + c.Called() // any port, but another one for each
		}
		at := fmt.Sprintf("[%d]", i)
		switch {
		case keys[p.key]:
			errs = append(errs, config.FieldErrorf(at+".address", "%s stands there twice", c.Address))
		case names[c.Called()]:
			errs = append(errs, config.FieldErrorf(at+".name", "two listeners are called %q", c.Called()))
		}
		keys[p.key], names[c.Called()] = true, true
		if err := c.Validate(); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
			continue
		}
		if p.secured, err = newSecured(c, dir, issued); err != nil {
			errs = append(errs, config.FieldErrorf(at, "%w", err))
		}
		plan[i] = p
	}
	return plan, errors.Join(errs...)
}

// open finds the sockets that stay, and opens those that are new: all, or none.
func (s *Set) open(ctx context.Context, plan []planned) error {
	var errs []error
	for i := range plan {
		p := &plan[i]
		j := slices.IndexFunc(s.listeners, func(l *listener) bool { return l.key == p.key })
		if j >= 0 {
			p.old = s.listeners[j]
			continue
		}
		var err error
		if p.socket, err = openSocket(ctx, p.config, &s.inherited); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("[%d].address", i), "%w", s.explain(err, p.config.Address)))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	for _, p := range plan {
		if p.socket != nil {
			_ = p.socket.Close()
		}
	}
	return errors.Join(errs...)
}

// explain says more of an address that is in use when it is the gateway itself that uses it.
func (s *Set) explain(err error, address string) error {
	_, port, splits := strings.Cut(address, ":")
	if !errors.Is(err, syscall.EADDRINUSE) || !splits {
		return err
	}
	port = port[strings.LastIndexByte(port, ':')+1:]
	for _, l := range s.listeners {
		if own := l.live.Load().config.Address; strings.HasSuffix(own, ":"+port) {
			return fmt.Errorf("%w: the gateway itself listens on %s; to go from one to the other takes a restart, or a step between without either", err, own)
		}
	}
	return err
}

// commit brings a plan into effect. It cannot fail.
func (s *Set) commit(plan []planned) {
	before := s.listeners
	for _, l := range before {
		s.metrics.expires(l.live.Load().edge.Name, nil) // names may move from one listener to another
	}
	s.listeners = make([]*listener, len(plan))
	for i, p := range plan {
		l := p.old
		if l == nil {
			l = s.newListener(p)
		}
		s.listeners[i] = l
		s.change(l, p)
		if p.old == nil {
			l.serve()
		}
	}
	for _, l := range before {
		if !slices.Contains(s.listeners, l) {
			s.leave(l)
		}
	}
	s.follow()
}

func (s *Set) newListener(p planned) *listener {
	_, unix := p.socket.(*net.UnixListener)
	return &listener{
		key: p.key, socket: p.socket, unix: unix, log: s.o.Log, options: s.o, floods: newFloods(), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// change makes a listener behave as planned.
func (s *Set) change(l *listener, p planned) {
	c := p.config
	next := &live{config: c, edge: newEdge(c), secured: p.secured, proxy: newSenders(c, l.unix), flood: newFloodLimits(c), counts: s.metrics.of(c.Called())}
	next.handler = s.o.Handler(next.edge)
	if now := l.live.Load(); now != nil {
		next.secured = p.secured.keep(now.secured)
		s.repermit(now.config, c)
	}
	l.change(next)
	if next.secured == nil {
		return
	}
	s.metrics.expires(c.Called(), next.secured.certificates.expiries())
	for file, at := range next.secured.certificates.expiries() {
		if time.Now().After(at) {
			s.o.Log.Warn("a certificate has expired", "listener", c.Called(), "certificate", file, "expired", at)
		}
	}
}

// repermit changes what the socket itself is set to, as far as that is possible while it is open.
func (s *Set) repermit(now, next *config.Listener) {
	if network, path, _ := config.ParseAddress(next.Address); network == "unix" && now.Mode != next.Mode {
		if err := permit(next, path); err != nil {
			s.o.Log.Warn("cannot change the permissions of a socket", "listener", next.Called(), "error", err)
		}
	}
	if now.ReusePort != next.ReusePort {
		s.o.Log.Warn("reuse_port takes effect when the gateway is started anew", "listener", next.Called())
	}
}

// leave lets a listener end that is no longer wanted.
func (s *Set) leave(l *listener) {
	l.stop()
	s.leaving = append(s.leaving, l)
	s.drains.Go(func() { // ends after the drain time, or when the set does
		ctx, cancel := context.WithTimeout(s.running, s.o.Drain)
		defer cancel()
		now := l.live.Load()
		if err := l.drain(ctx); err != nil && s.running.Err() == nil {
			s.o.Log.Warn("cut connections of a listener that was removed", "listener", now.edge.Name)
		}
		s.left(l)
	})
}

// left forgets a listener that has ended.
func (s *Set) left(l *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = slices.DeleteFunc(s.leaving, func(other *listener) bool { return other == l })
}

// Addr is where a listener listens.
type Addr struct {
	Name       string `json:"name"`
	Configured string `json:"configured"`
	Actual     string `json:"actual"` // with the port that was chosen for port 0
}

// String returns where connections are accepted, with the name where there is one.
func (a Addr) String() string {
	if a.Name != a.Configured {
		return a.Name + "=" + a.Actual
	}
	return a.Actual
}

// Addrs lists where the listeners listen, in the order of the configuration.
func (s *Set) Addrs() []Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs := make([]Addr, len(s.listeners))
	for i, l := range s.listeners {
		edge := l.live.Load().edge
		addrs[i] = Addr{Name: edge.Name, Configured: edge.Address, Actual: l.socket.Addr().String()}
	}
	return addrs
}

// Shutdown accepts no more connections and waits for what runs to end. What has not when ctx ends is cut, and the error is that of
// ctx. Connections that were handed over to others (hijacked) are theirs. Nothing can be applied afterwards.
func (s *Set) Shutdown(ctx context.Context) error {
	err := s.finish(func(l *listener) error { return l.drain(ctx) })
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Close cuts everything at once. It may be called after Shutdown, and more than once.
func (s *Set) Close() error {
	return s.finish(func(l *listener) error { l.cut(); return nil })
}

// finish ends all listeners in a way, and then the set.
func (s *Set) finish(do func(*listener) error) error {
	s.mu.Lock()
	all := slices.Concat(s.listeners, s.leaving)
	watch := s.watch
	s.ended, s.watch = true, nil
	s.mu.Unlock()
	if watch != nil {
		watch.close()
	}
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, l := range all {
		wait.Go(func() { errs[i] = do(l) })
	}
	wait.Wait()
	s.end()
	s.drains.Wait()
	return errors.Join(errs...)
}
