//go:build linux

package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseStat(t *testing.T) {
	const rest = " 4194304 100 0 0 0 250 75 9 8 20 0 1 0 12345 1000 10"
	for name, c := range map[string]struct {
		line string
		want stat
		err  string
	}{
		"plain":            {line: "42 (nginx) S 7 42 42 0 -1" + rest, want: stat{42, 7, 2500 * time.Millisecond, 750 * time.Millisecond}},
		"spaces, brackets": {line: "42 (a) S 1 (b c) R 7 42 42 0 -1" + rest + "\n", want: stat{42, 7, 2500 * time.Millisecond, 750 * time.Millisecond}},
		"no name":          {line: "42 nginx S 7", err: "no program name"},
		"short":            {line: "42 (nginx) S 7 42", err: "too few fields"},
		"no number":        {line: "42 (nginx) S x 42 42 0 -1" + rest, err: `parsing "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(c.line)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestBelow(t *testing.T) {
	got := below(10, map[int][]int{1: {10, 11}, 10: {13, 12}, 12: {14}, 11: {15}})
	if diff := cmp.Diff([]int{10, 12, 13, 14}, got); diff != "" {
		t.Error(diff)
	}
}

// The clocks of processes are read by a formula, so hold them against what the kernel says of this process in another way.
func TestCPUTime(t *testing.T) {
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		_, _ = os.ReadFile("/proc/self/stat")
	}
	total, system, err := CPUTime([]int{os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	self, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if off := (self.user + self.system - total).Abs(); off > 50*time.Millisecond {
		t.Errorf("the clock says %v, /proc says %v", total, self.user+self.system)
	}
	if system > total+50*time.Millisecond || total == 0 {
		t.Errorf("system time %v of %v", system, total)
	}
	if _, _, err := CPUTime([]int{1 << 22}); err == nil {
		t.Error("no error for a process that does not exist")
	}
}

func TestStopEndsTheWholeTree(t *testing.T) {
	dir := t.TempDir()
	p, err := Start(Program{
		Name: "stubborn", Log: filepath.Join(dir, "log"),
		Command: []string{"sh", "-c", `sleep 60 & echo started >&2; wait`},
	})
	if err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(p.logged(), "started") {
		time.Sleep(time.Millisecond)
	}
	family, err := Tree(p.PID())
	if err != nil || len(family) != 2 {
		t.Fatalf("family %v, %v", family, err)
	}
	if err := p.Failure(); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if err := p.Failure(); err == nil || !strings.Contains(err.Error(), "started") {
		t.Errorf("failure %v does not show what the program said", err)
	}
	for _, pid := range family {
		for living(pid) { // a killed orphan takes a moment; the test's own limit ends this
			time.Sleep(time.Millisecond)
		}
	}
}

// living says whether a process runs. One that ended may stay listed until its parent, which is not this test, takes notice.
func living(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(line), ") Z ")
}

func TestExecRunsOnTheGivenCores(t *testing.T) {
	if cpus := os.Getenv("BENCH_TEST_CPUS"); cpus != "" {
		t.Fatal(Exec(cpus, []string{"sh", "-c", "grep Cpus_allowed_list /proc/self/status"}))
	}
	cpus, err := CPUs()
	if err != nil {
		t.Fatal(err)
	}
	last := List(cpus[len(cpus)-1:])
	cmd := exec.Command(os.Args[0], "-test.run", "^TestExecRunsOnTheGivenCores$")
	cmd.Env = append(os.Environ(), "BENCH_TEST_CPUS="+last)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if fields := strings.Fields(string(out)); !slices.Contains(fields, last) {
		t.Errorf("ran on %q, want %s", out, last)
	}
}
