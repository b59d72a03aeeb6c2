package quota

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests' time zones
)

func TestSpans(t *testing.T) {
	for _, c := range []struct {
		period, zone, now, start, end string
		month                         int
		week                          time.Weekday
	}{
		{"hour", "UTC", "2026-01-01T00:59:59Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z", 1, 1},
		{"day", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 1, 1},
		{"day", "Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 1, 1},  // 23 hours
		{"day", "Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 1, 1},  // 25 hours
		{"day", "Africa/Cairo", "2026-04-24T12:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z", 1, 1},   // no midnight
		{"day", "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 1, 1}, // two midnights
		{"day", "America/Havana", "2026-11-01T04:30:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 1, 1},
		{"day", "America/Havana", "2026-11-01T03:59:59Z", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z", 1, 1},
		{"week", "UTC", "2026-01-01T00:00:00Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z", 1, 1}, // over the year's end
		{"week", "UTC", "2026-01-04T23:59:59Z", "2025-12-29T00:00:00Z", "2026-01-05T00:00:00Z", 1, 1},
		{"week", "UTC", "2026-01-04T00:00:00Z", "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z", 1, 0},
		{"month", "UTC", "2028-02-29T23:59:59Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z", 1, 1}, // a leap year
		{"month", "UTC", "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z", 1, 1},
		{"month", "UTC", "2026-12-31T23:59:59.999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z", 1, 1},
		{"month", "UTC", "2026-01-14T00:00:00Z", "2025-12-15T00:00:00Z", "2026-01-15T00:00:00Z", 15, 1},
		{"month", "UTC", "2026-01-15T00:00:00Z", "2026-01-15T00:00:00Z", "2026-02-15T00:00:00Z", 15, 1},
		{"month", "UTC", "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-28T00:00:00Z", 28, 1},
		{"month", "America/New_York", "2026-12-01T04:59:59Z", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", 1, 1},
		{"year", "UTC", "2028-12-31T23:59:59Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z", 1, 1},
		{"year", "Asia/Tokyo", "2026-12-31T15:00:00Z", "2026-12-31T15:00:00Z", "2027-12-31T15:00:00Z", 1, 1},
		{"1h", "UTC", "2026-01-01T00:00:59Z", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", 1, 1}, // a slot
	} {
		p, err := ParsePeriod(c.period)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse(time.RFC3339, c.now)
		s := p.Span(Calendar{zone, c.month, c.week}, at)
		if start, end := s.Start.UTC().Format(time.RFC3339), s.End.UTC().Format(time.RFC3339); start != c.start || end != c.end || !s.Contains(at) {
			t.Errorf("%s in %s at %s: got %s to %s, want %s to %s", c.period, c.zone, c.now, start, end, c.start, c.end)
		}
		if p.over(s.Label).Before(s.End) {
			t.Errorf("%s: %s is over before its end", c.period, c.now)
		}
	}
}

// TestSpansFollowEachOther: in every zone each span ends where the next one begins, and its label is the greater.
func TestSpansFollowEachOther(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Havana", "Africa/Cairo", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{Hour, Day, Week, Month, Year, "7d"} {
			p, _ := ParsePeriod(unit)
			c := Calendar{zone, 1, time.Monday}
			s := p.Span(c, time.Date(2024, 1, 1, 0, 0, 0, 0, zone))
			for range 1500 {
				next := p.Span(c, s.End)
				if !next.Start.Equal(s.End) || next.Label <= s.Label || p.Span(c, s.End.Add(-1)) != s {
					t.Fatalf("%s in %s: %v, then %v", unit, name, s, next)
				}
				s = next
			}
		}
	}
}

func TestWrongPeriods(t *testing.T) {
	for _, text := range []string{"", "d", "months", "0", "30", "59s", "10000d", "1m1ms", "minute"} {
		if p, err := ParsePeriod(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}
