//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cardea.dev/cardea/bench/run/load"
)

// profileAll takes a CPU profile of each Cardea of a case under full load, after the rounds, so that it does not disturb them.
func (b *bench) profileAll(m *measured, gateways []*gateway) error {
	if b.profile == "" {
		return nil
	}
	for _, g := range gateways {
		if g.setup.admin == "" {
			continue
		}
		if err := b.profileOne(m, g); err != nil {
			return fmt.Errorf("cannot profile %s: %w", g.label, err)
		}
	}
	return nil
}

func (b *bench) profileOne(m *measured, g *gateway) error {
	seconds := max(int(b.time/time.Second), 3)
	job := b.job(m, g, 0)
	job.Warmup, job.Time = 500*time.Millisecond, time.Duration(seconds)*time.Second+500*time.Millisecond
	loaded := make(chan error, 1)
	go func() { // ends with the job
		_, err := b.do(job)
		loaded <- err
	}()
	time.Sleep(job.Warmup)
	file := filepath.Join(b.profile, m.benchCase.name+"."+g.label+".pprof")
	err := download(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", g.setup.admin, seconds), file)
	if failed := <-loaded; failed != nil {
		return failed
	}
	if err == nil {
		fmt.Fprintf(b.progress, "%s: go tool pprof -top %s\n", m.benchCase.name, file) //nolint:errcheck // only news
	}
	return err
}

func download(url, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	client := &http.Client{Timeout: time.Minute}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end below
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %.200s", url, response.Status, body)
	}
	return os.WriteFile(file, body, 0o600)
}

