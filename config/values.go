package config

import (
	"net/netip"
	"time"
)

// Duration is a length of time: "300ms", "10s", "5m", "1h30m", "7d". It is never negative; "off" is 0.
type Duration time.Duration

// Size is a number of bytes: "512", "64KiB", "1MiB", "10MB". "off" is 0.
type Size int64

// Rate is how often something may happen: "100/min", "10/s burst 20".
type Rate struct {
	Count int64         // how many
	Per   time.Duration // in which time
	Burst int64         // how many at once; 0: not said
}

// Share is a part of a whole, from 0 to 1: "5%", "0.05".
type Share float64

// Prefix is an address or a range of them: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7".
type Prefix struct{ netip.Prefix }

// Secret is a string that must not be seen. It prints, formats and marshals as "***"; Reveal gives it.
type Secret string
