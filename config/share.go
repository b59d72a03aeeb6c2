package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseShare reads a Share.
func ParseShare(text string) (Share, error) {
	number, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a share: it is no number", text)
	}
	if percent {
		f /= 100
	}
	if !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("%q is not a share: it must be from 0%% to 100%%, or from 0 to 1", text)
	}
	return Share(f), nil
}

// String returns the share as a percentage, or as a number when that is shorter to say exactly.
func (s Share) String() string {
	percent := strconv.FormatFloat(float64(s)*100, 'g', -1, 64)
	if back, err := ParseShare(percent + "%"); err == nil && back == s && len(percent) < 8 {
		return percent + "%"
	}
	return strconv.FormatFloat(float64(s), 'g', -1, 64)
}

// Expected says what a share looks like.
func (Share) Expected() string { return "a share such as 5% or 0.05" }

// MarshalText renders String.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a share.
func (s *Share) UnmarshalText(text []byte) (err error) {
	*s, err = ParseShare(string(text))
	return err
}
