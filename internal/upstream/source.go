package upstream

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

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/upstream/discover"
	"cardea.dev/cardea/internal/upstream/pool"
)

// source is one endpoint of the configuration, which may stand for many.
type source struct {
	cluster  *Cluster
	priority int
	resolver *discover.Resolver // nil: its address is known
	begun    chan struct{}      // closed when the resolver has reported once; nil before start

	mu    sync.Mutex
	list  []found
	known bool // list says something
	err   error
}

// buildSources makes the sources, and the table if no look-up is needed for that.
func (c *Cluster) buildSources() error {
	var errs []error
	for i, e := range c.config.Endpoints {
		spec, err := discover.ParseSpec(e.URL, e.Weight)
		if err != nil {
			errs = append(errs, config.FieldErrorf("endpoints["+strconv.Itoa(i)+"].url", "%w", err))
			continue
		}
		c.sources = append(c.sources, c.newSource(spec, e.Priority))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	c.update()
	return nil
}

// newSource makes a source.
func (c *Cluster) newSource(spec discover.Spec, priority int) *source {
	s := &source{cluster: c, priority: priority}
	address := net.JoinHostPort(spec.Host, strconv.Itoa(spec.Port))
	if spec.Path != "" {
		address = "unix:" + spec.Path
	} else if _, err := netip.ParseAddr(spec.Host); err != nil {
		d := c.config.DNS
		s.resolver = discover.New([]discover.Spec{spec}, discover.Options{
			Servers: d.Servers, MinTTL: time.Duration(d.MinTTL), MaxTTL: time.Duration(d.MaxTTL),
		})
		return s
	}
	s.set([]discover.Endpoint{{Scheme: spec.Scheme, Address: address, Host: spec.Host, Weight: spec.Weight}}, nil)
	return s
}

// start begins to look up. The goroutine ends once all was looked up for the first time, or ctx ends.
func (s *source) start(ctx context.Context) {
	if s.resolver == nil {
		return
	}
	s.begun = make(chan struct{})
	s.cluster.tasks.Go(func() {
		defer close(s.begun)
		s.resolver.Start(ctx, s.changed)
	})
}

// stop ends what start began, after its context has ended.
func (s *source) stop() {
	if s.begun != nil {
		<-s.begun
		s.resolver.Close()
	}
}

// changed is told by the resolver what there is now.
func (s *source) changed(list []discover.Endpoint, err error) {
	switch {
	case err != nil && len(list) > 0:
		s.cluster.log.Warn("cannot look up endpoints; those known before are kept", "error", err)
	case err != nil:
		s.cluster.log.Error("cannot look up endpoints", "error", err)
	default:
		s.cluster.log.Info("endpoints found", "endpoints", len(list))
	}
	s.set(list, err)
	s.cluster.update()
}

// set notes what there is.
func (s *source) set(list []discover.Endpoint, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list, s.known, s.err = make([]found, len(list)), true, err
	for i, e := range list {
		s.list[i] = s.found(e)
	}
}

// found is an endpoint as the cluster sees it.
func (s *source) found(e discover.Endpoint) found {
	f := found{weight: e.Weight, priority: s.priority + e.Priority, host: hostField(e)}
	f.target = pool.Target{Scheme: "http", Address: e.Address}
	if e.Scheme == "https" {
		f.target.Scheme, f.target.ServerName = "https", e.Host
	}
	return f
}

// hostField is the Host field for an endpoint's own name: with the port, unless it is that of the scheme.
func hostField(e discover.Endpoint) string {
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		return "localhost" // a socket
	}
	if e.Host != "" {
		host = e.Host
	}
	if e.Scheme == "https" && port == "443" || e.Scheme != "https" && port == "80" {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

// endpoints returns what the source stands for; known is false while that is not known yet.
func (s *source) endpoints() (list []found, known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list, s.known, s.err
}

// resolveError says why endpoints could not be looked up, or nil.
func (c *Cluster) resolveError() error {
	var errs []error
	for _, s := range c.sources {
		if _, _, err := s.endpoints(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// protocol is the protocol that the pool speaks: an endpoint's URL may say that it is h2c.
func protocol(c *config.Upstream) string {
	isH2C := func(e config.Endpoint) bool { return strings.HasPrefix(e.URL, "h2c") }
	if c.Protocol == "auto" && slices.ContainsFunc(c.Endpoints, isH2C) {
		return "h2c"
	}
	return c.Protocol
}
