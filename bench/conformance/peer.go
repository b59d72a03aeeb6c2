//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cardea.dev/cardea/bench/run/process"
)

// peer is a cache that is tested.
type peer struct {
	name    string
	program string // a command, or a file
	version []string
	prepare func(*setup) (process.Program, error) // writes its configuration and says how to start it
}

// setup is what a cache is to do.
type setup struct {
	dir     string // its own folder
	program string // found
	listen  string // where it accepts connections
	origin  string // where the origin is
}

var peers = []peer{
	{"cardea", "bin/cardea", []string{"version"}, prepareCardea},
	{"nginx", "nginx", []string{"-v"}, prepareNginx},
	{"varnish", "varnishd", []string{"-V"}, prepareVarnish},
	{"squid", "squid", []string{"-v"}, prepareSquid},
	{"trafficserver", "traffic_server", []string{"-V"}, prepareTrafficServer},
}

// cache is a peer that runs.
type cache struct {
	addr    string
	version string
	run     *process.Process
}

func (c *cache) stop() { c.run.Stop() }

// find looks for the peer's program, also where Debian has servers, which users' PATH leaves out.
func (p *peer) find() (string, error) {
	if path, err := exec.LookPath(p.program); err == nil {
		return filepath.Abs(path)
	}
	for _, folder := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(folder, p.program)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: make build bench-deps brings it", p.name)
}

// start starts a peer in its own folder and waits until it accepts connections.
func (p *peer) start(ctx context.Context, dir, origin string) (*cache, error) {
	s := setup{dir: dir, origin: origin}
	var err error
	if s.program, err = p.find(); err != nil {
		return nil, err
	}
	if s.listen, err = freeAddress(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	out, err := exec.Command(s.program, p.version...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for its version: %w", p.name, err)
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	program, err := p.prepare(&s)
	if err != nil {
		return nil, fmt.Errorf("cannot prepare %s: %w", p.name, err)
	}
	program.Name, program.Dir, program.Log = p.name, dir, filepath.Join(dir, "errors.log")
	c := &cache{addr: s.listen, version: version}
	if c.run, err = process.Start(program); err != nil {
		return nil, err
	}
	if err := c.await(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// await waits until the cache accepts connections and answers with something that it got from the origin.
func (c *cache) await(ctx context.Context) error {
	const limit = 30 * time.Second
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if err := c.run.Failure(); err != nil {
			return err
		}
		if c.answers() {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("nothing answers on %s after %v", c.addr, limit)
		}
	}
}

// answers says whether the cache passes on a request: the origin answers 404 where no scenario is being played.
func (c *cache) answers() bool {
	conn, err := net.DialTimeout("tcp", c.addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	fmt.Fprintf(conn, "GET /ready/%d HTTP/1.1\r\nHost: %s\r\n\r\n", time.Now().UnixNano(), c.addr)
	start := make([]byte, len("HTTP/1.1 404"))
	n, _ := conn.Read(start)
	return string(start[:n]) == "HTTP/1.1 404"
}

// freeAddress is an address that was free a moment ago. Not all peers can choose one themselves and say which.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// write writes a file into the cache's folder.
func (s *setup) write(name, text string) (path string, err error) {
	path = filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o644)
}

func (s *setup) fill(text string) string {
	host, port, _ := net.SplitHostPort(s.origin)
	_, own, _ := net.SplitHostPort(s.listen)
	return strings.NewReplacer("$DIR", s.dir, "$LISTEN", s.listen, "$PORT", own, "$ORIGIN_HOST", host, "$ORIGIN_PORT", port, "$ORIGIN", s.origin).Replace(text)
}
