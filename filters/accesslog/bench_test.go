package accesslog

import (
	"testing"

	"cardea.dev/cardea/filter"
)

func TestFinishDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector, pools forget at random")
	}
	for _, format := range []string{"json", "logfmt", "combined"} {
		env := newEnv(t, t.TempDir())
		f := newFilter(t, env, `log: {file: a.log, format: `+format+`}`)
		ex := exchange(env, failed)
		for range 2000 { // grows the buffers
			run(t, f, ex)
		}
		got := testing.AllocsPerRun(2000, func() {
			_ = f.Request(ex)
			f.Finish(ex)
		})
		if got != 0 && format != "combined" {
			t.Errorf("%s: %v allocations", format, got)
		}
	}
}

func BenchmarkFinish(b *testing.B) {
	for _, format := range []string{"json", "logfmt", "combined"} {
		b.Run(format, func(b *testing.B) {
			env := newEnv(b, b.TempDir())
			f := newFilter(b, env, `log: {file: /dev/null, format: `+format+`}`)
			ex := exchange(env, func(*filter.Exchange) {})
			b.ReportAllocs()
			for b.Loop() {
				_ = f.Request(ex)
				f.Finish(ex)
			}
		})
	}
}
