package quota

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/quota"
)

// maxQuotas is how many quotas a policy may have.
const maxQuotas = 8

// Config says how much callers may use up. The short form are the quotas.
type Config struct {
	// Quotas are the quotas, which hold together: what one of them refuses counts in none. Up to 8.
	Quotas []Quota `yaml:"quotas,short,required"`

	// KeyConfig is what quotas that do not say it themselves are counted by.
	limit.KeyConfig `yaml:",inline"`

	// Timezone is the time zone that days, weeks, months and years begin in, by its name in the IANA database: "Europe/Berlin". Another zone later
	// loses no usage. By default "UTC".
	Timezone string `yaml:"timezone"`

	// MonthStart is the day on which months begin, 1 to 28. By default 1.
	MonthStart int `yaml:"month_start" min:"1" max:"28"`

	// WeekStart is the day on which weeks begin. By default "monday".
	WeekStart string `yaml:"week_start" enum:"monday,tuesday,wednesday,thursday,friday,saturday,sunday"`

	limit.CostConfig `yaml:",inline"`

	// Overrides are other amounts for some requests. Of those that a quota has, the first one that holds counts. By default none.
	Overrides []Override `yaml:"overrides"`

	// WarnAt is the share of a quota from which on answers have the field Quota-Warning. When usage gets there, a line is logged. By default off.
	WarnAt config.Share `yaml:"warn_at"`

	// Headers are the fields that tell clients how much is left: "draft" (RateLimit-Policy and RateLimit, as in
	// draft-ietf-httpapi-ratelimit-headers) or "off". Retry-After is sent with refusals in any case. By default "draft".
	Headers string `yaml:"headers" enum:"draft,off"`

	// DryRun lets pass what the quotas would refuse, and counts it in metrics alone. By default off.
	DryRun bool `yaml:"dry_run"`

	// Name is what the usage is kept under. Policies with the same name, in whatever place, count together. By default it is the place where the
	// policy is written: the root or the name of the route, whose usage is lost when the route is renamed.
	Name string `yaml:"name"`

	// Store is the Redis or Valkey in which gateways count together: "redis://host:6379"; or "local": this gateway counts for itself, in File. By
	// default the configuration's `store`, or else "local".
	Store config.Secret `yaml:"store"`

	// OnStoreFailure is what becomes of requests while the store cannot be reached: "local" (this gateway counts on by itself, from what it knows),
	// "deny" (503 limits_unavailable) or "allow". What passes meanwhile the store is told of when it is back. By default "local".
	OnStoreFailure string `yaml:"on_store_failure" enum:"allow,deny,local"`

	// StoreTimeout is how long a request waits for the store before OnStoreFailure holds. By default 100ms. 0 is the default.
	StoreTimeout config.Duration `yaml:"store_timeout"`

	// File is the file that usage is kept in, so that it survives a restart, or "off": in memory alone. One gateway uses it at a time. By default
	// "quota.state" in the folder that systemd keeps for the service (StateDirectory=), or else "cardea/quota.state" where the user's
	// programs keep their data ($XDG_DATA_HOME, or ~/.local/share).
	File string `yaml:"file"`

	// MaxKeys is how many keys each quota counts. No key is forgotten while its usage counts: when there are more, requests of further ones get 503
	// limits_unavailable, or pass if OnStoreFailure is "allow". A key takes about 300 bytes of memory. By default 1000000.
	MaxKeys int `yaml:"max_keys" min:"1" max:"100000000"`
}

// Quota is one quota. The short form is Amount.
type Quota struct {
	// Amount is how much may be used: "10000/month per identity", or "10000" where the other keys say the rest. It may be written as a size,
	// "10GiB/month", where bytes are counted.
	Amount Amount `yaml:"amount,short,required"`

	// Every is the period, where Amount does not say it: "hour", "day", "week", "month" or "year" of the calendar, or a duration such as
	// "30d", of which the last so much counts, to a sixtieth of it. One of them must be said.
	Every string `yaml:"every"`

	// Per is what is counted by, as in the policy's own `per`, unless Amount says it. By default as the policy says.
	Per []string `yaml:"per"`

	// Name is what headers, logs and metrics call the quota, and Overrides. By default its period.
	Name string `yaml:"name"`

	// Self is the quota as it was written.
	Self config.Node `yaml:",self"`
}

