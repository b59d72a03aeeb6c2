//go:build linux

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc: Linux shows them to programs in hundredths of a second, whatever it counts with itself.
const tick = time.Second / 100

// stat is what /proc/PID/stat says of a process that matters here.
type stat struct {
	pid, parent  int
	user, system time.Duration
}

// parseStat reads a line of /proc/PID/stat. The name of the program stands in parentheses and may hold anything, parentheses
// and spaces too, so fields count from the last one on (proc(5)).
func parseStat(line string) (stat, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 1 || end < open {
		return stat{}, fmt.Errorf("cannot read process state %q: no program name", line)
	}
	fields := strings.Fields(line[end+1:]) // from field 3, the state, on
	if len(fields) < 13 {
		return stat{}, fmt.Errorf("cannot read process state %q: too few fields", line)
	}
	var numbers [4]int64
	for i, text := range []string{strings.TrimSpace(line[:open]), fields[1], fields[11], fields[12]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("cannot read process state %q: %w", line, err)
		}
		numbers[i] = n
	}
	return stat{
		pid: int(numbers[0]), parent: int(numbers[1]),
		user: time.Duration(numbers[2]) * tick, system: time.Duration(numbers[3]) * tick,
	}, nil
}

// readStat reads the state of one process.
func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(line))
}

// Tree lists a process and all that descend from it, such as the workers of a server.
func Tree(root int) ([]int, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH): // ended meanwhile
			continue
		case err != nil:
			return nil, err
		}
		children[s.parent] = append(children[s.parent], s.pid)
	}
	return below(root, children), nil
}

// below lists a process and its descendants, parents first.
func below(root int, children map[int][]int) []int {
	all := []int{root}
	for i := 0; i < len(all); i++ {
		next := children[all[i]]
		slices.Sort(next)
		all = append(all, next...)
	}
	return all
}

// CPUTime is the processor time that processes have used since they began, user and system together, and the part of it that
// is system time. The first comes from the processes' clocks, which count nanoseconds; /proc shows the same time, but in
// hundredths of a second, and alone tells the two parts apart.
func CPUTime(pids []int) (total, system time.Duration, err error) {
	for _, pid := range pids {
		// clock_getcpuclockid(3): the clock of a process is its number, inverted, with 2 for "as scheduled" below it.
		var now unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &now); err != nil {
			return 0, 0, fmt.Errorf("cannot read the processor time of process %d: %w", pid, err)
		}
		s, err := readStat(pid)
		if err != nil {
			return 0, 0, fmt.Errorf("cannot read the processor time of process %d: %w", pid, err)
		}
		total += time.Duration(now.Nano())
		system += s.system
	}
	return total, system, nil
}

// Memory is what processes have in memory, in bytes. Pages that several share count in parts (PSS), as /proc/PID/smaps_rollup says.
func Memory(pids []int) (int64, error) {
	total := int64(0)
	for _, pid := range pids {
		pss, err := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
		if err != nil {
			return 0, err
		}
		total += pss
	}
	return total, nil
}

// Slab is the memory that the kernel keeps its objects in, sockets among them, of the whole machine and in bytes, as /proc/meminfo says.
func Slab() (int64, error) { return field("/proc/meminfo", "Slab:") }

// field reads a line like "Slab: 123 kB" of a file.
func field(path, name string) (int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if parts := strings.Fields(line); len(parts) == 3 && parts[0] == name {
			n, err := strconv.ParseInt(parts[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("cannot find %s in %s", name, path)
}
