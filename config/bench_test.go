package config

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkParse reads 10,000 routes with their upstreams.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString("upstreams:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "  u%d: http://u%d:8080\n", i, i)
	}
	text.WriteString("routes:\n")
	for i := range 10000 {
		fmt.Fprintf(&text, "  - match: GET /things%d/{id}/**\n    to: u%d\n    rate_limit: 100/min per jwt.sub\n", i, i%1000)
	}
	raw := []byte(text.String())
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := Parse("x.yaml", raw, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
