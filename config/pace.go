package config

import (
	"fmt"
	"strings"
	"time"
)

// Pace is the least number of bytes that must come or go in a time: "1KiB/s", "1KiB/s over 20s". It is averaged over a while, as
// networks are not even.
type Pace struct {
	Size Size          // bytes in a second; 0: none
	Over time.Duration // what it is averaged over
}

// paceOver is what a pace is averaged over where that is not said.
const paceOver = 10 * time.Second

// maxPace is more than any client is asked for.
const maxPace = 1 << 30

// ParsePace reads a Pace. "off" and "0" are none.
func ParsePace(text string) (Pace, error) {
	text = strings.TrimSpace(text)
	if text == "off" || text == "0" || text == "" {
		return Pace{}, nil
	}
	words := strings.Fields(text)
	number, ok := strings.CutSuffix(words[0], "/s")
	if !ok {
		return Pace{}, fmt.Errorf("%q is not a pace: it does not end in /s", words[0])
	}
	size, err := ParseSize(number)
	if err != nil {
		return Pace{}, fmt.Errorf("%q is not a pace: %w", text, err)
	}
	if size < 1 || size > maxPace {
		return Pace{}, fmt.Errorf("%q is not a pace from 1B/s to 1GiB/s", text)
	}
	p := Pace{Size: size, Over: paceOver}
	if len(words) == 1 {
		return p, nil
	}
	if len(words) != 3 || words[1] != "over" {
		return Pace{}, fmt.Errorf("%q after it is not `over` and a time", strings.Join(words[1:], " "))
	}
	over, err := ParseDuration(words[2])
	if err != nil {
		return Pace{}, err
	}
	if p.Over = over.Std(); p.Over < 10*time.Millisecond || p.Over > time.Hour {
		return Pace{}, fmt.Errorf("%q is not a time from 10ms to 1h", words[2])
	}
	return p, nil
}

// Bytes is how many bytes must come or go in the time that the pace is averaged over.
func (p Pace) Bytes() int64 {
	if p.Size == 0 {
		return 0
	}
	return max(1, int64(float64(p.Size)*p.Over.Seconds()))
}

// String returns the pace as it is written.
func (p Pace) String() string {
	if p.Size == 0 {
		return "off"
	}
	return p.Size.String() + "/s over " + Duration(p.Over).String()
}

// Expected says what a pace looks like.
func (Pace) Expected() string { return "a pace such as 1KiB/s, 1KiB/s over 20s, or off" }

// MarshalText renders String.
func (p Pace) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a pace.
func (p *Pace) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePace(string(text))
	return err
}
