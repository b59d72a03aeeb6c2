package quota

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/filter"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/quota"
	"cardea.dev/cardea/internal/redis"
)

func newPolicy(env *filter.Env, c *Config) (*policy, error) {
	p := &policy{
		calendar: c.calendar(), warnAt: float64(c.WarnAt), headers: c.Headers == "draft", dryRun: c.DryRun, allow: c.OnStoreFailure == "allow",
		env: env, now: time.Now, slot: filter.NewSlot[visit](env),
	}
	p.visits.New = func() any { return new(visit) }
	p.metrics.unavailable = env.Metrics.Counter("quota_uncounted_total", "Requests that no quota could count, as the store could not be reached or there were too many keys.", "route").
		WithLabelValues(env.Route.Name)
	var errs []error
	var err error
	unusable := env.Metrics.Counter("quota_unusable_costs_total", "Costs that are no numbers and were taken for 1, by route.", "route").WithLabelValues(env.Route.Name)
	if p.cost, err = limit.NewCost(env, c.CostConfig, unusable); err != nil {
		errs = append(errs, err)
	}
	rules, err := newRules(env, c)
	errs = append(errs, err, c.findOverrides(env, rules))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	counter, place, err := newCounter(env, c)
	if err != nil {
		return nil, err
	}
	p.counter, p.quotas = counter, rules
	return p, p.begin(env, c, place)
}

// newRules makes the quotas.
func newRules(env *filter.Env, c *Config) ([]rule, error) {
	rules := make([]rule, len(c.Quotas))
	var errs []error
	for i, name := range c.names() {
		q, r := &c.Quotas[i], &rules[i]
		key, err := limit.NewKey(env, c.key(q))
		switch {
		case err != nil && len(c.Per) > 0 && len(q.Per)+len(q.Amount.Per) == 0:
			return nil, err // it is the policy's own, and the same for all
		case err != nil:
			errs = append(errs, q.Self.Locate(err))
			continue
		}
		r.name, r.key, r.amount, r.period = name, key, int64(q.Amount.Count), q.period()
		r.text = fmt.Sprintf("%d/%s per %s", r.amount, r.period, key)
		for j := range i {
			if other := &rules[j]; other.key != nil && other.period == r.period && other.key.String() == key.String() {
				errs = append(errs, config.FieldErrorf(fmt.Sprintf("quotas[%d]", i), "two quotas count by %s per %s", key, r.period))
			}
		}
		r.bytes = c.CostResponse.Bytes()
	}
	return rules, errors.Join(errs...)
}

// begin takes the counts of the quotas.
func (p *policy) begin(env *filter.Env, c *Config, place string) error {
	scope := "root"
	switch {
	case c.Name != "":
		scope = "name " + c.Name
	case env.Scope != "":
		scope = "route " + env.Scope
	}
	requests := env.Metrics.Counter("quota_requests_total", "Requests that quotas were asked about: allowed, refused, would_refuse (in a dry run).", "route", "quota", "outcome")
	warnings := env.Metrics.Counter("quota_warnings_total", "How often usage reached the share from which on there are warnings.", "route", "quota")
	for i := range p.quotas {
		r := &p.quotas[i]
		r.series = p.counter.Series(scope+" per "+r.key.String(), r.period, c.MaxKeys)
		r.allowed = requests.WithLabelValues(env.Route.Name, r.name, "allowed")
		r.refused = requests.WithLabelValues(env.Route.Name, r.name, "refused")
		if p.dryRun {
			r.refused = requests.WithLabelValues(env.Route.Name, r.name, "would_refuse")
		}
		r.warnings = warnings.WithLabelValues(env.Route.Name, r.name)
		l := &limiter{counter: p.counter, series: r.series, period: r.period, calendar: p.calendar, now: time.Now, info: filter.LimiterInfo{
			Name:   strings.TrimSpace(fmt.Sprintf("quota %s %s", strings.TrimPrefix(strings.TrimPrefix(scope, "name "), "route "), r.text)),
			Policy: "quota", Scope: env.Scope, Limit: fmt.Sprintf("%d/%s", r.amount, r.period), Per: r.key.String(), Store: p.counter.Store(),
		}}
		key := fmt.Sprintf("quota:limiter:%s|%s|%s|%s", place, scope, r.text, c.Timezone)
		if _, err := filter.Keep(env, key, func() (*limiter, error) { return l, nil }); err != nil {
			return err
		}
	}
	return nil
}

