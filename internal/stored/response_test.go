package stored

import (
	"testing"
	"time"
)

func TestAgesByClocksThatAreSet(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		received time.Time
		initial  time.Duration
		want     time.Duration
	}{
		"usual":         {now.Add(-time.Minute), time.Second, 61 * time.Second},
		"in the future": {now.Add(time.Hour), time.Second, time.Hour + time.Second},
		"never":         {time.Time{}, time.Hour, longest + time.Hour},
		"the last time": {time.Unix(1<<40, 0), time.Hour, longest + time.Hour},
		"no age":        {now, 0, 0},
	} {
		r := &Response{Received: c.received, Terms: Terms{InitialAge: c.initial}}
		if got := r.Age(now); got != c.want {
			t.Errorf("%s: %s, wanted %s", name, got, c.want)
		}
	}
}
