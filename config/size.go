package config

import (
	"fmt"
	"strconv"
	"strings"
)

// sizeUnits are what a Size is written in, the largest first.
var sizeUnits = []unit{
	{"TiB", 1 << 40}, {"TB", 1e12}, {"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3}, {"B", 1},
}

// ParseSize reads a Size.
func ParseSize(text string) (Size, error) {
	s, err := parseSize(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: %w", text, err)
	}
	return s, nil
}

// parseSize reads a number with or without a unit.
func parseSize(text string) (Size, error) {
	switch {
	case text == "":
		return 0, fmt.Errorf("it is empty")
	case text == "off":
		return 0, nil
	case text[0] == '-':
		return 0, fmt.Errorf("it cannot be negative")
	}
	number, name, rest := cutQuantity(text)
	if name == "" && rest != "" {
		name, rest = strings.TrimLeft(rest, " "), ""
	}
	switch {
	case number == "":
		return 0, fmt.Errorf("it does not begin with a number")
	case rest != "":
		return 0, fmt.Errorf("there is more after %s%s", number, name)
	case name == "":
		name = "B"
	}
	size := unitSize(sizeUnits, name)
	for _, u := range sizeUnits {
		if size == 0 && strings.EqualFold(u.name, name) {
			size = u.size
		}
	}
	if size == 0 {
		return 0, fmt.Errorf("the unit %q is not known; the units are B, KB, MB, GB (thousands) and KiB, MiB, GiB (1024s)", name)
	}
	n, err := scale(number, size)
	return Size(n), err
}

// String returns the size as it is written, in the largest unit that divides it: "1MiB", "10MB", "1500".
func (s Size) String() string {
	for _, u := range sizeUnits {
		if u.size > 1 && int64(s) >= u.size && int64(s)%u.size == 0 {
			return strconv.FormatInt(int64(s)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Expected says what a size looks like.
func (Size) Expected() string { return "a size such as 64KiB, 1MiB or 10MB" }

// MarshalText renders String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}
