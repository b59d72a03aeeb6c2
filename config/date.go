package config

import (
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/config/lang"
)

// Date is a point in time: a day (its beginning in UTC, "2026-12-31") or a time ("2026-12-31T12:00:00Z").
type Date struct{ time.Time }

// String returns the date as it is written: a day where the time is midnight in UTC.
func (d Date) String() string {
	if u := d.UTC(); u.Equal(u.Truncate(24 * time.Hour)) {
		return u.Format(time.DateOnly)
	}
	return d.Format(time.RFC3339)
}

// Expected says what a date looks like.
func (Date) Expected() string {
	return "a day such as 2026-12-31, or a time such as 2026-12-31T12:00:00Z"
}

// SchemaOf is the schema of a date.
func (Date) SchemaOf() *SchemaNode { return lang.OrReference(&SchemaNode{Type: "string"}) }

// MarshalText renders String.
func (d Date) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	return []byte(d.String()), nil
}

// MarshalJSON renders String.
func (d Date) MarshalJSON() ([]byte, error) {
	text, err := d.MarshalText()
	return []byte(`"` + string(text) + `"`), err
}

// UnmarshalText reads a date.
func (d *Date) UnmarshalText(text []byte) error {
	trimmed := strings.TrimSpace(string(text))
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, trimmed); err == nil {
			if t.Year() < 1970 {
				return fmt.Errorf("%q is before 1970", text)
			}
			d.Time = t
			return nil
		}
	}
	return fmt.Errorf("%q is neither a day nor a time", text)
}

// UnmarshalJSON reads a date.
func (d *Date) UnmarshalJSON(text []byte) error {
	return d.UnmarshalText([]byte(strings.Trim(string(text), `"`)))
}
