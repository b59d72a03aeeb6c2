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

	"cardea.dev/cardea/bench/run/attack"
	"cardea.dev/cardea/bench/run/load"
	"cardea.dev/cardea/bench/run/process"
)

// AttackReport is what attacks take, and what other clients notice of them.
type AttackReport struct {
	Kind        string          `json:"kind"`
	Connections int             `json:"connections"`
	Gateways    []AttackGateway `json:"gateways"`
}

// AttackGateway is a gateway in it.
type AttackGateway struct {
	Name   string      `json:"name"`
	Memory float64     `json:"memory_bytes"` // more than before, for each attacking connection
	CPU    float64     `json:"cpu"`          // cores in use
	Open   int         `json:"open"`         // how many attacking connections were open at the end
	Before Percentiles `json:"before"`       // latency of a client that behaves
	During Percentiles `json:"during"`
}

// attacks are the kinds, and with how many connections they are made: many that do little, or few that do what they can.
var attacks = []struct {
	kind        string
	connections int
}{
	{"slow-heads", 2000},
	{"large-heads", 500},
	{"slow-bodies", 1000},
	{"slow-readers", 1000},
	{"tiny-chunks", 8},
	{"fast-bodies", 8},
	{"pipelines", 8},
	{"floods", 32},
}

// attackRate is how many requests the client that behaves makes in a second.
const attackRate = 250

// runAttacks makes each attack on each gateway, while a client that behaves makes requests at a fixed rate.
func runAttacks(ctx context.Context, b *bench, c *benchCase, r *Report) error {
	for _, a := range attacks {
		report := AttackReport{Kind: a.kind, Connections: a.connections}
		for _, one := range c.contenders {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			g, err := b.attacked(c, one, attack.Order{Kind: a.kind, Connections: a.connections})
			if err != nil {
				return fmt.Errorf("%s, %s: %w", a.kind, one.called(), err)
			}
			report.Gateways = append(report.Gateways, *g)
		}
		r.Attacks = append(r.Attacks, report)
		fmt.Fprintf(b.progress, "%s: %s\n", c.name, a.kind)
	}
	return nil
}

// attacked measures one gateway.
func (b *bench) attacked(c *benchCase, one contender, order attack.Order) (*AttackGateway, error) {
	s := setup{dir: filepath.Join(b.dir, c.name, order.Kind, one.called()), origin: b.address, cores: b.cores, connections: 2 * order.Connections}
	if order.Kind == "tiny-chunks" {
		address, stop, err := sink()
		if err != nil {
			return nil, err
		}
		defer stop()
		s.origin = address
	}
	g, err := b.startWith(one, s)
	if err != nil {
		return nil, err
	}
	defer g.stop()
	helper, said, err := b.helper("attack", true)
	if err != nil {
		return nil, err
	}
	defer helper.Stop()
	a := attacker{helper, json.NewDecoder(said)}
	order.Address = g.setup.listen
	behaved := load.Job{
		Address: g.setup.listen, Paths: c.paths(0), Want: c.want(), Connections: 8, Rate: attackRate, Warmup: b.settle / 4, Time: b.settle, Processes: g.pids,
	}
	before, err := b.do(behaved)
	if err != nil {
		return nil, err
	}
	empty, err := process.Memory(g.pids)
	if err != nil {
		return nil, err
	}
	if _, err := a.tell(order); err != nil {
		return nil, err
	}
	during, err := b.do(behaved)
	if err != nil {
		return nil, err
	}
	full, err := process.Memory(g.pids)
	if err != nil {
		return nil, err
	}
	end, err := a.tell(attack.Order{})
	return &AttackGateway{
		Name: g.label, Memory: float64(full-empty) / float64(order.Connections), CPU: float64(during.CPU) / float64(during.Elapsed), Open: end.Open,
		Before: percentilesOf([]load.Result{before}, nil), During: percentilesOf([]load.Result{during}, nil),
	}, err
}

// attacker is a helper that attacks.
type attacker struct {
	helper  *process.Process
	replies *json.Decoder
}

// tell gives an order.
func (a *attacker) tell(o attack.Order) (reply attack.Reply, err error) {
	if err := json.NewEncoder(a.helper.Stdin).Encode(o); err != nil {
		return reply, errors.Join(err, a.helper.Failure())
	}
	if err := a.replies.Decode(&reply); err != nil {
		return reply, errors.Join(err, a.helper.Failure())
	}
	if reply.Failed != "" {
		err = errors.New(reply.Failed)
	}
	return reply, err
}

func writeAttacks(b *strings.Builder, all []AttackReport) {
	fmt.Fprintf(b, "\nattack: while others make %d requests in a second\n", attackRate)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "attack\tconnections\tgateway\tKiB each\tcores\tleft open\tp50 µs\tp99 µs\tbefore: p50\tp99\t\n")
	for _, a := range all {
		for _, g := range a.Gateways {
			fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%.2f\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t\n", a.Kind, a.Connections, g.Name, g.Memory/1024, g.CPU, g.Open,
				g.During.P50, g.During.P99, g.Before.P50, g.Before.P99)
		}
	}
	_ = t.Flush()
	b.WriteString("KiB are what the gateway's processes have more than before, by attacking connections. Latency is that of others.\n")
}
