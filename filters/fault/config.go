package fault

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"cardea.dev/cardea/config"
)

// Config says what is done to which requests. It is one rule, or several, of which the first holds that a request fits. The short form is Rules.
type Config struct {
	Rule `yaml:",inline"`

	// Rules are several rules instead of one: the first that a request fits is the one. By default there is the rule that the other keys say.
	Rules []Rule `yaml:"rules,short"`

	// MaxDelayed is how many requests are held up at once, at most, where the policy is written. Further ones are not delayed, and counted as
	// skipped. By default 1000.
	MaxDelayed int `yaml:"max_delayed" min:"1"`
}

// Rule is what is done, and to whom. All of When, Header and Share must hold.
type Rule struct {
	// When is a CEL expression that must be true: 'jwt.role == "tester"'. One that cannot be evaluated is not true. By default any request will
	// do.
	When string `yaml:"when"`

	// Header is what fields of the request must be, by name: {x-fault: slow}. `true` means that the field is there, "~" and a regular expression
	// that it matches. By default any request will do.
	Header map[string]config.ValueMatch `yaml:"header"`

	// Share is which part of the requests that fit it is done to, chosen at random: "5%". A request that is not chosen goes on to the next
	// rule. By default 100%; 0 does nothing.
	Share config.Share `yaml:"share"`

	// Delay is how long the request is held up before it goes on: "2s", or a random time in a range, "100ms..2s". At most 10m. By default not at
	// all.
	Delay Range `yaml:"delay"`

	// Abort is what the client gets instead of the service's answer. By default that is not touched.
	Abort *Abort `yaml:"abort"`

	// Bandwidth is how fast the answer comes: "10KiB/s". By default as fast as it can.
	Bandwidth config.Bandwidth `yaml:"bandwidth"`

	// Truncate is after how many bytes of its body the answer breaks off: "1KiB"; 0B breaks off after the head. By default it does not.
	Truncate *config.Size `yaml:"truncate"`

	// Self is the rule as it was written.
	Self config.Node `yaml:",self"`
}

// Abort is how a request fails. The short form is a status, or reset.
type Abort struct {
	// Status is the status of the answer, from 400 to 599. By default 503.
	Status int `yaml:"status" min:"400" max:"599"`

	// GRPCStatus is the grpc-status that callers of gRPC get instead, from 1 to 16. By default what Status comes to.
	GRPCStatus int `yaml:"grpc_status" min:"0" max:"16"`

	// Reset cuts the connection without an answer. In HTTP/2 it resets the stream. By default there is an answer.
	Reset bool `yaml:"reset"`
}

// Range is a time, or a range of times, from which one is chosen at random: "2s", "100ms..2s".
type Range struct{ Least, Most time.Duration }

// maxDelay bounds delays.
const maxDelay = 10 * time.Minute

// Default is what the fields say.
func (c *Config) Default() {
	c.MaxDelayed = 1000
	c.Rule.Default()
}

// Default is what the fields say.
func (r *Rule) Default() { r.Share = 1 }

// Default is what the fields say.
func (a *Abort) Default() { a.Status = 503 }

// Validate checks that there is something to do.
func (c *Config) Validate() error {
	one := c.Rule.does() || c.Rule.conditional()
	switch {
	case one && len(c.Rules) > 0:
		return config.FieldErrorf("rules", "write one rule, or `rules`, and not both")
	case len(c.Rules) == 0:
		return c.Rule.check()
	}
	var errs []error
	for i := range c.Rules {
		errs = append(errs, at(fmt.Sprintf("rules[%d]", i), c.Rules[i].check()))
	}
	return errors.Join(errs...)
}

// at puts the errors of a rule at its place.
func at(path string, err error) error {
	var f *config.FieldError
	if errors.As(err, &f) {
		return config.FieldErrorf(strings.TrimSuffix(path+"."+f.Path, "."), "%w", f.Err)
	}
	return err
}

// does says whether the rule does anything.
func (r *Rule) does() bool {
	return r.Delay != Range{} || r.Abort != nil || !r.Bandwidth.IsZero() || r.Truncate != nil
}

// conditional says whether the rule holds for some requests only.
func (r *Rule) conditional() bool { return r.When != "" || len(r.Header) > 0 || r.Share < 1 }

func (r *Rule) check() error {
	switch {
	case !r.does():
		return config.FieldErrorf("", "nothing is done: write delay, abort, bandwidth or truncate; `fault: off` turns it off")
	case r.Abort != nil && (!r.Bandwidth.IsZero() || r.Truncate != nil):
		return config.FieldErrorf("abort", "an answer that never comes cannot be slow or cut as well; take abort, or bandwidth and truncate")
	}
	for name := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return config.FieldErrorf(fmt.Sprintf("header[%q]", name), "%q cannot be the name of a field", name)
		}
	}
	return nil
}

// Validate checks that it is one or the other.
func (a *Abort) Validate() error {
	if a.Reset && (a.Status != 503 || a.GRPCStatus != 0) {
		return config.FieldErrorf("reset", "a connection that is cut has no status")
	}
	return nil
}

// UnmarshalText reads a status, or "reset".
func (a *Abort) UnmarshalText(text []byte) error {
	if string(text) == "reset" {
		a.Reset = true
		return nil
	}
	status, err := strconv.Atoi(string(text))
	if err != nil || status < 400 || status > 599 {
		return fmt.Errorf("%q is neither a status from 400 to 599 nor reset", text)
	}
	a.Status = status
	return nil
}

// Expected says what the short form looks like.
func (*Abort) Expected() string {
	return "a status from 400 to 599, reset, or an object with the keys status, grpc_status, reset"
}

// UnmarshalText reads a time, or two with ".." between them.
func (r *Range) UnmarshalText(text []byte) error {
	least, most, found := strings.Cut(string(text), "..")
	a, err := config.ParseDuration(strings.TrimSpace(least))
	b := a
	if err == nil && found {
		b, err = config.ParseDuration(strings.TrimSpace(most))
	}
	switch {
	case err != nil:
		return err
	case b < a:
		return fmt.Errorf("%q ends before it begins", text)
	case b.Std() > maxDelay:
		return fmt.Errorf("%q is longer than %s", text, config.Duration(maxDelay))
	}
	*r = Range{a.Std(), b.Std()}
	return nil
}

// String returns the range as it is written.
func (r Range) String() string {
	if r.Least == r.Most {
		return config.Duration(r.Least).String()
	}
	return config.Duration(r.Least).String() + ".." + config.Duration(r.Most).String()
}

// MarshalText renders String.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Expected says what a range looks like.
func (Range) Expected() string { return "a time such as 2s, or a range such as 100ms..2s" }
