//go:build linux

// Command run measures Cardea beside its peers: nginx, HAProxy, and a reverse proxy made of Go's standard library. `make bench`
// runs it; docs/manual/benchmarks.md says what it measures and how to read it.
//
// It starts itself again as its helpers: the service behind the gateways, the load generator, and the reverse proxy.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"cardea.dev/cardea/bench/run/attack"
	"cardea.dev/cardea/bench/run/hold"
	"cardea.dev/cardea/bench/run/load"
	"cardea.dev/cardea/bench/run/origin"
	"cardea.dev/cardea/bench/run/process"
)

func main() {
	if ran, err := help(os.Args[1:]); ran {
		exit(1, err)
		return
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	exit(2, err)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = measure(ctx, o, os.Stdout, os.Stderr)
	cancel()
	exit(1, err)
}

// exit ends the program when there is an error.
func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(code)
	}
}

// help does the work of one of the helpers, when the arguments name one.
func help(args []string) (ran bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch {
	case args[0] == "origin":
		return true, origin.Serve(os.Stdout)
	case args[0] == "load":
		return true, load.Serve(os.Stdin, os.Stdout, process.CPUTime)
	case args[0] == "attack":
		return true, attack.Serve(os.Stdin, os.Stdout)
	case args[0] == "hold":
		return true, hold.Serve(os.Stdin, os.Stdout)
	case args[0] == "reverseproxy" && len(args) == 4:
		return true, serveReverseProxy(args[1], args[2], args[3])
	case args[0] == "byhand" && len(args) == 3:
		return true, serveByHand(args[1], args[2])
	case args[0] == "pin" && len(args) > 2:
		return true, process.Exec(args[1], args[2:])
	}
	return false, nil
}

// order is what the command line asks for.
type order struct {
	settings
	cases []benchCase
	peers []peer
	json  bool
}

func parse(args []string, errs io.Writer) (order, error) {
	o := order{settings: settings{settle: 4 * time.Second}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(errs)
	names := flags.String("cases", "", "`names` of the cases to measure, by comma (default all)")
	gateways := flags.String("peers", "", "`names` of the gateways, by comma; the first is what the others are compared with (default all)")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each gateway has its turn in a case")
	flags.DurationVar(&o.time, "time", 500*time.Millisecond, "how long a turn is measured, at full load and again at a fixed rate; a quarter of it warms up")
	flags.IntVar(&o.cores, "cores", 1, "how many cores each gateway gets")
	flags.IntVar(&o.connections, "connections", 64, "how many connections make requests")
	flags.IntVar(&o.idle, "idle", 0, "how many connections wait in the case idle (default as many as the limit on open files allows, less 1,000)")
	flags.BoolVar(&o.json, "json", false, "write JSON instead of tables")
	flags.StringVar(&o.profile, "profile", "", "`folder` to write profiles of Cardea to: CPU time and allocations under full load, for each case")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("cannot use argument %q: there are only flags", flags.Arg(0))
	}
	if o.rounds < 1 || o.time < time.Millisecond || o.cores < 1 || o.connections < 1 || o.idle < 0 {
		return o, errors.New("cannot measure nothing: rounds, cores and connections are at least 1, and time at least 1ms")
	}
	var err error
	if o.cases, err = of(cases, *names, func(c benchCase) string { return c.name }); err != nil {
		return o, err
	}
	o.peers, err = of(peers, *gateways, func(p peer) string { return p.name })
	return o, err
}

// measure does what was ordered.
func measure(ctx context.Context, o order, out, progress io.Writer) error {
	runtime.LockOSThread() // the kernel ends our children with the thread that started them
	defer runtime.UnlockOSThread()
	versions, err := versionsOf(o.peers)
	if err != nil {
		return err
	}
	b, err := openBench(o.settings, progress)
	if err != nil {
		return err
	}
	defer b.close()
	report := Report{
		Machine: machine(len(b.cpus)), Versions: versions, Rounds: o.rounds, Seconds: o.time.Seconds(), Connections: o.connections,
	}
	for _, c := range o.cases {
		c = c.with(o.peers)
		if len(c.contenders) == 0 {
			continue
		}
		if c.special != nil {
			if err := c.special(ctx, b, &c, &report); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
			continue
		}
		m, err := b.run(ctx, c)
		if err != nil {
			return err
		}
		if m != nil {
			report.Cases = append(report.Cases, m.caseReport())
		}
	}
	if o.json {
		return report.writeJSON(out)
	}
	return report.writeText(out)
}

// versionsOf asks all peers what they are, and fails when one is missing.
func versionsOf(wanted []peer) ([]string, error) {
	var versions []string
	var missing []error
	for _, p := range wanted {
		program, err := p.find()
		if err != nil {
			missing = append(missing, err)
			continue
		}
		version := "net/http and httputil.ReverseProxy of " + runtime.Version()
		if p.program != "" {
			if version, err = says(program, p.version...); err != nil {
				missing = append(missing, err)
				continue
			}
		}
		versions = append(versions, p.name+": "+version)
	}
	return versions, errors.Join(missing...)
}

// machine says what is measured on, as far as it matters.
func machine(cpus int) string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	release := strings.TrimRight(string(u.Release[:]), "\x00")
	noun := "cores"
	if cpus == 1 {
		noun = "core: gateways share it with what loads them, which makes numbers of requests meaningless"
	}
	return fmt.Sprintf("Linux %s, %s, %d %s", release, runtime.GOARCH, cpus, noun)
}
