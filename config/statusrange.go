package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cardea.dev/cardea/config/lang"
)

// StatusRange is one or more HTTP statuses: "503", "502-504", "5xx".
type StatusRange struct {
	From, To int // both included
}

// ParseStatusRange reads a StatusRange.
func ParseStatusRange(text string) (StatusRange, error) {
	text = strings.TrimSpace(text)
	if class, ok := strings.CutSuffix(strings.ToLower(text), "xx"); ok && len(class) == 1 && class[0] >= '1' && class[0] <= '5' {
		from := int(class[0]-'0') * 100
		return StatusRange{from, from + 99}, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
		return StatusRange{}, fmt.Errorf("%q is no status", text)
	}
	return StatusRange{from, to}, nil
}

// Has reports whether a status is in the range.
func (r StatusRange) Has(status int) bool { return r.From <= status && status <= r.To }

// String returns the range as it is written: "503", "502-504", "5xx".
func (r StatusRange) String() string {
	switch {
	case r.From == r.To:
		return strconv.Itoa(r.From)
	case r.From%100 == 0 && r.To == r.From+99:
		return strconv.Itoa(r.From/100) + "xx"
	}
	return fmt.Sprintf("%d-%d", r.From, r.To)
}

// Expected says what a range of statuses looks like.
func (StatusRange) Expected() string { return "a status such as 503, 502-504 or 5xx" }

// SchemaOf is the schema of statuses.
func (StatusRange) SchemaOf() *SchemaNode {
	low, high := 100.0, 599.0
	return lang.OrReference(&SchemaNode{Type: "integer", Minimum: &low, Maximum: &high}, &SchemaNode{Type: "string", Pattern: "^([1-5][0-9][0-9](-[1-5][0-9][0-9])?|[1-5][Xx][Xx])$"})
}

// MarshalText renders String.
func (r StatusRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a range of statuses.
func (r *StatusRange) UnmarshalText(text []byte) (err error) {
	*r, err = ParseStatusRange(string(text))
	return err
}

// The failures of a try that RetryOn names.
const (
	OnConnectFailure = "connect_failure"
	OnReset          = "reset"
	OnTimeout        = "timeout"
)

var retryFailures = []string{OnConnectFailure, OnReset, OnTimeout}

// RetryOn is what a try may be repeated for: a failure ("connect_failure", "reset", "timeout"), or statuses ("503", "5xx").
type RetryOn struct {
	Failure string      // one of the failures, or ""
	Status  StatusRange // the statuses, where Failure is ""
}

// String returns what was written.
func (r RetryOn) String() string {
	if r.Failure != "" {
		return r.Failure
	}
	return r.Status.String()
}

// Expected says what may be written.
func (RetryOn) Expected() string {
	return "connect_failure, reset, timeout, or a status such as 503, 502-504 or 5xx"
}

// MarshalText renders String.
func (r RetryOn) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a failure or statuses.
func (r *RetryOn) UnmarshalText(text []byte) error {
	word := strings.TrimSpace(string(text))
	if slices.Contains(retryFailures, word) {
		*r = RetryOn{Failure: word}
		return nil
	}
	status, err := ParseStatusRange(word)
	if err != nil {
		if near := Suggest(word, retryFailures); near != "" {
			return fmt.Errorf("%q is no failure; did you mean %q?", word, near)
		}
		return fmt.Errorf("%q is neither a failure nor a status", word)
	}
	if status.From < 400 {
		return fmt.Errorf("%s is no error: only statuses from 400 on can be tried again", status)
	}
	*r = RetryOn{Status: status}
	return nil
}
