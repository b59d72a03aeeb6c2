package config

import (
	"strings"
	"testing"
	"time"
)

func TestPaces(t *testing.T) {
	for text, want := range map[string]Pace{
		"1KiB/s": {1024, 10 * time.Second}, "500B/s over 20s": {500, 20 * time.Second}, " 1MiB/s  over 100ms ": {1 << 20, 100 * time.Millisecond},
		"off": {}, "0": {}, "100/s": {100, 10 * time.Second},
	} {
		got, err := ParsePace(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		if back, err := ParsePace(got.String()); err != nil || back != got {
			t.Errorf("%q is written %q, which is read as %v, %v", text, got, back, err)
		}
	}
	for text, want := range map[string]string{
		"1KiB": "does not end in /s", "1KiB/min": "does not end in /s", "x/s": "is not a pace", "0/s": "from 1B/s", "2GiB/s": "to 1GiB/s",
		"1KiB/s after 10s": "is not `over` and a time", "1KiB/s over": "is not `over` and a time", "1KiB/s over x": "", "1KiB/s over 0s": "10ms to 1h", "1KiB/s over 2h": "10ms to 1h",
	} {
		if got, err := ParsePace(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if n := (Pace{Size: 1024, Over: 500 * time.Millisecond}).Bytes(); n != 512 {
		t.Errorf("512 bytes in half a second, not %d", n)
	}
	if n := (Pace{Size: 1, Over: 10 * time.Millisecond}).Bytes(); n != 1 {
		t.Errorf("%d bytes", n)
	}
	if n := (Pace{}).Bytes(); n != 0 {
		t.Errorf("%d bytes", n)
	}
}
