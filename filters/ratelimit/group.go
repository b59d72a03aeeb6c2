package ratelimit

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/sharedlimit"
)

// group is limits that are counted together: they have the same key and the same cost.
type group struct {
	key     *limit.Key
	counter *counter
	limits  []shown
	cost    *limit.Cost
	failed  prometheus.Counter
}

// shown is how a limit is shown.
type shown struct {
	text   string // to operators: "100/min per address"
	public string // to clients: "the limit of 100/min"
	name   string // in fields
	rule   limit.Rule
	counts [outcomes]prometheus.Counter
}

// The outcomes of requests, for metrics.
const (
	allowed = iota
	refused
	wouldRefuse
	outcomes
)

func (g *group) count(outcome int) {
	for i := range g.limits {
		g.limits[i].counts[outcome].Inc()
	}
}

// builder makes groups of limits.
type builder struct {
	env    *filter.Env
	config *Config
}

// said reports whether all limits say what they are counted by.
func (b *builder) said(limits []Limit) bool {
	return !slices.ContainsFunc(limits, func(l Limit) bool { return len(l.Per) == 0 })
}

// checkInherited checks what limits take from the policy, so that what is wrong with it is shown where it is written.
func (b *builder) checkInherited() error {
	_, keyErr := limit.NewKey(b.env, b.config.KeyConfig)
	_, costErr := limit.NewCost(b.env, b.config.CostConfig, nil)
	return errors.Join(keyErr, costErr)
}

// groups makes the groups of limits that are written at a path, for some callers or for all.
func (b *builder) groups(path string, limits []Limit, who string) ([]*group, error) {
	var errs []error
	var made []*group
	var written [][]Limit // by group
	together := map[string]int{}
	for i := range limits {
		l := &limits[i]
		same := strings.Join([]string{strings.Join(l.Per, ","), l.Name, l.Cost, l.CostResponse.Value, strconv.FormatBool(l.CostResponse.Hide)}, "\x00")
		at, known := together[same]
		if !known {
			g, err := b.group(l)
			if err != nil {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d]", path, i), "%w", err))
				continue
			}
			at, together[same] = len(made), len(made)
			made, written = append(made, g), append(written, nil)
		}
		made[at].limits = append(made[at].limits, b.show(l, made[at].key, len(limits) == 1))
		written[at] = append(written[at], *l)
		if err := b.claim(l); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("%s[%d].name", path, i), "%w", err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	for i, g := range made {
		var err error
		if g.counter, err = b.counter(g, written[i], who); err != nil {
			errs = append(errs, err)
		}
	}
	return made, errors.Join(errs...)
}

// group makes a group without limits.
func (b *builder) group(l *Limit) (*group, error) {
	unusable := b.env.Metrics.Counter("rate_limit_unusable_costs_total", "Costs that are no numbers and were taken for 1, by route.", "route").WithLabelValues(b.env.Route.Name)
	g := &group{failed: b.env.Metrics.Counter("rate_limit_store_refusals_total", "Requests that a limit could not be checked for, by route.", "route").WithLabelValues(b.env.Route.Name)}
	key, err := limit.NewKey(b.env, limit.KeyConfig{Per: l.Per, Absent: b.config.Absent})
	cost, costErr := limit.NewCost(b.env, l.CostConfig, unusable)
	g.key, g.cost = key, cost
	return g, errors.Join(err, costErr)
}

// show says how a limit is shown.
func (b *builder) show(l *Limit, key *limit.Key, alone bool) shown {
	rate := l.rate.String()
	s := shown{text: l.text(key), public: "the limit of " + rate, name: rate, rule: l.rule()}
	switch {
	case l.Name != "":
		s.public, s.name = fmt.Sprintf("the limit %q of %s", l.Name, rate), l.Name
	case alone:
		s.name = "default"
	}
	requests := b.env.Metrics.Counter("rate_limit_requests_total", "Requests that limits were asked about, by route, limit and outcome: allowed, refused, would_refuse.", "route", "limit", "outcome")
	for outcome, name := range []string{"allowed", "refused", "would_refuse"} {
		s.counts[outcome] = requests.WithLabelValues(b.env.Route.Name, s.text, name)
	}
	return s
}

// text is a limit as operators see it.
func (l *Limit) text(key *limit.Key) string {
	text := l.rate.String()
	if l.Algorithm != string(limit.GCRA) {
		text += " " + l.Algorithm
	}
	if by := key.String(); by != "" {
		text += " per " + by
	}
	return text
}

// counter is what is kept: the counts of a group.
type counter struct {
	limit.Counter
	info filter.LimiterInfo
}

var _ filter.Limiter = (*counter)(nil)

// counter returns the counter of a group: the one that was kept, where it is the same limits at the same place.
func (b *builder) counter(g *group, written []Limit, who string) (*counter, error) {
	var texts []string
	var rules []limit.Rule
	for i := range g.limits {
		texts, rules = append(texts, g.limits[i].text), append(rules, g.limits[i].rule)
	}
	info := filter.LimiterInfo{Policy: "rate_limit", Scope: b.env.Scope, Limit: strings.Join(texts, ", "), Per: g.key.String()}
	l := &written[0]
	parts := []string{info.Policy, info.Scope, l.Name, info.Limit, who}
	if l.Name != "" {
		info.Scope, parts[1], parts[4] = "", "", ""
	}
	if cost := l.CostConfig.String(); cost != "" {
		parts = append(parts, cost)
	}
	info.Name = strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), " ")
	return filter.Keep(b.env, "rate_limit:"+strings.Join(parts, "\x00")+"\x00"+b.settings(), func() (*counter, error) {
		made, store, err := newCounter(b.env, b.config, info.Name, rules)
		info.Store = store
		return &counter{made, info}, err
	})
}

// settings are what else makes two counters different.
func (b *builder) settings() string {
	c := b.config
	store := sha256.Sum256([]byte(b.store()))
	return fmt.Sprintf("%s %d %x %s %s %s", c.Absent, c.MaxKeys, store, c.Mode, c.OnStoreFailure, c.StoreTimeout)
}

// Limiter describes the counter.
func (c *counter) Limiter() filter.LimiterInfo {
	info := c.info
	switch t := c.Counter.(type) {
	case *limit.Table:
		info.Keys = int64(t.Len())
	case *sharedlimit.Counter:
		info.Keys = int64(t.Keys())
	}
	return info
}

// Top lists the keys that used most lately.
func (c *counter) Top(n int) []filter.KeyUsage {
	var top []filter.KeyUsage
	for _, u := range c.Counter.Top(n) {
		top = append(top, filter.KeyUsage(u))
	}
	return top
}

// Reset forgets what was counted for a key.
func (c *counter) Reset(ctx context.Context, key string) (bool, error) {
	return c.Counter.Reset(ctx, key)
}

// Close ends the counter.
func (c *counter) Close() error {
	if closer, ok := c.Counter.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}
