package concurrency

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/limit"
)

// Config says how many requests may be under way at once. The short form is the limit, and what it counts by: "10", "10 per address".
type Config struct {
	// Limit is how many requests of a key may be under way at once. It is required, and at least 1; `concurrency: off` sets no limit.
	Limit int `yaml:"limit,required" min:"1" max:"1000000"`

	limit.KeyConfig `yaml:",inline"`

	// Queue is how many requests of a key may wait in line until others of it end. By default, and with 0, none: what is beyond the limit is
	// refused at once.
	Queue int `yaml:"queue" min:"0" max:"100000"`

	// Wait is how long a request may wait in line. By default 1s.
	Wait config.Duration `yaml:"wait"`

	// Overrides are other limits for some callers. The first one that fits holds. By default there are none. With any, the policy runs once it
	// is known who calls.
	Overrides []Override `yaml:"overrides"`

	// Upgraded says whether connections that are upgraded, as for WebSockets, go on counting until they end ("count"), or no longer once they
	// are ("release"). By default "count".
	Upgraded string `yaml:"upgraded" enum:"count,release"`

	// DryRun counts, but refuses nobody and has nobody wait: the access log, the metrics and the admin API tell what would have been refused.
	// By default off.
	DryRun bool `yaml:"dry_run"`
}

// Override is another limit for some requests.
type Override struct {
	limit.Who `yaml:",inline"`

	// Limit is how many requests of a key may be under way at once when such a caller asks. It is required, and at least 1.
	Limit int `yaml:"limit,required" min:"1" max:"1000000"`
}

// Default is what the fields say.
func (c *Config) Default() {
	c.KeyConfig.Default()
	c.Wait, c.Upgraded = config.Duration(1e9), "count"
}

// Expected says what the short form looks like.
func (Config) Expected() string {
	return "a limit such as 10, 10 per address or 100 per route, or an object with keys such as limit, per, queue, wait"
}

// UnmarshalText reads the short form: "COUNT [per KEY, KEY]".
func (c *Config) UnmarshalText(text []byte) error {
	what, per := limit.CutPer(string(text))
	n, err := strconv.Atoi(what)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a count of requests", what)
	case n < 1 || n > 1_000_000:
		return errors.New("expected a count from 1 to 1000000; `concurrency: off` sets no limit")
	}
	c.Limit, c.Per = n, per
	return nil
}

// Validate checks that the parts fit.
func (c *Config) Validate() error {
	var errs []error
	if c.Wait <= 0 {
		errs = append(errs, config.FieldErrorf("wait", "expected a time, such as 2s"))
	}
	if c.DryRun && c.Queue > 0 {
		errs = append(errs, config.FieldErrorf("queue", "in a dry run nobody waits"))
	}
	for i := range c.Overrides {
		if err := c.Overrides[i].Check(); err != nil {
			errs = append(errs, config.FieldErrorf(fmt.Sprintf("overrides[%d]", i), "%w", err))
		}
	}
	return errors.Join(errs...)
}

// text is the limit as it is written in short, for a key.
func (c *Config) text(per string) string {
	return strconv.Itoa(c.Limit) + " per " + per
}

// retryAfter is when to come again, in seconds: nobody knows when a request ends.
func (c *Config) retryAfter() string {
	return strconv.Itoa(max(1, int(math.Ceil(c.Wait.Std().Seconds()))))
}
