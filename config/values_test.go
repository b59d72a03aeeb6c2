package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	good := map[string]string{
		"300ms": "300ms", "10s": "10s", "5m": "5m", "5min": "5m", "1h30m": "1h30m", "7d": "1w", "1w1d": "8d", "90s": "1m30s", "off": "0s", "0": "0s",
		"1.5h": "1h30m", "1h 30m": "1h30m", "5 s": "5s", "250us": "250us", "0s": "0s", "1.000000001s": "1s1ns",
	}
	for text, want := range good {
		d, err := ParseDuration(text)
		if err != nil || d.String() != want {
			t.Errorf("%q = %v, %v; want %v", text, d, err, want)
		}
		if again, err := ParseDuration(d.String()); again != d || err != nil {
			t.Errorf("%q does not round-trip", d)
		}
	}
	for _, text := range []string{"", "5", "-5s", "s", "5x", "5s6", "1e3s", "1..5s", "99999999w", "9999999999999999999s", "5 parsecs", "106751d 106751d"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q = %v", text, d)
		}
	}
}

func TestSizes(t *testing.T) {
	good := map[string]string{"512": "512B", "64KiB": "64KiB", "1MiB": "1MiB", "10MB": "10MB", "off": "0B", "1.5KiB": "1536B", "10 mb": "10MB", "1024": "1KiB", "1000": "1KB"}
	for text, want := range good {
		s, err := ParseSize(text)
		if err != nil || s.String() != want {
			t.Errorf("%q = %v, %v; want %v", text, s, err, want)
		}
		if again, err := ParseSize(s.String()); again != s || err != nil {
			t.Errorf("%q does not round-trip", s)
		}
	}
	for _, text := range []string{"", "-1", "1XB", "1MB2", "MB", "99999999999TiB", "1..2MB", "1 2 MB"} {
		if s, err := ParseSize(text); err == nil {
			t.Errorf("%q = %v", text, s)
		}
	}
}

func TestRates(t *testing.T) {
	good := map[string]Rate{
		"100/min": {100, time.Minute, 0}, "10/s burst 20": {10, time.Second, 20}, "5/100ms": {5, 100 * time.Millisecond, 0},
		"1000/hour": {1000, time.Hour, 0}, "1/d": {1, day, 0}, " 7 / 2h ": {7, 2 * time.Hour, 0}, "3/m": {3, time.Minute, 0},
	}
	for text, want := range good {
		r, err := ParseRate(text)
		if err != nil || r != want {
			t.Errorf("%q = %v, %v; want %v", text, r, err, want)
		}
		if again, err := ParseRate(r.String()); again != r || err != nil {
			t.Errorf("%q does not round-trip", r)
		}
	}
	for _, text := range []string{"", "100", "100/", "0/s", "-1/s", "x/s", "1/fortnight", "1/0s", "1/s burst", "1/s burst 0", "1/s bursts 5", "1/s burst 5 6"} {
		if r, err := ParseRate(text); err == nil {
			t.Errorf("%q = %v", text, r)
		}
	}
}

func TestShares(t *testing.T) {
	good := map[string]string{"5%": "5%", "0.05": "5%", "0": "0%", "1": "100%", "100 %": "100%", "0.125": "12.5%"}
	for text, want := range good {
		if s, err := ParseShare(text); err != nil || s.String() != want {
			t.Errorf("%q = %v, %v; want %v", text, s, err, want)
		}
	}
	for _, text := range []string{"", "5", "101%", "-1%", "NaN", "x%"} {
		if s, err := ParseShare(text); err == nil {
			t.Errorf("%q = %v", text, s)
		}
	}
}

func TestPrefixes(t *testing.T) {
	good := map[string]string{"10.0.0.0/8": "10.0.0.0/8", "192.0.2.7": "192.0.2.7", "::ffff:10.0.0.1": "10.0.0.1", "::ffff:10.0.0.0/104": "10.0.0.0/8", "2001:db8::/32": "2001:db8::/32"}
	for text, want := range good {
		if p, err := ParsePrefix(text); err != nil || p.String() != want {
			t.Errorf("%q = %v, %v; want %v", text, p, err, want)
		}
	}
	for _, text := range []string{"", "10.0.0.1/8", "nope", "10.0.0.0/33", "fe80::1%eth0", "::ffff:10.0.0.0/80"} {
		if p, err := ParsePrefix(text); err == nil {
			t.Errorf("%q = %v", text, p)
		}
	}
}

func TestSecretsAreNotSeen(t *testing.T) {
	s := struct{ S Secret }{"hunter2"}
	text, err := json.Marshal(map[string]any{"a": s, "b": s.S})
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %x %d %s", s, s, s, s.S, s.S, s.S, s.S, text)
	if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e") || s.S.Reveal() != "hunter2" {
		t.Error(shown)
	}
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"1h30m", "off", "64KiB", "100/min", "10/s burst 20", "5%", "10.0.0.0/8", "GET,HEAD a.example.com/x/{id}/**", "~^/x$", "true", "1w2d3h", "9999999999999999999s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Duration
		var s Size
		var r Rate
		var sh Share
		var p Prefix
		for _, v := range []encoding.TextUnmarshaler{&d, &s, &r, &sh, &p} {
			if v.UnmarshalText([]byte(text)) != nil {
				continue
			}
			before := fmt.Sprint(v)
			out, err := v.(encoding.TextMarshaler).MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.UnmarshalText(out); err != nil || fmt.Sprint(v) != before {
				t.Errorf("%T %q: %q does not round-trip: %v", v, text, out, err)
			}
		}
		var m Match
		if m.UnmarshalText([]byte(text)) == nil {
			_ = m.Validate()
		}
		var vm ValueMatch
		if vm.UnmarshalText([]byte(text)) == nil {
			_ = vm.Validate()
		}
	})
}
