package acme

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// look is how often a certificate in use is looked after: whether another gateway has renewed it, and what the authority says.
const look = time.Hour

// calm is how many first pauses pass before advice to renew is followed again. An authority that errs in its advice would else be
// asked for one certificate after another.
const calm = 60

// longest is the longest pause after a failure.
const longest = 6 * time.Hour

// managed is a name with its certificate.
type managed struct {
	manager   *Manager
	name      string
	authority *authority
	cert      atomic.Pointer[tls.Certificate]
	stop      context.CancelFunc // nil: it does not run yet

	// Of the goroutine that looks after it.
	failures int
	got      time.Time        // when the last one was got from the authority
	advice   acme.RenewalInfo // what the authority says of the certificate; without a window: nothing
	about    *tls.Certificate // the one it is about
	ask      time.Time        // when to ask for advice again
}

// use brings a certificate into use.
func (d *managed) use(cert *tls.Certificate) {
	d.cert.Store(cert)
	d.manager.metrics.expiry.WithLabelValues(d.name).Set(float64(cert.Leaf.NotAfter.Unix()))
}

// run looks after the certificate until ctx ends.
func (d *managed) run(ctx context.Context) {
	for {
		pause := time.NewTimer(d.tend(ctx))
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// tend does what is to be done now, and says when to look again.
func (d *managed) tend(ctx context.Context) time.Duration {
	d.adopt(ctx)
	cert := d.cert.Load()
	if cert != nil {
		if left := d.due(ctx, cert).Sub(d.manager.now()); left > 0 {
			return min(left, look)
		}
	}
	if !d.authority.enter(ctx) {
		return 0
	}
	defer d.authority.leave()
	got, ordered, err := d.renew(ctx, cert)
	if ctx.Err() != nil {
		return 0
	}
	if got != nil {
		d.use(got)
	}
	if err != nil {
		return d.fail(cert, err)
	}
	d.failures, d.got = 0, d.manager.now()
	d.manager.metrics.failed.WithLabelValues(d.name).Set(0)
	if ordered {
		d.manager.metrics.orders.WithLabelValues(d.name, "ok").Inc()
		d.manager.log.Info("got a certificate", "domain", d.name, "authority", d.authority.settings.directory, "expires", got.Leaf.NotAfter)
	}
	return d.manager.retry // what the authority says of the new one is asked then
}

// adopt takes over a certificate from the store that another gateway put there.
func (d *managed) adopt(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stored, err := d.authority.loadCertificate(ctx, d.name)
	if err != nil && ctx.Err() == nil {
		d.manager.log.Warn("a certificate cannot be read from the storage", "domain", d.name, "error", err)
	}
	now := d.cert.Load()
	if stored == nil || same(stored, now) || now != nil && !stored.Leaf.NotAfter.After(now.Leaf.NotAfter) && !d.foreign(now) {
		return
	}
	d.use(stored)
	d.manager.log.Info("took a certificate from the storage", "domain", d.name, "expires", stored.Leaf.NotAfter)
}

// foreign says whether a certificate is still one from before the configuration changed where they come from.
func (d *managed) foreign(cert *tls.Certificate) bool { return d.manager.inherited(d, cert) }

// renew orders a certificate, unless another gateway just did.
func (d *managed) renew(ctx context.Context, now *tls.Certificate) (cert *tls.Certificate, ordered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.authority.patience())
	defer cancel()
	unlock, err := d.authority.store.lock(ctx, d.authority.stored(d.name))
	if err != nil {
		return nil, false, fmt.Errorf("cannot lock the storage: %w", err)
	}
	defer unlock()
	stored, err := d.authority.loadCertificate(ctx, d.name)
	if err == nil && stored != nil && !same(stored, now) && d.manager.now().Before(renewAt(stored.Leaf)) {
		return stored, false, nil
	}
	replaces := now
	if d.failures > 0 || d.foreign(now) {
		replaces = nil // that may have been the reason
	}
	cert, err = d.authority.order(ctx, d.name, replaces)
	return cert, true, err
}

// fail tells of a failure, and says when to try again.
func (d *managed) fail(cert *tls.Certificate, err error) time.Duration {
	d.failures++
	d.manager.metrics.failed.WithLabelValues(d.name).Set(float64(d.failures))
	d.manager.metrics.orders.WithLabelValues(d.name, "failed").Inc()
	pause := d.manager.retry << min(d.failures-1, 20)
	if pause <= 0 || pause > longest {
		pause = longest
	}
	pause += rand.N(pause/5 + 1) //nolint:gosec // so that gateways do not all ask at once
	fields := []any{"domain", d.name, "authority", d.authority.settings.directory, "error", err, "again_in", pause.Round(time.Millisecond).String(), "failures", d.failures}
	switch {
	case cert == nil:
		d.manager.log.Error("cannot get a certificate: there is none for this domain", fields...)
	case d.manager.now().After(cert.Leaf.NotAfter):
		d.manager.log.Error("cannot renew a certificate: it has expired, and goes on serving", append(fields, "expired", cert.Leaf.NotAfter)...)
	default:
		d.manager.log.Error("cannot renew a certificate: it goes on serving", append(fields, "expires", cert.Leaf.NotAfter)...)
	}
	return pause
}

// due is when a certificate is to be renewed: when the authority says so (RFC 9773), or with a third of its life left.
func (d *managed) due(ctx context.Context, cert *tls.Certificate) time.Time {
	if d.foreign(cert) {
		return time.Time{}
	}
	if now := d.manager.now(); !same(d.about, cert) || !now.Before(d.ask) {
		d.askAdvice(ctx, cert, now)
	}
	if !d.advice.HasWindow() {
		return renewAt(cert.Leaf)
	}
	at := d.advice.SelectedTime
	if soonest := d.got.Add(calm * d.manager.retry); at.Before(soonest) {
		at = soonest
	}
	if last := lastCall(cert.Leaf); last.Before(at) {
		return last
	}
	return at
}

// askAdvice asks the authority when to renew. It need not know.
func (d *managed) askAdvice(ctx context.Context, cert *tls.Certificate, now time.Time) {
	if !same(d.about, cert) {
		d.advice = acme.RenewalInfo{}
	}
	d.about, d.ask = cert, now.Add(6*look)
	if !d.authority.enter(ctx) {
		return
	}
	defer d.authority.leave()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	got, err := d.authority.newClient().GetRenewalInfo(ctx, cert.Leaf)
	if err != nil {
		d.manager.log.Debug("the authority does not say when to renew", "domain", d.name, "error", err)
		return
	}
	if got.RetryAfter != nil && got.RetryAfter.Before(d.ask) {
		d.ask = *got.RetryAfter
	}
	if d.advice.SameWindow(got) {
		return // the time within it stays the one that was chosen
	}
	d.advice = got
}
