// Fairness shows what a limit by key is good for: one greedy caller and many polite ones use a service of limited capacity by way of a gateway,
// once without a limit and once with each limit that is asked for. It prints how many requests of each caller were served, and writes them
// as CSV and as a picture.
//
//	go run ./bench/fairness -svg docs/manual/img/fairness.svg
//	go run ./bench/fairness -limit 'rate_limit: 20/s per header.x-user'
//
// It listens on loopback alone, and needs nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// settings are what the flags say.
type settings struct {
	greedy   int           // connections of the greedy caller
	polite   int           // callers with a connection each
	capacity int           // requests that the service works at, at once
	work     time.Duration // that it works at one
	time     time.Duration // for which each limit is tried
	limits   []string      // policies, as they are written at the root of a configuration; "" is none
	csv, svg string        // files that are written; "": none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2) //nolint:gocritic // there is nothing to stop yet
	}
	if err := run(ctx, s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// parse reads the command line.
func parse(args []string, out io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("fairness", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.IntVar(&s.greedy, "greedy", 50, "connections of the greedy caller")
	flags.IntVar(&s.polite, "polite", 20, "callers with one connection each")
	flags.IntVar(&s.capacity, "capacity", 10, "requests that the service works at, at once")
	flags.DurationVar(&s.work, "work", 20*time.Millisecond, "for how long it works at one")
	flags.DurationVar(&s.time, "time", 5*time.Second, "for how long each limit is tried")
	flags.StringVar(&s.csv, "csv", "", "write the figures to this file")
	flags.StringVar(&s.svg, "svg", "", "write a picture of them to this file")
	flags.Func("limit", "a policy to compare with no limit; may be given again (default \"concurrency: 1 per header.x-user\")", func(text string) error {
		s.limits = append(s.limits, text)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("cannot use argument %q", flags.Arg(0))
	}
	if s.greedy < 1 || s.polite < 1 || s.capacity < 1 || s.work <= 0 || s.time <= 0 {
		return s, errors.New("cannot use numbers below 1")
	}
	if len(s.limits) == 0 {
		s.limits = []string{"concurrency: 1 per header.x-user"}
	}
	s.limits = append([]string{""}, s.limits...)
	return s, nil
}

// run tries all limits and tells what came of it.
func run(ctx context.Context, s settings, out io.Writer) error {
	var all []outcome
	for _, policy := range s.limits {
		o, err := try(ctx, s, policy)
		if err != nil {
			return fmt.Errorf("%s: %w", called(policy), err)
		}
		all = append(all, *o)
		o.print(out)
	}
	for name, text := range map[string]string{s.csv: csvOf(all), s.svg: svgOf(all)} {
		if name == "" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			return fmt.Errorf("cannot make the folder of %s: %w", name, err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // a picture is for all
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	return nil
}

// called is what a limit is called.
func called(policy string) string {
	if policy == "" {
		return "no limit"
	}
	return strings.TrimSpace(policy)
}
