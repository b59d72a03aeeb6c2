//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/bench/run/hold"
	"cardea.dev/cardea/bench/run/process"
)

// IdleReport is what connections cost that wait.
type IdleReport struct {
	Connections int           `json:"connections"` // at the most
	Gateways    []IdleGateway `json:"gateways"`
}

// IdleGateway is a gateway in it.
type IdleGateway struct {
	Name    string  `json:"name"`
	Empty   int64   `json:"empty_bytes"`       // the process, before there were connections
	Process float64 `json:"process_bytes"`     // of the process for a connection
	Kernel  float64 `json:"kernel_bytes"`      // of the kernel for a connection, both of its ends
	CPU     float64 `json:"cpu_us_per_second"` // of all connections together, while they wait
	Bare    float64 `json:"bare_us_per_second"`
}

// idleSteps is in how many steps connections are opened.
const idleSteps = 5

// runIdle opens connections to each gateway in steps, and reads from the slopes what one of them costs.
func runIdle(ctx context.Context, b *bench, c *benchCase, r *Report) error {
	top := b.idle
	if top == 0 {
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return err
		}
		top = int(min(limit.Cur, 200_000)) - 1000
	}
	if top < idleSteps {
		return fmt.Errorf("cannot open %d connections in %d steps", top, idleSteps)
	}
	r.Idle = &IdleReport{Connections: top}
	for _, one := range c.contenders {
		g, err := b.idleOf(ctx, c, one, top)
		if err != nil {
			return fmt.Errorf("%s: %w", one.called(), err)
		}
		r.Idle.Gateways = append(r.Idle.Gateways, *g)
		fmt.Fprintf(b.progress, "%s: %s\n", c.name, g.Name)
	}
	return nil
}

// idleOf measures one gateway.
func (b *bench) idleOf(ctx context.Context, c *benchCase, one contender, top int) (*IdleGateway, error) {
	s := setup{dir: filepath.Join(b.dir, c.name, one.called()), origin: b.address, cores: b.cores, connections: top}
	g, err := b.startWith(one, s)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	if err := verify(g, c, ""); err != nil {
		return nil, err
	}
	helper, said, err := b.helper("hold", true)
	if err != nil {
		return nil, err
	}
	defer helper.Stop()
	h := holding{helper: helper, replies: json.NewDecoder(said), order: hold.Order{Address: g.setup.listen, Path: c.paths(0)[0], Want: c.want()}, settle: b.settle}
	return h.measure(ctx, g, top)
}

// holding is a helper that holds connections.
type holding struct {
	helper  *process.Process
	replies *json.Decoder
	order   hold.Order
	settle  time.Duration // how long memory is given to settle in each step, and CPU is watched
}

// hold has so many connections held, and all of them ask once more where that is wanted.
func (h *holding) hold(connections int, ask bool) error {
	h.order.Connections, h.order.Ask = connections, ask
	if err := json.NewEncoder(h.helper.Stdin).Encode(h.order); err != nil {
		return errors.Join(err, h.helper.Failure())
	}
	var reply hold.Reply
	if err := h.replies.Decode(&reply); err != nil {
		return errors.Join(err, h.helper.Failure())
	}
	if reply.Failed != "" {
		return fmt.Errorf("cannot hold %d connections: %s", connections, reply.Failed)
	}
	return nil
}

// measure opens connections in steps.
func (h *holding) measure(ctx context.Context, g *gateway, top int) (*IdleGateway, error) {
	var counts, processes, kernel []float64
	idle := &IdleGateway{Name: g.label}
	var err error
	if idle.Bare, err = cpuOf(g, h.settle); err != nil {
		return nil, err
	}
	for step := range idleSteps + 1 {
		if ctx.Err() != nil {
			return nil, errors.New("interrupted")
		}
		n := max(100, top*step/idleSteps) // the first few make buffers and pools that stay
		if err := h.hold(n, false); err != nil {
			return nil, err
		}
		time.Sleep(h.settle)
		memory, err := process.Memory(g.pids)
		if err != nil {
			return nil, err
		}
		slab, err := process.Slab()
		if err != nil {
			return nil, err
		}
		if step == 0 {
			idle.Empty = memory
		}
		counts, processes, kernel = append(counts, float64(n)), append(processes, float64(memory)), append(kernel, float64(slab))
	}
	idle.Process, idle.Kernel = slope(counts, processes), slope(counts, kernel)
	if idle.CPU, err = cpuOf(g, h.settle); err != nil {
		return nil, err
	}
	return idle, h.hold(top, true) // they are all there, and work
}

// cpuOf watches for a while how much processor time a gateway uses: microseconds in a second.
func cpuOf(g *gateway, watch time.Duration) (float64, error) {
	before, _, err := process.CPUTime(g.pids)
	if err != nil {
		return 0, err
	}
	time.Sleep(watch)
	after, _, err := process.CPUTime(g.pids)
	return micros(after-before) / watch.Seconds(), err
}

// slope is that of the line that is nearest to points (least squares).
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	n := float64(len(x))
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

func (r *IdleReport) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "\nidle: connections that have made one request, and wait (up to %d)\n", r.Connections)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "gateway\tempty MiB\tprocess KiB each\tkernel KiB each\tCPU µs/s\twithout\ta million: GiB\twith kernel\t\n")
	for _, g := range r.Gateways {
		const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30
		fmt.Fprintf(t, "%s\t%.1f\t%.2f\t%.2f\t%.0f\t%.0f\t%.1f\t%.1f\t\n", g.Name, float64(g.Empty)/mib, g.Process/kib, g.Kernel/kib, g.CPU, g.Bare,
			g.Process*1e6/gib, (g.Process+g.Kernel)*1e6/gib)
	}
	_ = t.Flush()
	b.WriteString("Bytes of a connection are slopes over its steps: of the proportional set size of the gateway's processes, and of the kernel's slab\n" +
		"memory of the whole machine, which has both ends of each connection. CPU is that of the gateway while all of them wait.\n")
}