// Override is another amount for some requests. All its keys must hold.
type Override struct {
	// Amount is how much may be used: a number, a size, 0 (nothing) or "unlimited".
	Amount Count `yaml:"amount,required"`

	// Quota is the name of the quota that it is for. It must be said where there are several.
	Quota string `yaml:"quota"`

	limit.Who `yaml:",inline"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.KeyConfig.Default()
	c.Timezone, c.MonthStart, c.WeekStart, c.Headers, c.OnStoreFailure, c.MaxKeys = "UTC", 1, "monday", "draft", "local", 1_000_000
}

// Count is an amount. Quota.Unlimited is "unlimited".
type Count int64

// UnmarshalText reads a number, a size, or "unlimited".
func (c *Count) UnmarshalText(text []byte) error {
	if string(text) == "unlimited" {
		*c = quota.Unlimited
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		size, e := config.ParseSize(string(text))
		if e != nil || string(text) == "off" {
			return fmt.Errorf("%q is not an amount", text)
		}
		n = int64(size)
	}
	if n < 0 || n > quota.Most {
		return fmt.Errorf("%q is out of range", text)
	}
	*c = Count(n)
	return nil
}

// Expected says what an amount looks like.
func (Count) Expected() string { return "an amount such as 10000 or 10GiB, or unlimited" }

// SchemaOf is the schema of an amount.
func (Count) SchemaOf() *config.SchemaNode {
	return &config.SchemaNode{Type: []string{"integer", "string"}}
}

// Amount is how much may be used, with the period and the keys where they are said with it.
type Amount struct {
	Count  Count
	Period string
	Per    []string
}

// UnmarshalText reads "10000", "10000/month" or "10000/month per identity".
func (a *Amount) UnmarshalText(text []byte) error {
	what, per := limit.CutPer(string(text))
	count, period, found := strings.Cut(what, "/")
	if period = strings.TrimSpace(period); found && period == "" {
		return fmt.Errorf("%q does not say per what time", text)
	}
	if found {
		if _, err := quota.ParsePeriod(period); err != nil {
			return err
		}
	}
	a.Period, a.Per = period, per
	return a.Count.UnmarshalText([]byte(strings.TrimSpace(count)))
}

// Expected says what a quota looks like.
func (Amount) Expected() string {
	return "a quota such as 10000/month, 10000/30d or 1000/day per identity"
}

// SchemaOf is the schema of a quota.
func (Amount) SchemaOf() *config.SchemaNode {
	return &config.SchemaNode{Type: []string{"integer", "string"}}
}

// Validate checks what the keys say together.
func (q *Quota) Validate() error {
	var errs []error
	switch {
	case q.Amount.Period == "" && q.Every == "":
		errs = append(errs, errors.New("it does not say per what time: write `10000/month`, or `every: month`"))
	case q.Amount.Period != "" && q.Every != "":
		errs = append(errs, config.FieldErrorf("every", "the amount says per what time, too"))
	}
	if len(q.Amount.Per) > 0 && len(q.Per) > 0 {
		errs = append(errs, config.FieldErrorf("per", "the amount says what is counted by, too"))
	}
	if q.Every != "" {
		if _, err := quota.ParsePeriod(q.Every); err != nil {
			errs = append(errs, config.FieldErrorf("every", "%w", err))
		}
	}
	if q.Amount.Count == quota.Unlimited {
		errs = append(errs, config.FieldErrorf("amount", "a quota without limit is none; `unlimited` is for overrides"))
	}
	if q.Name != "" && !named.MatchString(q.Name) {
		errs = append(errs, config.FieldErrorf("name", "%q is not a name: letters, digits, - and _", q.Name))
	}
	return errors.Join(errs...)
}

var named = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`) // never changed

// period returns the period; it was checked.
func (q *Quota) period() quota.Period {
	p, err := quota.ParsePeriod(q.Amount.Period)
	if err != nil {
		p, _ = quota.ParsePeriod(q.Every)
	}
	return p
}

// key says what a quota is counted by.
func (c *Config) key(q *Quota) limit.KeyConfig {
	k := c.KeyConfig
	switch {
	case len(q.Amount.Per) > 0:
		k.Per = q.Amount.Per
	case len(q.Per) > 0:
		k.Per = q.Per
	}
	return k
}

// Validate checks what the keys say together.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Quotas) == 0 || len(c.Quotas) > maxQuotas {
		errs = append(errs, config.FieldErrorf("quotas", "there are %d quotas; expected 1 to %d", len(c.Quotas), maxQuotas))
	}
	names := map[string]bool{}
	for i, name := range c.names() {
		if names[name] {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("quotas[%d]", i), "two quotas are called %q; give one another `name`", name))
		}
		names[name] = true
	}
	errs = append(errs, c.CostConfig.Check())
	for i, o := range c.Overrides {
		if err := o.Check(); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("overrides[%d]", i), "%w", err))
		}
		switch {
		case o.Quota == "" && len(c.Quotas) > 1:
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("overrides[%d]", i), "it does not say which `quota` it is for: %s", strings.Join(c.names(), ", ")))
		case o.Quota != "" && !names[o.Quota]:
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("overrides[%d].quota", i), "there is no quota %q; there is %s", o.Quota, strings.Join(c.names(), ", ")))
		}
	}
	if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "Local" || c.Timezone == "" {
		errs = append(errs, config.FieldErrorf("timezone", "%q is not the name of a time zone, such as Europe/Berlin", c.Timezone))
	}
	if c.Store != "" && c.Store != "local" && c.File != "" {
		errs = append(errs, config.FieldErrorf("file", "the usage is kept in the `store`"))
	}
	return errors.Join(errs...)
}

// names are the names of the quotas.
func (c *Config) names() []string {
	names := make([]string, len(c.Quotas))
	for i := range c.Quotas {
		if names[i] = c.Quotas[i].Name; names[i] == "" {
			names[i] = c.Quotas[i].period().String()
		}
	}
	return names
}

// calendar says where periods begin.
func (c *Config) calendar() quota.Calendar {
	location, _ := time.LoadLocation(c.Timezone) // it was checked
	week := time.Sunday
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(d.String(), c.WeekStart) {
			week = d
		}
	}
	return quota.Calendar{Location: location, MonthStart: c.MonthStart, WeekStart: week}
}
