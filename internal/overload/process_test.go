package overload

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestLimitOfMemory(t *testing.T) {
	const machine = "MemFree: 1 kB\nMemTotal:       1000 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  uint64
	}{
		"nothing is known":         {nil, 0},
		"the machine":              {map[string]string{"proc/meminfo": machine}, 1000 << 10},
		"version 2":                {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096},
		"version 2, without":       {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 1000 << 10},
		"an outer group":           {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/memory.max": "8192\n", "sys/fs/cgroup/a/b/memory.max": "16384"}, 8192},
		"version 1":                {map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:hugetlb,memory:/x\n0::/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "12288\n"}, 12288},
		"version 1 in a container": {map[string]string{"proc/self/cgroup": "4:memory:/docker/x\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "20480\n"}, 20480},
		"version 1, without":       {map[string]string{"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"more than the machine":    {map[string]string{"proc/meminfo": machine, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "99999999999\n"}, 1000 << 10},
		"nonsense":                 {map[string]string{"proc/meminfo": "MemTotal: x kB\n", "proc/self/cgroup": "?\n0:/\n0::/../../..\n", "sys/fs/cgroup/memory.max": "-1"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range c.files {
				file = filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := FindLimit(root); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
	t.Run("GOMEMLIMIT", func(t *testing.T) {
		t.Setenv("GOMEMLIMIT", "1TiB") // which the runtime has read when it began
		before := debug.SetMemoryLimit(1 << 40)
		defer debug.SetMemoryLimit(before)
		if got := FindLimit(t.TempDir()); got != 1<<40 {
			t.Errorf("got %d", got)
		}
	})
}

func TestTheRuntimeKeepsToTheLimit(t *testing.T) {
	before := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "")
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/meminfo"), []byte("MemTotal: 16777216 kB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if manage(root, 16<<30) || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Error("it has a limit where only the machine's is known")
	}
	if !manage(root, 2<<30) || debug.SetMemoryLimit(-1) >= 2<<30 || debug.SetMemoryLimit(-1) < 1<<30 {
		t.Errorf("in a container with 2GiB its limit is %d", debug.SetMemoryLimit(-1))
	}
	if got := FindLimit(root); got != 16<<30 {
		t.Errorf("its own limit is taken for one that was set: %d", got)
	}
	t.Setenv("GOMEMLIMIT", "3GiB")
	debug.SetMemoryLimit(3 << 30)
	if manage(root, 2<<30) || debug.SetMemoryLimit(-1) != 3<<30 {
		t.Error("it is not left to who has set it")
	}
}

// TestTheProcessIsMeasured compares with what it makes itself.
func TestTheProcessIsMeasured(t *testing.T) {
	p := newProcess(1 << 40)
	first := p.read()
	if first.Limit != 1<<40 || first.Goroutines < 1 || first.Used == 0 || first.Used > first.Held || first.Delay != 0 {
		t.Fatalf("%+v", first)
	}
	const size = 64 << 20
	keep := make([]byte, size)
	runtime.GC()
	with := p.read()
	runtime.KeepAlive(keep)
	if with.Used < first.Used+size*9/10 {
		t.Errorf("%d bytes in use, and with 64MiB more %d", first.Used, with.Used)
	}
	runtime.GC()
	if without := p.read(); without.Used > with.Used-size*9/10 {
		t.Errorf("%d bytes in use after 64MiB of %d were let go", without.Used, with.Used)
	}
}

func TestDelayIsThatOfNineInTen(t *testing.T) {
	h := &metrics.Float64Histogram{Buckets: []float64{math.Inf(-1), 0, .001, .01, .1, math.Inf(1)}, Counts: make([]uint64, 5)}
	add := func(i int, n uint64) { h.Counts[i] += n }
	p := &process{}
	add(4, 1000)
	if d := p.delay(h); d != 0 {
		t.Errorf("at first: %v", d)
	}
	if d := p.delay(h); d != 0 {
		t.Errorf("nothing waited: %v", d)
	}
	add(1, 90)
	add(4, 10)
	if d := p.delay(h); d != 0 {
		t.Errorf("one in ten waited long: %v", d)
	}
	add(1, 80)
	add(3, 20)
	if d := p.delay(h); d != 10*time.Millisecond {
		t.Errorf("two in ten waited 10ms to 100ms: %v", d)
	}
}

func BenchmarkMeasure(b *testing.B) {
	p := newProcess(1)
	b.ReportAllocs()
	for b.Loop() {
		p.read()
	}
}
