//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// profileAll takes profiles of CPU time and of allocations of each Cardea of a case under full load, after the rounds, so that it does not disturb them.
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

// profileOne takes both profiles under one load, one after the other.
func (b *bench) profileOne(m *measured, g *gateway) error {
	seconds := max(int(b.time/time.Second), 3)
	job := b.job(m, g, 0)
	job.Warmup, job.Time = 500*time.Millisecond, time.Duration(2*seconds)*time.Second+500*time.Millisecond
	loaded := make(chan error, 1)
	go func() { // ends with the job
		_, err := b.do(job)
		loaded <- err
	}()
	time.Sleep(job.Warmup)
	var failed error
	for _, kind := range []string{"profile", "allocs"} {
		file := filepath.Join(b.profile, m.benchCase.name+"."+g.label+"."+kind+".pprof")
		err := download(fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", g.setup.admin, kind, seconds), file)
		failed = errors.Join(failed, err)
		if err == nil {
			fmt.Fprintf(b.progress, "%s: go tool pprof -top %s\n", m.benchCase.name, file)
		}
	}
	return errors.Join(failed, <-loaded)
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
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %.200s", url, response.Status, body)
	}
	return os.WriteFile(file, body, 0o600)
}
