package config

import (
	"testing"
	"time"
)

func TestHedgeAfter(t *testing.T) {
	for text, want := range map[string]HedgeAfter{
		"p95": {Percentile: 95}, "p99.9": {Percentile: 99.9}, "p50": {Percentile: 50}, "200ms": {Time: Duration(200 * time.Millisecond)},
	} {
		var got HedgeAfter
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q is %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "p", "p49", "p100", "pNaN", "95", "95%", "0s", "-1s", "p-95"} {
		var got HedgeAfter
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
