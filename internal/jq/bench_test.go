package jq_test

import (
	"context"
	"strings"
	"testing"

	"cardea.dev/cardea/internal/document"
)

func BenchmarkRun(b *testing.B) {
	input, err := document.Read(strings.NewReader(`{"a":1,"items":[`+strings.Repeat(`{"id":1,"price":12.50,"tags":["x","y"]},`, 24)+`{"id":2}]}`), document.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	for _, program := range []string{`.a`, `{a, n: (.items | length)}`, `.items | map(.price + 1)`, `[.items[] | select(.id == 1) | {id, t: .tags[0]}]`} {
		b.Run(program, func(b *testing.B) {
			p := mustCompile(b, program)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Run(context.Background(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzRun(f *testing.F) {
	for _, seed := range []string{`.a`, `.[]`, `.a += 1`, `"\(.)x" * 2`, `try error catch .`, `[.. | numbers] | add`, `gsub("a"; "b")`, `@json "x\(.a)"`, `.a as [$x] ?// $x | $x`} {
		f.Add(seed, `{"a":[1,"a",null]}`)
	}
	f.Fuzz(func(t *testing.T, program, input string) {
		if len(program) > 200 {
			return
		}
		_, _ = run(program, input)
	})
}