// newCounter returns what counts, and a text that tells it from others.
func newCounter(env *filter.Env, c *Config) (quota.Counter, string, error) {
	url := c.Store
	if url == "" && c.File == "" {
		url = env.Store
	}
	if url == "" || url == "local" {
		path, err := c.path(env)
		if err != nil {
			return nil, "", err
		}
		l, err := ledger(env, path)
		return l, path, err
	}
	if env.Offline {
		if _, err := redis.New(url.Reveal()); err != nil {
			return nil, "", config.FieldErrorf("store", "%w", err)
		}
		l, err := ledger(env, "")
		return l, "", err
	}
	server, err := redis.Kept(env, url)
	if err != nil {
		return nil, "", config.FieldErrorf("store", "%w", err)
	}
	shared := redis.Attach(server, "quotas", func() *quota.Shared {
		return quota.NewShared(quota.SharedOptions{Server: server, Log: env.Log, Failed: failures(env)})
	})
	sum := sha256.Sum256([]byte(url.Reveal()))
	timeout := cmp.Or(c.StoreTimeout.Std(), redis.DefaultTimeout)
	return shared.For(timeout, c.OnStoreFailure), "redis " + hex.EncodeToString(sum[:]), nil
}

// failures counts when a store or file fails.
func failures(env *filter.Env) func() {
	return env.Metrics.Counter("quota_store_failures_total", "How often the store or the file of quotas failed.").WithLabelValues().Inc
}

// ledger returns the ledger with a file. One that is only looked at counts in memory, as a gateway may use the file.
func ledger(env *filter.Env, path string) (*quota.Ledger, error) {
	if env.Offline && path != "" {
		if err := quota.Check(path); err != nil {
			return nil, config.FieldErrorf("file", "%w", err)
		}
		path = ""
	}
	l, err := filter.Keep(env, "quota:file:"+path, func() (*quota.Ledger, error) {
		return quota.Open(quota.Options{File: path, Log: env.Log, Failed: failures(env)})
	})
	if err != nil {
		return nil, config.FieldErrorf("file", "%w; name another in `file`, or write `file: off` to count in memory alone", err)
	}
	return l, nil
}

// path is the file that usage is kept in; "" is none.
func (c *Config) path(env *filter.Env) (string, error) {
	path := c.File
	base, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":") // systemd.exec(5); several are separated by colons
	home, data := os.Getenv("HOME"), os.Getenv("XDG_DATA_HOME")
	switch {
	case path == "off":
		return "", nil
	case filepath.IsAbs(path):
	case path != "":
		path = filepath.Join(env.Dir, path)
	case base != "":
		path = filepath.Join(base, "quota.state")
	case filepath.IsAbs(data):
		path = filepath.Join(data, "cardea", "quota.state")
	case home != "":
		path = filepath.Join(home, ".local", "share", "cardea", "quota.state")
	default:
		return "", errors.New("it is not said where usage is kept, and there is no home folder; name a `file`, or write `file: off` to count in memory alone")
	}
	return filepath.Abs(path)
}

// findOverrides gives the overrides to the quotas that they are for.
func (c *Config) findOverrides(env *filter.Env, rules []rule) error {
	var errs []error
	names := c.names()
	for i := range c.Overrides {
		o := &c.Overrides[i]
		if err := o.Compile(env); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("overrides[%d]", i), "%w", err))
		}
		r := &rules[max(0, slices.Index(names, o.Quota))] // without a name there is but one
		r.overrides = append(r.overrides, override{int64(o.Amount), &o.Who})
	}
	return errors.Join(errs...)
}
