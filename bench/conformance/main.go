//go:build linux

// Command conformance plays the scenarios of package suite through Cardea and through other caches, and prints what each of them does, side by
// side. Start it in the folder of the module, after make build bench-deps.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"cardea.dev/cardea/bench/conformance/suite"
)

// atOnce is how many scenarios are played at the same time. Most of those that wait do so for seconds.
const atOnce = 48

func main() {
	names := flag.String("caches", "", "comma-separated `names` of the caches to test; by default all that are there")
	pattern := flag.String("run", "", "regular `expression` for the ids of the scenarios to play; by default all")
	verbose := flag.Bool("v", false, "whether to print which scenarios did not pass, and why")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *names, *pattern, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names, pattern string, verbose bool) error {
	scenarios, err := choose(pattern)
	if err != nil {
		return err
	}
	peers, err := choosePeers(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // some caches give up their rights, and read their folder then
		return err
	}
	var r report
	for _, p := range peers {
		if _, err := p.find(); err != nil && names == "" {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		results, version, err := test(ctx, p, filepath.Join(dir, p.name), scenarios)
		if err != nil {
			return err
		}
		r.columns = append(r.columns, column{p.name, version, results})
	}
	if len(r.columns) == 0 {
		return errors.New("there is no cache to test")
	}
	r.print(os.Stdout, verbose)
	return nil
}

// choose picks scenarios by their ids.
func choose(pattern string) ([]suite.Scenario, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("cannot use -run: %w", err)
	}
	var chosen []suite.Scenario
	for _, s := range suite.All() {
		if re.MatchString(s.ID) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no scenario matches %q", pattern)
	}
	return chosen, nil
}

// choosePeers picks caches by their names.
func choosePeers(names string) ([]peer, error) {
	if names == "" {
		return peers, nil
	}
	var chosen []peer
	for name := range strings.SplitSeq(names, ",") {
		found := false
		for _, p := range peers {
			if p.name == strings.TrimSpace(name) {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no cache %q", name)
		}
	}
	return chosen, nil
}

// test plays the scenarios through one cache, which runs for that long.
func test(ctx context.Context, p peer, dir string, scenarios []suite.Scenario) (results []suite.Result, version string, err error) {
	origin, err := suite.NewOrigin()
	if err != nil {
		return nil, "", err
	}
	defer origin.Close()
	c, err := p.start(ctx, dir, origin.Addr())
	if err != nil {
		return nil, "", err
	}
	defer c.stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	results = suite.Cache{Addr: c.addr, Origin: origin, Name: p.name}.Run(ctx, scenarios, atOnce)
	if err := c.run.Failure(); err != nil {
		return nil, "", err
	}
	return results, c.version, ctx.Err()
}
