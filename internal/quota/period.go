package quota

import (
	"fmt"
	"strings"
	"time"

	"cardea.dev/cardea/config"
)

// The periods of the calendar.
const (
	Hour  = "hour"
	Day   = "day"
	Week  = "week"
	Month = "month"
	Year  = "year"
)

const (
	day      = 24 * time.Hour
	slots    = 60 // in a rolling period
	shortest = time.Minute
	longest  = 10 * 366 * day
)

// Period is the time that a quota is for: one of the calendar, or the last so many days. It is comparable.
type Period struct {
	Unit    string        // Hour, Day, Week, Month or Year; "": it is rolling
	Rolling time.Duration // its length
}

// ParsePeriod reads "hour", "day", "week", "month", "year", or for a rolling one a duration: "30d".
func ParsePeriod(text string) (Period, error) {
	switch text = strings.TrimSpace(text); text {
	case Hour, Day, Week, Month, Year:
		return Period{Unit: text}, nil
	case "":
		return Period{}, fmt.Errorf("it does not say per what time")
	}
	if text[0] < '0' || text[0] > '9' {
		near := config.Suggest(text, []string{Hour, Day, Week, Month, Year})
		if near != "" {
			near = fmt.Sprintf("; did you mean %q?", near)
		}
		return Period{}, fmt.Errorf("%q is not a period: write hour, day, week, month or year, or a length such as 30d%s", text, near)
	}
	d, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return Period{}, err
	case d.Std() < shortest:
		return Period{}, fmt.Errorf("%q is too short for a quota: at least 1m; `rate_limit` limits what comes in shorter times", text)
	case d.Std() > longest:
		return Period{}, fmt.Errorf("%q is too long for a quota", text)
	case d.Std()%slots != 0:
		return Period{}, fmt.Errorf("%q is not a whole number of seconds", text)
	}
	return Period{Rolling: d.Std()}, nil
}

// String returns the period as it is written.
func (p Period) String() string {
	if p.Unit != "" {
		return p.Unit
	}
	return config.Duration(p.Rolling).String()
}

// Calendar says when the periods of the calendar begin.
type Calendar struct {
	Location   *time.Location
	MonthStart int // the day of the month, 1 to 28
	WeekStart  time.Weekday
}

// Span is a Period in time. Those of the calendar go from Start up to End. Of a rolling one it is the slot that is counted in, a sixtieth of it.
type Span struct {
	Label      int64 // tells it from the other spans of its period, and grows. It does not depend on the time zone, but for where days begin
	Start, End time.Time
}

// Contains says whether a time is within the span.
func (s *Span) Contains(t time.Time) bool { return !t.Before(s.Start) && t.Before(s.End) }

// Span returns the span of a period that a time is in.
func (p Period) Span(c Calendar, now time.Time) Span {
	switch p.Unit {
	case "":
		return p.slot(floor(now.UnixNano(), int64(p.Rolling/slots)))
	case Hour: // those of UTC, which no time zone makes longer or shorter
		label := floor(now.Unix(), 3600)
		start := time.Unix(label*3600, 0)
		return Span{Label: label, Start: start, End: start.Add(time.Hour)}
	}
	y, m, d := now.In(c.Location).Date()
	var years, months, days int
	switch p.Unit {
	case Day:
		days = 1
	case Week:
		back := (int(civil(y, m, d).Weekday()) - int(c.WeekStart) + 7) % 7
		d, days = d-back, 7
	case Month:
		if d < c.MonthStart {
			m--
		}
		d, months = c.MonthStart, 1
	case Year:
		m, d, years = time.January, 1, 1
	}
	return Span{
		Label: civil(y, m, d).Unix() / 86400,
		Start: midnight(c.Location, civil(y, m, d)), End: midnight(c.Location, civil(y+years, m+time.Month(months), d+days)),
	}
}

// slot is the span of a slot of a rolling period.
func (p Period) slot(label int64) Span {
	length := int64(p.Rolling / slots)
	return Span{Label: label, Start: time.Unix(0, label*length), End: time.Unix(0, (label+1)*length)}
}

// fallsOut is when a slot is certainly no part of the rolling period any more: the whole period after the slot's end.
func (p Period) fallsOut(label int64) time.Time {
	return time.Unix(0, (label+slots+1)*int64(p.Rolling/slots))
}

// over is when a span is over, at the latest, in whatever time zone.
func (p Period) over(label int64) time.Time {
	most := map[string]int64{Day: 1, Week: 7, Month: 31, Year: 366}
	switch p.Unit {
	case "":
		return p.fallsOut(label)
	case Hour:
		return time.Unix((label+1)*3600, 0)
	}
	return time.Unix((label+most[p.Unit]+1)*86400, 0)
}

// Length is about how long the period is.
func (p Period) Length() time.Duration {
	switch p.Unit {
	case "":
		return p.Rolling
	case Hour:
		return time.Hour
	case Day:
		return day
	case Week:
		return 7 * day
	case Month:
		return 31 * day
	}
	return 366 * day
}

// civil is a date without a time zone.
func civil(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

// midnight is the first moment of a date. Where clocks are changed at night, it may be one o'clock, or there may be two midnights.
func midnight(l *time.Location, date time.Time) time.Time {
	y, m, d := date.Date()
	t := time.Date(y, m, d, 0, 0, 0, 0, l)
	start, end := t.ZoneBounds()
	if t.Day() != d { // there is no midnight, and time.Date took the time before the change
		return end
	}
	if start.IsZero() {
		return t
	}
	_, offset := t.Zone()
	_, before := start.Add(-1).Zone()
	if first := t.Add(time.Duration(offset-before) * time.Second); first.Before(start) && first.Day() == d && before > offset {
		return first
	}
	return t
}

// floor divides and rounds down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
