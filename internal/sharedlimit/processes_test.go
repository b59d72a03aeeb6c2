package sharedlimit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/internal/limit"
	"cardea.dev/cardea/internal/redis"
	"cardea.dev/cardea/internal/redis/redistest"
)

// workerEnv makes the test's program a gateway: it says what it does, as JSON.
const workerEnv = "CARDEA_TEST_WORKER"

// job is what a gateway does.
type job struct {
	URL      string
	Mode     Mode
	Rule     limit.Rule
	Refusals int64 // after which it ends
}

// worker is a gateway: it takes in parallel, and writes a byte for each that passed.
func worker() int {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(workerEnv)), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	server, err := redis.New(j.URL)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := New(server, "processes", []limit.Rule{j.Rule}, Options{Mode: j.Mode, OnFailure: Deny, Timeout: 5 * time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 8 {
		wg.Go(func() {
			for refused.Load() < j.Refusals && ctx.Err() == nil {
				switch d, err := c.Take(ctx, limit.NewID("k"), 1); {
				case err == nil && d.Allowed:
					_, _ = os.Stdout.WriteString("+")
					continue
				case err == nil:
					refused.Add(1)
				}
				pause, done := context.WithTimeout(ctx, time.Millisecond) // the store is away, or nothing is left: it will be back
				<-pause.Done()
				done()
			}
		})
	}
	wg.Wait()
	_ = c.Close()
	_ = server.Close()
	return 0
}

// gateways are processes that count together.
type gateways struct {
	t       *testing.T
	all     []*exec.Cmd
	readers sync.WaitGroup
	passed  atomic.Int64
}

// start starts a gateway.
func (g *gateways) start(j job) *exec.Cmd {
	g.t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		g.t.Fatal(err)
	}
	cmd := exec.CommandContext(g.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.all = append(g.all, cmd)
	g.readers.Go(func() {
		for r := bufio.NewReader(out); ; {
			if _, err := r.ReadByte(); err != nil {
				return
			}
			g.passed.Add(1)
		}
	})
	return cmd
}

// wait waits for the end of all, and returns how much passed.
func (g *gateways) wait(killed *exec.Cmd) int64 {
	g.t.Helper()
	g.readers.Wait()
	for _, cmd := range g.all {
		if err := cmd.Wait(); err != nil && cmd != killed {
			g.t.Error(err)
		}
	}
	return g.passed.Load()
}

// TestProcesses: three gateways count together, one of them is killed, and the store restarts. All of a day's limit is asked for within moments.
func TestProcesses(t *testing.T) {
	const most = 3000
	for _, mode := range []Mode{Exact, Approximate} {
		for _, algorithm := range []limit.Algorithm{limit.SlidingWindow, limit.GCRA} {
			for _, kept := range []bool{true, false} {
				t.Run(fmt.Sprint(mode, "/", algorithm, "/kept=", kept), func(t *testing.T) {
					args := []string{"--appendonly", "no"}
					if kept {
						args = []string{"--appendonly", "yes", "--appendfsync", "always"}
					}
					r := redistest.Start(t, args...)
					g := &gateways{t: t}
					// So rarely that none comes back while the test runs: one in more than half an hour.
					j := job{r.URL(), mode, limit.Rule{Algorithm: algorithm, Count: 1, Per: time.Hour, Burst: most}, 300}
					if algorithm == limit.SlidingWindow {
						j.Rule = limit.Rule{Algorithm: algorithm, Count: most, Per: 24 * time.Hour}
					}
					victim := g.start(j)
					g.start(j)
					g.start(j)
					r.Wait("let some pass", func() bool { return g.passed.Load() >= 300 })
					if err := victim.Process.Kill(); err != nil {
						t.Fatal(err)
					}
					r.Wait("let more pass", func() bool { return g.passed.Load() >= 600 })
					r.Kill()
					r.Run()
					passed := g.wait(victim)
					t.Logf("%d of %d passed", passed, most)
					switch {
					case kept && passed > most:
						t.Errorf("%d passed, of %d", passed, most)
					case passed > 2*most: // what was counted is lost: one more full limit
						t.Errorf("%d passed, of %d twice", passed, most)
					case passed < most*4/10: // each of three gateways may have two leases of a tenth
						t.Errorf("only %d passed, of %d", passed, most)
					case mode == Exact && passed < most-2*8*3: // what was under way when a gateway or the store ended
						t.Errorf("only %d passed, of %d", passed, most)
					}
				})
			}
		}
	}
}

// TestRate: three gateways never let more pass than the burst and the rate over the time that it took, by the store's clock.
func TestRate(t *testing.T) {
	for _, mode := range []Mode{Exact, Approximate} {
		r := redistest.Start(t)
		g := &gateways{t: t}
		j := job{r.URL(), mode, limit.Rule{Algorithm: limit.GCRA, Count: 1000, Per: time.Second, Burst: 300}, 3000}
		before := clock(t, r)
		g.start(j)
		g.start(j)
		g.start(j)
		passed := g.wait(nil)
		took := clock(t, r) - before
		most := 300 + int64(1000*took.Seconds()) + 1
		t.Logf("%s: %d passed in %s, %d may", mode, passed, took, most)
		if passed > most {
			t.Errorf("%s: %d passed in %s, more than %d", mode, passed, took, most)
		}
		if passed < 100 {
			t.Errorf("%s: only %d passed", mode, passed)
		}
	}
}

// clock is the time of a store.
func clock(t *testing.T, r *redistest.Server) time.Duration {
	t.Helper()
	lines := strings.Split(r.Must("TIME"), "\r\n")
	seconds, err := strconv.ParseInt(lines[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	micros, err := strconv.ParseInt(lines[4], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds)*time.Second + time.Duration(micros)*time.Microsecond
}
