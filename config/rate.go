package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// rateUnits are the times that a Rate is per.
var rateUnits = []unit{
	{"s", int64(time.Second)},
	{"sec", int64(time.Second)},
	{"second", int64(time.Second)},
	{"m", int64(time.Minute)},
	{"min", int64(time.Minute)},
	{"minute", int64(time.Minute)},
	{"h", int64(time.Hour)},
	{"hour", int64(time.Hour)},
	{"d", int64(day)},
	{"day", int64(day)},
	{"w", int64(7 * day)},
	{"week", int64(7 * day)},
}

// ParseRate reads a Rate.
func ParseRate(text string) (Rate, error) {
	r, err := parseRate(strings.TrimSpace(text))
	if err != nil {
		return Rate{}, fmt.Errorf("%q is not a rate: %w", text, err)
	}
	return r, nil
}

// parseRate reads "COUNT/TIME" and "burst N".
func parseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, fmt.Errorf("it is empty")
	}
	count, rest, ok := strings.Cut(text, "/")
	if !ok {
		return Rate{}, fmt.Errorf("it does not say per what time")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
	if err != nil || n < 1 {
		return Rate{}, fmt.Errorf("%q is not a count of at least 1", strings.TrimSpace(count))
	}
	words := strings.Fields(rest)
	if len(words) == 0 {
		return Rate{}, fmt.Errorf("it does not say per what time")
	}
	per, err := ratePeriod(words[0])
	if err != nil {
		return Rate{}, err
	}
	burst, err := rateBurst(words[1:])
	if err != nil {
		return Rate{}, err
	}
	return Rate{Count: n, Per: per, Burst: burst}, nil
}

// ratePeriod reads the time that a rate is per: a unit, or a duration.
func ratePeriod(word string) (time.Duration, error) {
	if size := unitSize(rateUnits, word); size > 0 {
		return time.Duration(size), nil
	}
	if word[0] >= '0' && word[0] <= '9' {
		d, err := parseDuration(word)
		if err == nil && d == 0 {
			err = fmt.Errorf("the time cannot be 0")
		}
		return time.Duration(d), err
	}
	return 0, fmt.Errorf("%q is not a time; write s, min, h or d, or a duration such as 100ms", word)
}

// rateBurst reads "burst N".
func rateBurst(words []string) (int64, error) {
	if len(words) == 0 {
		return 0, nil
	}
	if len(words) != 2 || words[0] != "burst" {
		return 0, fmt.Errorf("%q after it is not `burst` and a number", strings.Join(words, " "))
	}
	n, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a burst of at least 1", words[1])
	}
	return n, nil
}

// String returns the rate as it is written: "100/min", "10/s burst 20", "5/100ms".
func (r Rate) String() string {
	if r == (Rate{}) {
		return ""
	}
	text := strconv.FormatInt(r.Count, 10) + "/" + perText(r.Per)
	if r.Burst > 0 {
		text += " burst " + strconv.FormatInt(r.Burst, 10)
	}
	return text
}

// perText is a time as a rate is per it: "s", "min", "100ms".
func perText(per time.Duration) string {
	switch per {
	case time.Second:
		return "s"
	case time.Minute:
		return "min"
	case time.Hour:
		return "h"
	case day:
		return "d"
	case 7 * day:
		return "w"
	}
	return Duration(per).String()
}

// IsZero reports whether no rate was said.
func (r Rate) IsZero() bool { return r == Rate{} }

// Expected says what a rate looks like.
func (Rate) Expected() string { return "a rate such as 100/min, 10/s burst 20 or 5/100ms" }

// MarshalText renders String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}
