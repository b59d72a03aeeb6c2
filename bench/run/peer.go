//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cardea.dev/cardea/bench/run/process"
)

// peer is a gateway that is compared.
type peer struct {
	name    string
	program string // what it is: a command, or a file
	missing string // what to do when the program is not there
	version []string
	workers bool                                  // whether it has a process for each core, beside the one that is started
	prepare func(*setup) (process.Program, error) // writes its configuration and says how to start it
}

// setup is what a gateway is to do in one case.
type setup struct {
	dir         string       // its own folder, for configuration and logs
	program     string       // the peer's program, found
	listen      string       // where it accepts connections
	admin       string       // where its admin API is, when it has one and is to be profiled
	origin      string       // where the service is
	cores       int          // how many it may use
	cert        string       // file with certificate and key, when it is to speak TLS
	routes      int          // how many routes it is to have; 0 is one for all paths
	connections int          // how many idle connections it must bear; 0 is what it does anyway
	all         bool         // whether its policies are on: access log, header changes
	checks      string       // which credentials it checks; "" is none
	credentials *credentials // that it is to accept
	cache       bool         // whether it keeps answers
	pages       bool         // whether it makes pages of several calls
	limits      string       // what it limits by user; "" is nothing
}

// peers are all the gateways, in the order in which they run. The first of a case is what the others are compared with.
var peers = []peer{nginx, haproxy, varnish, reverseProxy, byHand, cardea}

// find looks for the peer's program.
func (p *peer) find() (string, error) {
	if p.program == "" {
		return os.Executable()
	}
	if strings.ContainsRune(p.program, filepath.Separator) {
		if _, err := os.Stat(p.program); err != nil {
			return "", fmt.Errorf("%s is missing: %s", p.name, p.missing)
		}
		return filepath.Abs(p.program)
	}
	if path, err := exec.LookPath(p.program); err == nil {
		return path, nil
	}
	for _, folder := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} { // where Debian has servers, which users' PATH leaves out
		if path, err := exec.LookPath(filepath.Join(folder, p.program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: %s", p.name, p.missing)
}

// says asks a program for its version and returns the first line that it prints.
func says(program string, args ...string) (string, error) {
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot ask %s for its version: %w", program, err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line, nil
}

// gateway is a peer that runs.
type gateway struct {
	label string
	setup setup
	run   *process.Process
	pids  []int // all of its processes
	files []*os.File
}

// start starts a peer on the given cores and waits until it accepts connections.
func (p *peer) start(label string, s setup, cpus []int) (_ *gateway, err error) {
	if s.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	if s.program, err = p.find(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	g := &gateway{label: label, setup: s}
	program, err := p.prepare(&g.setup)
	if err != nil {
		return nil, fmt.Errorf("cannot prepare %s: %w", label, err)
	}
	program.Name, program.Dir = label, s.dir
	program.Log = filepath.Join(s.dir, "errors.log")
	if program.Command, err = pinned(cpus, program.Command); err != nil {
		return nil, err
	}
	if program.Stdout != nil {
		g.files = append(g.files, program.Stdout)
	}
	if g.run, err = process.Start(program); err != nil {
		return nil, err
	}
	processes := 1
	if p.workers {
		processes += s.cores
	}
	if err := g.await(processes); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// pinned is a command that runs on these cores.
func pinned(cpus []int, command []string) ([]string, error) {
	self, err := os.Executable()
	return append([]string{self, "pin", process.List(cpus)}, command...), err
}

// await waits until the gateway accepts connections and has all its processes.
func (g *gateway) await(processes int) error {
	const limit = 30 * time.Second // 100,000 routes take a while to load
	for deadline := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
		if err := g.run.Failure(); err != nil {
			return err
		}
		ready, err := g.ready(processes)
		if ready || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not listen on %s with %d processes after %v", g.label, g.setup.listen, processes, limit)
		}
	}
}

// ready says whether the gateway accepts connections and has its processes, which are noted. A server listens before it has started
// its workers.
func (g *gateway) ready(processes int) (bool, error) {
	conn, err := net.DialTimeout("tcp", g.setup.listen, time.Second)
	if err != nil {
		return false, nil //nolint:nilerr // not yet
	}
	_ = conn.Close()
	g.pids, err = process.Tree(g.run.PID())
	return len(g.pids) >= processes, err
}

func (g *gateway) stop() {
	g.run.Stop()
	for _, f := range g.files {
		_ = f.Close()
	}
}

// freeAddress is an address that was free a moment ago. Not all peers can choose one themselves and say which.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// write writes a file into the gateway's folder.
func (s *setup) write(name, text string) (path string, err error) {
	path = filepath.Join(s.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
