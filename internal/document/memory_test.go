package document_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/document"
)

// shapes are documents of some megabytes whose values take very different room.
func shapes() map[string]string {
	list := func(element string, n int) string { return "[" + strings.Repeat(element+",", n-1) + element + "]" }
	fields := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"field%d":%d`, i, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	return map[string]string{
		"empty lists":   list("[]", 300_000),
		"deep lists":    list(strings.Repeat("[", 500)+strings.Repeat("]", 500), 500),
		"empty objects": list("{}", 200_000),
		"small objects": list(`{"a":1}`, 50_000),
		"orders":        list(`{"id":1234,"total":12.50}`, 50_000),
		"people":        list(`{"id":1234567,"name":"Ada Lovelace","mail":"ada@example.com","city":"London","born":"1815-12-10","tags":["mathematics","engines"]}`, 20_000),
		"nine fields":   list(fields(9), 10_000),
		"fifteen":       list(fields(15), 10_000),
		"one object":    fields(100_000),
		"numbers":       list("12345", 300_000),
		"digits":        list("1", 300_000),
		"texts":         list(`"twelve bytes"`, 200_000),
		"one text":      `"` + strings.Repeat("x", 8<<20) + `"`,
		"truths":        list("true", 500_000),
	}
}

// TestSpending compares what is told with what the heap says.
func TestSpending(t *testing.T) {
	for name, text := range shapes() {
		t.Run(name, func(t *testing.T) {
			var told int64
			before := heap()
			v, err := document.Read(strings.NewReader(text), document.Limits{Spend: func(n int64) error { told += n; return nil }})
			if err != nil {
				t.Fatal(err)
			}
			taken := heap() - before
			runtime.KeepAlive(v)
			ratio := float64(told) / float64(taken)
			t.Logf("%d bytes of JSON take %.1f times that, told were %.2f of it", len(text), float64(taken)/float64(len(text)), ratio)
			if ratio < 0.8 || ratio > 1.6 {
				t.Errorf("%d bytes were told, and %d are taken", told, taken)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestSpendingEnds: an error ends the reading early.
func TestSpendingEnds(t *testing.T) {
	enough := errors.New("enough")
	told := int64(0)
	for name, text := range shapes() {
		told = 0
		_, err := document.Read(strings.NewReader(text), document.Limits{Spend: func(n int64) error {
			if told += n; told > 1<<20 {
				return enough
			}
			return nil
		}})
		if !errors.Is(err, enough) || name != "one text" && told > 2<<20 {
			t.Errorf("%s: %v, after %d bytes", name, err, told)
		}
	}
}
