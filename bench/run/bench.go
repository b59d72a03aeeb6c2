//go:build linux

package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cardea.dev/cardea/bench/run/load"
	"cardea.dev/cardea/bench/run/origin"
	"cardea.dev/cardea/bench/run/process"
)

// settings are what the flags say.
type settings struct {
	rounds      int
	time        time.Duration
	cores       int
	connections int
	settle      time.Duration // in the case idle, how long a step takes to settle
	idle        int           // connections in the case idle; 0 is as many as can be
	profile     string        // folder for profiles of Cardea; "" is none
}

// bench is what all cases share: the service behind the gateways, and what makes the requests.
type bench struct {
	settings
	dir         string
	progress    io.Writer
	cpus        []int
	origin      *process.Process
	address     string // of the origin
	load        *process.Process
	replies     *json.Decoder
	cert        string // file with certificate and key
	roots       string // the certificate
	credentials *credentials
	files       []*os.File
}

// direct is the label of requests that go to the service without a gateway.
const direct = "direct"

// openBench starts what all cases share.
func openBench(s settings, progress io.Writer) (_ *bench, err error) {
	b := &bench{settings: s, progress: progress}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.cpus, err = process.CPUs(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "cardea-bench-"); err != nil {
		return nil, err
	}
	if b.credentials, err = issue(b.dir); err != nil {
		return nil, err
	}
	if b.cert, b.roots, err = certify(b.dir); err != nil {
		return nil, err
	}
	var said *bufio.Reader
	if b.origin, said, err = b.helper("origin", false); err != nil {
		return nil, err
	}
	if b.address, err = said.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot learn where the origin is: %w", err), b.origin.Failure())
	}
	b.address = strings.TrimSpace(b.address)
	if b.load, said, err = b.helper("load", true); err != nil {
		return nil, err
	}
	b.replies = json.NewDecoder(said)
	return b, nil
}

// helper starts this program as one of its helpers, on the last core, away from gateways that have less than all.
func (b *bench) helper(subcommand string, stdin bool) (*process.Process, *bufio.Reader, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	b.files = append(b.files, in)
	defer out.Close()
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	command, err := pinned(b.cpus[len(b.cpus)-1:], []string{self, subcommand})
	if err != nil {
		return nil, nil, err
	}
	p, err := process.Start(process.Program{
		Name: subcommand, Command: command, Stdout: out, Stdin: stdin, Log: filepath.Join(b.dir, subcommand+".log"),
	})
	return p, bufio.NewReader(in), err
}

