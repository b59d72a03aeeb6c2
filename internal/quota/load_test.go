package quota

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"cardea.dev/cardea/internal/limit"
)

// BenchmarkOpen reads a file of 100,000 keys.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "quota.state")
	o := Options{File: path, Log: slog.New(slog.DiscardHandler)}
	l, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	s := l.Series("test", Period{Unit: Month}, 1<<20)
	for i := range 100_000 {
		if err := l.Charge(l.o.Now(), []Ask{{Series: s, ID: limit.NewID(fmt.Sprintf("consumer-%d", i)), Amount: 5, Span: Span{Label: 20000}}}, 1); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := Open(o)
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
