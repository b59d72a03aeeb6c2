package config

import (
	"net/netip"
	"time"

	"cardea.dev/cardea/config/lang"
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

// SchemaOf is the schema of a duration.
func (Duration) SchemaOf() *SchemaNode {
	return lang.OrReference(&SchemaNode{Type: "string", Pattern: `^(off|0|([0-9.]+ ?(w|d|h|min|m|s|ms|us|µs|ns) ?)+)$`}, &SchemaNode{Enum: []any{0}})
}

// SchemaOf is the schema of a size.
func (Size) SchemaOf() *SchemaNode {
	return lang.OrReference(&SchemaNode{Type: "integer", Minimum: new(float64)},
		&SchemaNode{Type: "string", Pattern: `^(off|[0-9.]+ ?([Bb]|[KkMmGgTt][Ii]?[Bb])?)$`})
}

// SchemaOf is the schema of a rate.
func (Rate) SchemaOf() *SchemaNode {
	return lang.OrReference(&SchemaNode{Type: "string", Pattern: `^ *[0-9]+ */ *[0-9a-z.µ]+( +burst +[0-9]+)? *$`})
}

// SchemaOf is the schema of a share.
func (Share) SchemaOf() *SchemaNode {
	one := 1.0
	return lang.OrReference(&SchemaNode{Type: "number", Minimum: new(float64), Maximum: &one}, &SchemaNode{Type: "string", Pattern: `^[0-9.]+ ?%?$`})
}

// SchemaOf is the schema of addresses.
func (Prefix) SchemaOf() *SchemaNode { return &SchemaNode{Type: "string"} }
