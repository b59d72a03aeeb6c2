package guard

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gaissmai/bart"
	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
)

// Config says how many failures an address may have. The short form is Failures.
type Config struct {
	// Failures is how many requests of one address may be refused for their credentials, in which time. By default 10/min.
	Failures config.Rate `yaml:"failures,short"`

	// Block is for how long an address with more failures is turned away. By default 5m.
	Block config.Duration `yaml:"block"`

	// Upstream counts answers of the services with 401 as failures too. By default off.
	Upstream bool `yaml:"upstream"`

	// Except are addresses and ranges that are never turned away, such as those of one's own offices, where many people share one. By
	// default none.
	Except []config.Prefix `yaml:"except"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.Failures = config.Rate{Count: 10, Per: time.Minute}
	c.Block = config.Duration(5 * time.Minute)
}

// Validate checks that the numbers mean something.
func (c *Config) Validate() error {
	switch {
	case c.Failures.Count < 1 || c.Failures.Per <= 0:
		return config.FieldErrorf("failures", "at least one failure must be allowed; `guard: off` turns it off")
	case c.Block <= 0:
		return config.FieldErrorf("block", "expected a time, such as 5m")
	case c.Failures.Burst != 0:
		return config.FieldErrorf("failures", "a burst has no meaning here: all failures may come at once")
	}
	return nil
}

// Kind is the kind of this policy.
func Kind() filter.Kind { return filter.Define("guard", filter.Guard, build) }

// guard is the policy as it runs.
type guard struct {
	table     *table
	upstream  bool
	except    *bart.Lite
	now       func() time.Time
	blocks    prometheus.Counter
	refusals  prometheus.Counter
	unchecked bool // nothing is excepted
}

func build(env *filter.Env, c *Config) (*filter.Filter, error) {
	g, err := newPolicy(env, c)
	if err != nil {
		return nil, err
	}
	return &filter.Filter{Request: g.request, Response: g.response, Explain: g.explain}, nil
}

func newPolicy(env *filter.Env, c *Config) (*guard, error) {
	key := fmt.Sprintf("guard:%d/%s/%s", c.Failures.Count, c.Failures.Per, time.Duration(c.Block))
	counts, err := filter.Keep(env, key, func() (*table, error) {
		return newTable(int(min(c.Failures.Count, math.MaxInt32)), c.Failures.Per, time.Duration(c.Block)), nil
	})
	if err != nil {
		return nil, err
	}
	g := &guard{table: counts, upstream: c.Upstream, except: new(bart.Lite), now: time.Now, unchecked: len(c.Except) == 0}
	for _, p := range c.Except {
		g.except.Insert(p.Masked())
	}
	g.blocks = env.Metrics.Counter("guard_blocks_total", "How often an address was turned away anew, by route.", "route").WithLabelValues(env.Route.Name)
	g.refusals = env.Metrics.Counter("guard_refusals_total", "Requests of addresses that are turned away, by route.", "route").WithLabelValues(env.Route.Name)
	return g, nil
}

// request turns away an address that has failed too often.
func (g *guard) request(ex *filter.Exchange) error {
	if g.table.empty() {
		return nil
	}
	addr, counted := g.address(ex)
	if !counted {
		return nil
	}
	left, _ := g.table.look(addr, g.now())
	if left <= 0 {
		return nil
	}
	g.refusals.Inc()
	return refuse(left)
}

// response counts a failure.
func (g *guard) response(ex *filter.Exchange) error {
	if !g.failed(ex) {
		return nil
	}
	addr, counted := g.address(ex)
	if counted && g.table.fail(addr, g.now()) {
		g.blocks.Inc()
	}
	return nil
}

// failed says whether the response refuses credentials.
func (g *guard) failed(ex *filter.Exchange) bool {
	if ex.Err == nil {
		return g.upstream && ex.Response != nil && ex.Response.StatusCode == http.StatusUnauthorized
	}
	var why *filter.Error
	if !errors.As(ex.Err, &why) {
		return false
	}
	return why.HTTPStatus() == http.StatusUnauthorized && why.Code != filter.CredentialsMissing
}

// address is what counts as the client's address, if it does.
func (g *guard) address(ex *filter.Exchange) (netip.Addr, bool) {
	addr := ex.Client.Unmap().WithZone("")
	if !addr.IsValid() || !g.unchecked && g.except.Contains(addr) {
		return addr, false
	}
	if addr.Is6() {
		p, _ := addr.Prefix(64)
		addr = p.Addr()
	}
	return addr, true
}

func (g *guard) explain(ex *filter.Exchange) filter.Verdict {
	addr, counted := g.address(ex)
	if !counted {
		return filter.Verdict{Action: filter.Passes, Note: "the address is not counted"}
	}
	left, failures := g.table.look(addr, g.now())
	if left > 0 {
		return filter.Verdict{Action: filter.Rejects, Note: fmt.Sprintf("%s failed too often, and is turned away for another %s", addr, left.Round(time.Second))}
	}
	return filter.Verdict{Action: filter.Passes, Note: fmt.Sprintf("%s has %d of %d failures", addr, failures, g.table.limit)}
}

// refuse says when to come again.
func refuse(left time.Duration) error {
	seconds := int64(math.Ceil(left.Seconds()))
	return filter.Reject(filter.TooManyFailures, "").With("Retry-After", strconv.FormatInt(seconds, 10))
}
