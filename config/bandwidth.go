package config

import (
	"fmt"
	"math"
	"strings"
	"time"

	"cardea.dev/cardea/config/lang"
)

// Bandwidth is how many bytes may pass in a time: "1MiB/s", "10MB/min", "1MiB/s burst 64KiB".
type Bandwidth struct {
	Size  Size          // how many bytes
	Per   time.Duration // in which time
	Burst Size          // how many at once; 0: not said
}

// ParseBandwidth reads a Bandwidth.
func ParseBandwidth(text string) (Bandwidth, error) {
	b, err := parseBandwidth(strings.TrimSpace(text))
	if err != nil {
		return Bandwidth{}, fmt.Errorf("%q is not a bandwidth: %w", text, err)
	}
	return b, nil
}

// parseBandwidth reads "SIZE/TIME" and "burst SIZE".
func parseBandwidth(text string) (Bandwidth, error) {
	if text == "" {
		return Bandwidth{}, fmt.Errorf("it is empty")
	}
	amount, rest, ok := strings.Cut(text, "/")
	if !ok {
		return Bandwidth{}, fmt.Errorf("it does not say per what time")
	}
	size, err := parseSize(strings.TrimSpace(amount))
	if err != nil {
		return Bandwidth{}, err
	}
	if size < 1 {
		return Bandwidth{}, fmt.Errorf("nothing could ever pass")
	}
	rest, burstText, hasBurst := strings.Cut(rest, " burst ")
	word := strings.TrimSpace(rest)
	if word == "" || strings.ContainsAny(word, " \t") {
		return Bandwidth{}, fmt.Errorf("it does not say per what time")
	}
	per, err := ratePeriod(word)
	if err != nil {
		return Bandwidth{}, err
	}
	b := Bandwidth{Size: size, Per: per}
	if hasBurst {
		if b.Burst, err = parseSize(strings.TrimSpace(burstText)); err != nil {
			return Bandwidth{}, fmt.Errorf("its burst: %w", err)
		}
		if b.Burst < 1 {
			return Bandwidth{}, fmt.Errorf("its burst must be at least 1B")
		}
	}
	if perSecond := b.PerSecond(); perSecond < 1 || perSecond > math.MaxInt64/2 {
		return Bandwidth{}, fmt.Errorf("it must be from one byte in a second on")
	}
	return b, nil
}

// PerSecond is how many bytes pass in a second.
func (b Bandwidth) PerSecond() float64 {
	if b.Per <= 0 {
		return 0
	}
	return float64(b.Size) / b.Per.Seconds()
}

// String returns the bandwidth as it is written: "1MiB/s", "10MB/min burst 64KiB".
func (b Bandwidth) String() string {
	if b.IsZero() {
		return ""
	}
	text := b.Size.String() + "/" + perText(b.Per)
	if b.Burst > 0 {
		text += " burst " + b.Burst.String()
	}
	return text
}

// IsZero reports whether no bandwidth was said.
func (b Bandwidth) IsZero() bool { return b == Bandwidth{} }

// Expected says what a bandwidth looks like.
func (Bandwidth) Expected() string {
	return "a bandwidth such as 1MiB/s, 500KB/s or 1MiB/s burst 64KiB"
}

// MarshalText renders String.
func (b Bandwidth) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a bandwidth.
func (b *Bandwidth) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBandwidth(string(text))
	return err
}

// SchemaOf is the schema of a bandwidth.
func (Bandwidth) SchemaOf() *SchemaNode {
	const size = `[0-9.]+ ?([Bb]|[KkMmGgTt][Ii]?[Bb])?`
	return lang.OrReference(&SchemaNode{Type: "string", Pattern: `^ *` + size + ` */ *[0-9a-z.µ]+( +burst +` + size + `)? *$`})
}
