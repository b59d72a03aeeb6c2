// Command shedding shows what limits do when a service loses half of its capacity. It sends real requests at a steady rate through the gateway's binary
// to a service that can work on a few at once, and of these on half as many for a while. It does so without a limit, with a fixed one and with an
// adaptive one, and writes what came of it as CSV and as a picture. docs/manual/resilience.md shows them.
//
//	go build -o bin/cardea ./cmd/cardea && go run ./bench/shedding
//
// When requests come, and of which class, is the same each time. How long they take is measured, and so differs a little from run to run.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// phases is what the service goes through.
type phases struct {
	full, half, again time.Duration
}

func (p phases) total() time.Duration { return p.full + p.half + p.again }

// way is a way to protect the service.
type way struct {
	name, limits string
}

// ways are those that are compared. The fixed limit is what suits the whole service.
func ways() []way {
	return []way{
		{"no limit", "{}"},
		{"fixed limit", "{requests: 15, pending: 20, pending_wait: 100ms}"},
		{"adaptive limit", "{adaptive: on, pending: 20, pending_wait: 100ms}"},
	}
}

func main() {
	binary := flag.String("binary", "bin/cardea", "the gateway")
	out := flag.String("out", "docs/manual/img", "the folder for shedding.csv and shedding.svg")
	part := flag.Duration("phase", 10*time.Second, "how long the service has its whole capacity, before and after; it has half of it for twice that time")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, *binary, *out, phases{*part, 2 * *part, *part}); err != nil {
		fmt.Fprintln(os.Stderr, "shedding:", err)
		cancel()
		os.Exit(1)
	}
}

// run measures each way and writes what came of it.
func run(ctx context.Context, binary, out string, p phases) error {
	var all []measured
	for _, w := range ways() {
		results, err := measure(ctx, binary, w, p)
		if err != nil {
			return fmt.Errorf("cannot measure with %s: %w", w.name, err)
		}
		m := measured{w.name, results}
		all = append(all, m)
		m.summary(os.Stdout, p)
	}
	if err := os.WriteFile(filepath.Join(out, "shedding.csv"), table(all, p), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "shedding.svg"), picture(all, p), 0o644)
}

// measure runs the gateway before the service, and the load before both.
func measure(ctx context.Context, binary string, w way, p phases) ([]result, error) {
	service, address, err := startService()
	if err != nil {
		return nil, err
	}
	defer service.close()
	gateway, stop, err := startGateway(ctx, binary, w, address)
	if err != nil {
		return nil, err
	}
	defer stop()
	half := time.AfterFunc(p.full, func() { service.capacity(workers / 2) })
	defer half.Stop()
	again := time.AfterFunc(p.full+p.half, func() { service.capacity(workers) })
	defer again.Stop()
	return load(ctx, gateway, p.total()), ctx.Err()
}

// startGateway runs the gateway's binary in front of a service.
func startGateway(ctx context.Context, binary string, w way, service string) (address string, stop func(), err error) {
	address, err = freeAddress()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "shedding")
	if err != nil {
		return "", nil, err
	}
	path := filepath.Join(dir, "cardea.yaml")
	text := fmt.Sprintf(`listen: %q
admin: off
log: off
upstreams:
  service: {endpoints: "http://%s", retry: off, eject: off, limits: %s}
routes:
  - match: /**
    to: service
    priority:
      - {when: 'header["x-class"] == "low"', class: low}
      - {when: 'header["x-class"] == "high"', class: high}
`, address, service, w.limits)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, binary, "run", path)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}
	if err := answers(ctx, address); err != nil {
		stop()
		return "", nil, err
	}
	return address, stop, nil
}

// freeAddress is an address of this machine that nothing listens at.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// answers waits until the gateway answers.
func answers(ctx context.Context, address string) error {
	var last error
	for range 100 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the gateway does not answer: %w", last)
}
