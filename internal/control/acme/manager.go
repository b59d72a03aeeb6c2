package acme

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/observe"
)

// Options are what a Manager is made with.
type Options struct {
	Log     *slog.Logger
	Metrics *observe.Metrics
	Retry   time.Duration    // the pause after a first failure, which doubles with each further one; 0: a minute
	Now     func() time.Time // nil: time.Now
}

// Manager has certificates issued and renewed, for the names that the configuration says. Without any it does nothing.
type Manager struct {
	log     *slog.Logger
	retry   time.Duration
	now     func() time.Time
	metrics *metrics
	answers *answers
	served  atomic.Pointer[table] // nil: there are no names

	running context.Context // ends with the manager
	end     context.CancelFunc
	work    sync.WaitGroup

	mu          sync.Mutex // one Prepare, Commit or Close at a time
	authorities map[[sha256.Size]byte]*authority
}

// table finds names. It is immutable; the certificates in it are not.
type table struct {
	names map[string]*managed
	order []*managed
	old   map[*managed]*tls.Certificate // certificates from before their settings changed
}

// New returns a manager without names.
func New(o Options) *Manager {
	m := &Manager{
		log: o.Log, retry: cmp.Or(o.Retry, time.Minute), now: o.Now, metrics: newMetrics(o.Metrics),
		answers:     newAnswers(),
		authorities: map[[sha256.Size]byte]*authority{},
	}
	if m.now == nil {
		m.now = time.Now
	}
	m.running, m.end = context.WithCancel(context.Background())
	return m
}

// Certificate returns the certificate for a name; nil: there is none.
func (m *Manager) Certificate(name string) *tls.Certificate {
	of := m.served.Load()
	if of == nil {
		return nil
	}
	if d := of.names[name]; d != nil {
		return d.cert.Load()
	}
	if dot := strings.IndexByte(name, '.'); dot > 0 {
		if d := of.names["*"+name[dot:]]; d != nil {
			return d.cert.Load()
		}
	}
	return nil
}

// Any returns the certificate of the first name that has one; nil: none has.
func (m *Manager) Any() *tls.Certificate {
	if of := m.served.Load(); of != nil {
		for _, d := range of.order {
			if cert := d.cert.Load(); cert != nil {
				return cert
			}
		}
	}
	return nil
}

// inherited says whether a name still has the certificate from before its settings changed.
func (m *Manager) inherited(d *managed, cert *tls.Certificate) bool {
	of := m.served.Load()
	return of != nil && cert != nil && same(of.old[d], cert)
}

// Plan is what shall be served, before it is.
type Plan struct {
	manager     *Manager
	before      *table
	next        *table
	authorities map[[sha256.Size]byte]*authority
	broken      map[*authority]bool // whose store does not work, so that the start does not wait for it once per name
}

// Prepare reads what the configuration says, and loads the certificates that are stored. It asks no authority. The errors are
// config.FieldErrors below the list of listeners. The plan is published and committed, or discarded.
func (m *Manager) Prepare(ctx context.Context, cfg *config.Config, dir string) (*Plan, error) {
	all, err := gather(cfg, dir)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &Plan{manager: m, before: m.served.Load(), authorities: map[[sha256.Size]byte]*authority{}, broken: map[*authority]bool{}}
	if len(all) == 0 {
		return p, nil
	}
	p.next = &table{names: map[string]*managed{}, old: map[*managed]*tls.Certificate{}}
	for _, w := range all {
		a, err := p.authority(w.settings)
		if err != nil {
			return nil, config.FieldErrorf(w.at, "%w", err)
		}
		d := p.keep(ctx, w.name, a)
		p.next.names[w.name] = d
		p.next.order = append(p.next.order, d)
	}
	return p, nil
}

// authority finds the authority with these settings, or makes it.
func (p *Plan) authority(s settings) (*authority, error) {
	key := s.key()
	if a := p.authorities[key]; a != nil {
		return a, nil
	}
	a := p.manager.authorities[key]
	if a == nil {
		var err error
		if a, err = newAuthority(s, p.manager.answers); err != nil {
			return nil, err
		}
	}
	p.authorities[key] = a
	return a, nil
}

// keep finds the name as it is looked after already, or makes it, with the certificate that is stored, or with the one that it had.
func (p *Plan) keep(ctx context.Context, name string, a *authority) *managed {
	m := p.manager
	var had *managed
	if p.before != nil {
		had = p.before.names[name]
	}
	if had != nil && had.authority == a {
		if cert := p.before.old[had]; cert != nil {
			p.next.old[had] = cert
		}
		return had
	}
	d := &managed{manager: m, name: name, authority: a}
	cert := p.load(ctx, name, a)
	if cert == nil && had != nil {
		if cert = had.cert.Load(); cert != nil {
			p.next.old[d] = cert
		}
	}
	if cert != nil {
		d.cert.Store(cert)
	}
	return d
}

// load loads what is stored; nil: nothing, or nothing that can be used.
func (p *Plan) load(ctx context.Context, name string, a *authority) *tls.Certificate {
	if p.broken[a] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cert, err := a.loadCertificate(ctx, name)
	switch {
	case errors.Is(err, errStore):
		p.broken[a] = true
		p.manager.log.Error("stored certificates cannot be loaded; it is tried again", "error", err)
	case err != nil:
		p.manager.log.Warn("a stored certificate is got anew", "domain", name, "error", err)
	}
	return cert
}

// Publish has the plan's certificates served. Nothing is ordered yet.
func (p *Plan) Publish() { p.manager.served.Store(p.next) }

// Discard has what was served before served again.
func (p *Plan) Discard() { p.manager.served.Store(p.before) }

// Commit begins to look after new names, and stops looking after those that are gone. It waits for neither.
func (p *Plan) Commit() {
	m := p.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running.Err() != nil {
		return
	}
	p.Publish()
	kept := map[*managed]bool{}
	if p.next != nil {
		for _, d := range p.next.order {
			kept[d] = true
		}
	}
	if p.before != nil {
		for _, d := range p.before.order {
			if !kept[d] {
				d.stop()
				m.metrics.forget(d.name)
			}
		}
	}
	for d := range kept {
		if d.stop == nil {
			m.start(d)
		}
	}
	for key, a := range m.authorities {
		if p.authorities[key] == nil {
			a.close()
		}
	}
	m.authorities = p.authorities
}

// start looks after a name, until it is stopped or the manager is closed.
func (m *Manager) start(d *managed) {
	var ctx context.Context
	ctx, d.stop = context.WithCancel(m.running)
	m.metrics.expiry.WithLabelValues(d.name).Set(0)
	m.metrics.failed.WithLabelValues(d.name).Set(0)
	m.metrics.orders.WithLabelValues(d.name, "ok").Add(0)
	m.metrics.orders.WithLabelValues(d.name, "failed").Add(0)
	if cert := d.cert.Load(); cert != nil {
		d.use(cert)
	}
	m.work.Go(func() { d.run(ctx) })
}

// Close ends all orders, and waits for that.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	m.work.Wait()
	for _, a := range m.authorities {
		a.close()
	}
}
