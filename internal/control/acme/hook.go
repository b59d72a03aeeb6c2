package acme

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// hookSettings are the program that adds and removes DNS records.
type hookSettings struct {
	exec          []string
	dir           string
	timeout, wait time.Duration
}

// hook solves dns-01 by a program.
type hook struct{ settings hookSettings }

// Present has the record added.
func (h hook) Present(ctx context.Context, c acme.Challenge) error {
	return h.run(ctx, "present", h.settings.timeout, c)
}

// Wait gives the record time to be seen.
func (h hook) Wait(ctx context.Context, _ acme.Challenge) error {
	t := time.NewTimer(h.settings.wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// CleanUp has the record removed, also when time is up.
func (h hook) CleanUp(ctx context.Context, c acme.Challenge) error {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastTime, cancel) })()
	return h.run(own, "cleanup", min(h.settings.timeout, cleanupTime), c)
}

// cleanupTime is how long a record's removal may take, and lastTime how long once the order was given up: the end of the gateway
// waits for it.
const (
	cleanupTime = 30 * time.Second
	lastTime    = 5 * time.Second
)

// said is how much of what the program says is shown.
const said = 1 << 10

func (h hook) run(ctx context.Context, action string, limit time.Duration, c acme.Challenge) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := append(slices.Clone(h.settings.exec[1:]), action, c.DNS01TXTRecordName(), c.DNS01KeyAuthorization())
	cmd := exec.CommandContext(ctx, h.settings.exec[0], args...)
	cmd.Dir = h.settings.dir
	cmd.WaitDelay = time.Second // what it has started may still hold its output
	alone(cmd)
	out := &head{}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	if err == nil {
		return nil
	}
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it took longer than %s", limit)
	case ctx.Err() != nil:
		err = errors.New("it was ended")
	}
	if text := strings.TrimSpace(out.String()); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return fmt.Errorf("cannot %s the DNS record: %s: %w", action, h.settings.exec[0], err)
}

// head is the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), said-h.Len())])
	return len(p), nil
}
