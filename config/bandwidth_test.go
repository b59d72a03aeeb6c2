package config

import (
	"strings"
	"testing"
	"time"
)

func TestBandwidths(t *testing.T) {
	good := map[string]Bandwidth{
		"1MiB/s":               {Size: 1 << 20, Per: time.Second},
		"500 KB / s":           {Size: 500_000, Per: time.Second},
		"10MB/min":             {Size: 10_000_000, Per: time.Minute},
		"1MiB/s burst 64KiB":   {Size: 1 << 20, Per: time.Second, Burst: 64 << 10},
		"1000/s":               {Size: 1000, Per: time.Second},
		"64KiB/100ms":          {Size: 64 << 10, Per: 100 * time.Millisecond},
		" 1B/s  burst  2 KiB ": {Size: 1, Per: time.Second, Burst: 2 << 10},
	}
	for text, want := range good {
		b, err := ParseBandwidth(text)
		if err != nil || b != want {
			t.Errorf("%q: got %+v, %v", text, b, err)
		}
		if again, err := ParseBandwidth(b.String()); again != b || err != nil {
			t.Errorf("%q is written as %q, which is %+v, %v", text, b.String(), again, err)
		}
	}
	for text, want := range map[string]string{
		"": "empty", "1MiB": "per what time", "0/s": "nothing", "-1MiB/s": "negative", "1MiB/": "per what time", "1MiB/fortnight": "not a time",
		"1Mbit/s": "unit", "1MiB/s burst 0": "at least 1B", "1MiB/s burst many": "burst", "1MiB/s burst": "per what time", "1B/min": "one byte", "1MiB/s quickly": "per what time",
	} {
		if b, err := ParseBandwidth(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v", text, b, err)
		}
	}
	if s := (Bandwidth{}).String(); s != "" || (Bandwidth{}).PerSecond() != 0 {
		t.Errorf("none is %q", s)
	}
	if got := (Bandwidth{Size: 600, Per: time.Minute}).PerSecond(); got != 10 {
		t.Errorf("600B/min are %v in a second", got)
	}
}
