package overload

import (
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// Measurements are what was measured once.
type Measurements struct {
	Used       uint64 // memory in bytes that something needs: without what the next collection frees
	Held       uint64 // memory in bytes that the process has from the system
	Limit      uint64 // of memory; 0: there is none, or it is not known
	Managed    bool   // the runtime itself collects garbage before the limit is reached (GOMEMLIMIT)
	Goroutines int
	Delay      time.Duration // that nine in ten waits for a processor did not exceed, since the measurement before
}

// The metrics of the runtime that are read, in this order.
const (
	total = iota
	released
	free
	unused
	objects
	live
	goroutines
	latencies
	names
)

// process measures the process itself. One goroutine uses it at a time.
type process struct {
	samples [names]metrics.Sample
	counts  []uint64 // of latencies, at the measurement before
	given   uint64   // the limit as it was set
	limit   uint64
	managed bool
	reads   int
}

// limitReads is after how many measurements the limit is looked up again: that of a container can change while it runs.
const limitReads = 40

func newProcess(limit uint64) *process {
	p := &process{given: limit}
	for i, name := range [names]string{
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes", "/memory/classes/heap/free:bytes", "/memory/classes/heap/unused:bytes",
		"/memory/classes/heap/objects:bytes", "/gc/heap/live:bytes", "/sched/goroutines:goroutines", "/sched/latencies:seconds",
	} {
		p.samples[i].Name = name
	}
	return p
}

func (p *process) read() Measurements {
	metrics.Read(p.samples[:])
	if p.reads++; p.reads%limitReads == 1 {
		p.limit = p.given
		if p.limit == 0 {
			p.limit = FindLimit("/")
		}
		p.managed = manage("/", p.limit)
	}
	n := func(i int) uint64 { return p.samples[i].Value.Uint64() }
	held := n(total) - n(released)
	garbage := n(objects) - min(n(objects), n(live))
	return Measurements{
		Held: held, Used: held - min(held, n(free)+n(unused)+garbage), Limit: p.limit, Managed: p.managed, Goroutines: int(n(goroutines)),
		Delay: p.delay(p.samples[latencies].Value.Float64Histogram()),
	}
}

// delay is what nine in ten of the latencies since the last call did not exceed.
func (p *process) delay(h *metrics.Float64Histogram) time.Duration {
	first := len(p.counts) != len(h.Counts)
	if first {
		p.counts = make([]uint64, len(h.Counts))
	}
	sum := uint64(0)
	for i, n := range h.Counts {
		sum += n - p.counts[i]
	}
	left, at := sum/10, 0.0 // how many may be longer
	for i := len(h.Counts) - 1; i >= 0 && sum > 0; i-- {
		if n := h.Counts[i] - p.counts[i]; n > left {
			at = bound(h.Buckets, i)
			break
		} else {
			left -= n
		}
	}
	copy(p.counts, h.Counts)
	if first {
		return 0 // it is of the whole life of the process
	}
	return time.Duration(at * float64(time.Second))
}

// bound is the lower bound of a bucket: not more than what was measured.
func bound(buckets []float64, i int) float64 {
	if b := buckets[i]; !math.IsInf(b, 0) {
		return b
	}
	return 0
}

// freeMemory collects garbage and gives memory that is free back to the system.
func freeMemory() { debug.FreeOSMemory() }

// FindLimit finds how much memory the process may have, from the root of a file system: the least of GOMEMLIMIT, the limits of its
// control group and of those around it, version 2 or 1, and what the machine has. It is 0 where none is known.
func FindLimit(root string) uint64 {
	limit := uint64(math.MaxUint64)
	if n := debug.SetMemoryLimit(-1); os.Getenv("GOMEMLIMIT") != "" && n < math.MaxInt64 { // else it is that of manage
		limit = uint64(n)
	}
	limit = min(limit, groupLimit(root), machineMemory(root))
	if limit == math.MaxUint64 {
		return 0
	}
	return limit
}

// manage sees to it that the runtime collects garbage before a limit is reached, as GOMEMLIMIT does, where that is not set: else garbage alone
// may take what a container has, and the kernel ends the process. It says whether the runtime does so. For a limit that is all the machine has, which
// others use too, it does nothing.
func manage(root string, limit uint64) bool {
	if os.Getenv("GOMEMLIMIT") == "" && limit > 0 && limit < machineMemory(root) && limit < math.MaxInt64 {
		debug.SetMemoryLimit(int64(limit / 20 * 19))
	}
	return uint64(debug.SetMemoryLimit(-1)) <= limit
}

// groupLimit is the least limit of the control groups that the process is in. Inside a container, paths may be those of the machine:
// then the container's own limit is that of the root.
func groupLimit(root string) uint64 {
	limit := uint64(math.MaxUint64)
	text, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return limit
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		folder, file := "sys/fs/cgroup", "memory.max"
		if fields[0] != "0" {
			folder, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		if fields[0] != "0" && !strings.Contains(","+fields[1]+",", ",memory,") {
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			limit = min(limit, readLimit(path.Join(root, folder, group, file)))
			if group == "/" {
				break
			}
		}
	}
	return limit
}

// readLimit reads a limit of a control group. One that is no number, or so large that it means none, is none.
func readLimit(name string) uint64 {
	text, err := os.ReadFile(name)
	if err != nil {
		return math.MaxUint64
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n == 0 || n >= 1<<62 {
		return math.MaxUint64
	}
	return n
}

// machineMemory is how much memory the machine has.
func machineMemory(root string) uint64 {
	text, err := os.ReadFile(path.Join(root, "proc/meminfo"))
	if err != nil {
		return math.MaxUint64
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "MemTotal:")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 53); err == nil && n > 0 {
			return n << 10
		}
	}
	return math.MaxUint64
}