// close stops what was started and removes what was written.
func (b *bench) close() {
	for _, p := range []*process.Process{b.load, b.origin} {
		if p != nil {
			p.Stop()
		}
	}
	for _, f := range b.files {
		_ = f.Close()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

// do has the load generator do a job.
func (b *bench) do(job load.Job) (load.Result, error) {
	if err := json.NewEncoder(b.load.Stdin).Encode(job); err != nil {
		return load.Result{}, errors.Join(fmt.Errorf("cannot reach the load generator: %w", err), b.load.Failure())
	}
	var reply load.Reply
	if err := b.replies.Decode(&reply); err != nil {
		return load.Result{}, errors.Join(fmt.Errorf("cannot read from the load generator: %w", err), b.load.Failure())
	}
	if reply.Failed != "" {
		return load.Result{}, errors.New(reply.Failed)
	}
	if reply.Result.Errors > 0 {
		return reply.Result, fmt.Errorf("%d requests failed, the first: %s", reply.Result.Errors, reply.Result.Error)
	}
	return reply.Result, nil
}

// measured is what came of a case.
type measured struct {
	benchCase benchCase
	cores     int
	rate      float64                  // of the open loop, requests per second
	closed    map[string][]load.Result // by label, one for each round
	open      map[string][]load.Result // by label, one for each round; with direct
}

// run measures a case. Its gateways run side by side, each idle while another one works, and take turns in every round.
func (b *bench) run(ctx context.Context, c benchCase) (*measured, error) {
	m := &measured{benchCase: c, cores: c.cores, closed: map[string][]load.Result{}, open: map[string][]load.Result{}}
	if m.cores == 0 {
		m.cores = b.cores
	}
	if m.cores > len(b.cpus) {
		fmt.Fprintf(b.progress, "%s is left out: it wants %d cores, there are %d\n", c.name, m.cores, len(b.cpus))
		return nil, nil
	}
	var gateways []*gateway
	defer func() {
		for _, g := range gateways {
			g.stop()
		}
	}()
	for _, one := range c.contenders {
		g, err := b.start(&c, one, m.cores)
		if err != nil {
			return nil, err
		}
		gateways = append(gateways, g)
		if err := verify(g, &c, b.rootsFor(&c)); err != nil {
			return nil, err
		}
	}
	for round := range b.rounds {
		if err := b.round(ctx, m, gateways, round); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	return m, b.profileAll(m, gateways)
}

func (b *bench) rootsFor(c *benchCase) string {
	if c.tls {
		return b.roots
	}
	return ""
}

// start starts a contender.
func (b *bench) start(c *benchCase, one contender, cores int) (*gateway, error) {
	label := one.called()
	s := setup{dir: filepath.Join(b.dir, c.name, label), origin: b.address, cores: cores, routes: one.routes, connections: one.connections, all: one.all, checks: one.checks, limits: one.limits, cache: one.cache, pages: one.pages, credentials: b.credentials}
	if c.tls {
		s.cert = b.cert
	}
	if b.profile != "" && one.peer == cardea.name {
		var err error
		if s.admin, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	return b.startWith(one, s)
}

// startWith starts a contender that is to do something.
func (b *bench) startWith(one contender, s setup) (*gateway, error) {
	for i := range peers {
		if peers[i].name == one.peer {
			return peers[i].start(one.called(), s, b.cpus[:s.cores])
		}
	}
	return nil, fmt.Errorf("there is no peer %q", one.peer)
}

// round lets each gateway work once as hard as it can, and once at a rate that all of them can keep.
func (b *bench) round(ctx context.Context, m *measured, gateways []*gateway, round int) error {
	for _, g := range gateways {
		result, err := b.turn(ctx, b.job(m, g, m.benchCase.rate))
		if err != nil {
			return fmt.Errorf("%s: %w", g.label, err)
		}
		m.closed[g.label] = append(m.closed[g.label], result)
	}
	switch {
	case m.benchCase.rate > 0:
		m.rate = m.benchCase.rate
	case round == 0:
		m.rate = rateFor(m.closed)
	}
	for _, g := range append([]*gateway{nil}, gateways...) {
		label := direct
		if g != nil {
			label = g.label
		}
		result, err := b.turn(ctx, b.job(m, g, m.rate))
		if err != nil {
			return fmt.Errorf("%s at %.0f requests per second: %w", label, m.rate, err)
		}
		m.open[label] = append(m.open[label], result)
	}
	fmt.Fprintf(b.progress, "%s: round %d of %d\n", m.benchCase.name, round+1, b.rounds)
	return nil
}

func (b *bench) turn(ctx context.Context, job load.Job) (load.Result, error) {
	if ctx.Err() != nil {
		return load.Result{}, errors.New("interrupted")
	}
	return b.do(job)
}

// job is what a gateway gets to do; without a gateway, what the service does alone.
func (b *bench) job(m *measured, g *gateway, rate float64) load.Job {
	c := &m.benchCase
	job := load.Job{
		Address: b.address, Paths: c.paths(0), Users: c.users, Upload: c.upload, Want: c.want(), Connections: b.connections, Reconnect: c.reconnect,
		Streams: c.tls, Rate: rate, Warmup: b.time / 4, Time: b.time,
	}
	if c.shown {
		job.Fields = b.credentials.fields()
	}
	if g != nil {
		job.Address, job.Paths, job.Processes, job.Roots = g.setup.listen, c.paths(g.setup.routes), g.pids, b.rootsFor(c)
		job.Connections = cmp.Or(g.setup.connections, b.connections)
	}
	if c.rate > 0 { // each connection has had a request or two before it counts
		job.Warmup, job.Time = calmWarmup, max(calmTime, b.time)
	}
	return job
}

// calmWarmup and calmTime are for cases at a fixed rate, where connections may have to wait for a second until it is their turn.
const (
	calmWarmup = 2 * time.Second
	calmTime   = 2 * time.Second
)

// want is the size of the answers.
func (c *benchCase) want() int64 {
	if c.upload > 0 {
		return int64(len(fmt.Sprint(c.upload)))
	}
	body, _ := origin.Body(c.segment)
	return int64(len(body))
}

// rateFor is half of what the slowest gateway did.
func rateFor(closed map[string][]load.Result) float64 {
	slowest := 0.0
	for _, results := range closed {
		if rate := perSecond(results[0]); slowest == 0 || rate < slowest {
			slowest = rate
		}
	}
	return max(slowest/2, 1)
}

func perSecond(r load.Result) float64 { return float64(r.Requests) / r.Elapsed.Seconds() }
