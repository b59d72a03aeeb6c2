package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// day is a day without regard to the calendar.
const day = 24 * time.Hour

// unit is a unit of a value.
type unit struct {
	name string
	size int64
}

// durationUnits are what a Duration is written in, the largest first.
var durationUnits = []unit{
	{"w", int64(7 * day)},
	{"d", int64(day)},
	{"h", int64(time.Hour)},
	{"min", int64(time.Minute)},
	{"m", int64(time.Minute)},
	{"s", int64(time.Second)},
	{"ms", int64(time.Millisecond)},
	{"us", int64(time.Microsecond)},
	{"µs", int64(time.Microsecond)},
	{"ns", int64(time.Nanosecond)},
}

// unitSize finds a unit by its name; 0 when there is none.
func unitSize(units []unit, name string) int64 {
	for _, u := range units {
		if u.name == name {
			return u.size
		}
	}
	return 0
}

// ParseDuration reads a Duration.
func ParseDuration(text string) (Duration, error) {
	d, err := parseDuration(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: %w", text, err)
	}
	return d, nil
}

// parseDuration reads numbers with units, one after the other.
func parseDuration(text string) (Duration, error) {
	switch {
	case text == "":
		return 0, fmt.Errorf("it is empty")
	case text == "off" || text == "0":
		return 0, nil
	case text[0] == '-':
		return 0, fmt.Errorf("it cannot be negative")
	}
	var total float64
	var whole int64
	for rest := text; rest != ""; rest = strings.TrimLeft(rest, " ") {
		number, name, after := cutQuantity(rest)
		if number == "" {
			return 0, fmt.Errorf("a number is missing at %q", rest)
		}
		if name == "" {
			return 0, fmt.Errorf("it has no unit; write %ss, or another of %s", number, unitNames(durationUnits))
		}
		size := unitSize(durationUnits, name)
		if size == 0 {
			return 0, fmt.Errorf("the unit %q is not known; the units are %s", name, unitNames(durationUnits))
		}
		part, err := scale(number, size)
		if err != nil {
			return 0, err
		}
		whole, total, rest = whole+part, total+float64(part), after
		if total >= math.MaxInt64 {
			return 0, fmt.Errorf("it is too long")
		}
	}
	return Duration(whole), nil
}

// cutQuantity cuts a number and its unit from the front of a text.
func cutQuantity(s string) (number, name, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if i < 0 {
		return s, "", ""
	}
	number, s = s[:i], strings.TrimLeft(s[i:], " ")
	i = strings.IndexFunc(s, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == ' ' })
	if i < 0 {
		return number, s, ""
	}
	return number, s[:i], s[i:]
}

// scale is a decimal number times a unit, exactly where the number is whole.
func scale(number string, size int64) (int64, error) {
	if i, err := strconv.ParseInt(number, 10, 64); err == nil {
		if i > math.MaxInt64/size {
			return 0, fmt.Errorf("it is too large")
		}
		return i * size, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", number)
	}
	if f *= float64(size); f >= math.MaxInt64 {
		return 0, fmt.Errorf("it is too large")
	}
	return int64(math.Round(f)), nil
}

// unitNames lists units for a message.
func unitNames(units []unit) string {
	var names []string
	for _, u := range units {
		if u.name != "µs" && u.name != "min" {
			names = append(names, u.name)
		}
	}
	return strings.Join(names, ", ")
}

// Std returns the duration as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// String returns the duration as it is written: "1h30m", "300ms", "0s".
func (d Duration) String() string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	rest := int64(d)
	for _, u := range durationUnits {
		if u.name == "min" || u.name == "µs" {
			continue
		}
		if n := rest / u.size; n > 0 && (u.name != "w" || rest%u.size == 0) {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			rest %= u.size
		}
	}
	return b.String()
}

// Expected says what a duration looks like.
func (Duration) Expected() string { return "a duration such as 300ms, 10s or 1h30m" }

// MarshalText renders String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}
