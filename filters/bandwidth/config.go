package bandwidth

import (
	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/limit"
)

// Config says how many bytes may pass. The short form is Response, with or without Per: "1MiB/s per address".
type Config struct {
	// Response is how many bytes of answers may pass in a time: "1MiB/s", "10MB/min", "1MiB/s burst 64KiB". The burst is what may pass at once
	// after a pause, by default what passes in 50ms. By default answers are not slowed down.
	Response config.Bandwidth `yaml:"response"`

	// Request is how many bytes of requests' bodies may pass in a time, written as in Response. By default they are not slowed down.
	Request config.Bandwidth `yaml:"request"`

	// Per is what the bandwidth is shared by: all transfers that have the same in all of it share one. Variables or CEL expressions, such as
	// "address", "identity", "jwt.sub", "header.x-user" or "path.id". "address" takes IPv6 by /64; "all" shares it among all requests. By default
	// each request has it for itself.
	Per []string `yaml:"per"`

	// Absent is what becomes of a request that has not all of Per: "address" (it shares with those of its address), "together" (all such requests
	// share), or "pass" (it is not slowed down). By default "address".
	Absent string `yaml:"absent" enum:"address,together,pass"`
}

// Default is what the fields say.
func (c *Config) Default() { c.Absent = "address" }

// UnmarshalText reads the short form.
func (c *Config) UnmarshalText(text []byte) (err error) {
	what, per := limit.CutPer(string(text))
	c.Response, err = config.ParseBandwidth(what)
	c.Per = per
	return err
}

// Expected says what the short form looks like.
func (*Config) Expected() string {
	return "a bandwidth such as 1MiB/s or 1MiB/s per address, or an object with the keys response, request, per, absent"
}

// Validate checks that something is said.
func (c *Config) Validate() error {
	if c.Response.IsZero() && c.Request.IsZero() {
		return config.FieldErrorf("", "say how much may pass: `response: 1MiB/s`, `request: 1MiB/s` or both; `bandwidth: off` slows nothing down")
	}
	return nil
}
