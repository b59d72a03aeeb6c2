// Package redistest starts real Redis or Valkey servers for tests, on ports of 127.0.0.1 that are free, and ends them with the test: single
// ones, clusters, and masters with sentinels. It may be imported by tests alone.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/internal/porttest"
)

// Server is a running server.
type Server struct {
	Addr string
	Dir  string

	t    testing.TB
	args []string
	cmd  *exec.Cmd
	tls  bool
}

// Start starts a server with further arguments, such as "--appendonly", "yes".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := New(t, args...)
	s.Run()
	return s
}

// New is Start for a server that is not there before Run.
func New(t testing.TB, args ...string) *Server {
	t.Helper()
	return prepare(t, "", args...)
}

// busFurther is how much further than its own port that of a cluster's bus is.
const busFurther = 10000

// prepare prepares a server, whose ports stay its own while it is away. A configuration file is one that it may write to, as sentinels do.
func prepare(t testing.TB, file string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Addr: porttest.Address(t, busFurther), Dir: t.TempDir()}
	_, port, _ := net.SplitHostPort(s.Addr)
	s.args = []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", s.Dir}
	for i, arg := range args {
		if arg == "--tls-port" && i+1 < len(args) { // the other port is none then
			s.tls = true
			s.args[1], args[i+1] = "0", port
		}
	}
	s.args = append(s.args, args...)
	if file != "" {
		path := filepath.Join(s.Dir, "sentinel.conf")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = []string{path, "--port", port, "--bind", "127.0.0.1", "--sentinel"}
	}
	t.Cleanup(s.Kill)
	return s
}

// Run starts the server, again after Kill. It returns when the server answers.
func (s *Server) Run() {
	s.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if program, err = exec.LookPath("valkey-server"); err != nil {
			s.t.Fatal("the test needs redis-server or valkey-server: run scripts/deps redis-server")
		}
	}
	s.cmd = exec.Command(program, s.args...)
	s.cmd.Dir = s.Dir
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if s.tls {
		s.Wait("answer", func() bool {
			conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		return
	}
	s.Wait("answer", func() bool {
		answer, err := s.Do("PING")
		return err == nil && strings.HasPrefix(answer, "+PONG") || strings.HasPrefix(answer, "-NOAUTH")
	})
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// Signal sends the server a signal, such as syscall.SIGSTOP.
func (s *Server) Signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// Wait waits until something holds, for half a minute at most.
func (s *Server) Wait(what string, holds func() bool) {
	s.t.Helper()
	wait(s.t, what, holds)
}

func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it does not %s", what)
		case <-tick.C:
		}
	}
}

// Do sends one command on a connection of its own, and returns what is answered as it is on the wire.
func (s *Server) Do(command ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(conn, text.String()); err != nil {
		return "", err
	}
	return read(bufio.NewReader(conn))
}

// read reads one answer.
func read(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil || line[0] != '$' && line[0] != '*' {
		return line, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch {
	case err != nil || n < 0:
		return line, err
	case line[0] == '$':
		text := make([]byte, n+2)
		_, err = io.ReadFull(r, text)
		return line + string(text), err
	}
	for range n {
		more, err := read(r)
		if line += more; err != nil {
			return line, err
		}
	}
	return line, nil
}

// Must is Do for what must not fail.
func (s *Server) Must(command ...string) string {
	s.t.Helper()
	answer, err := s.Do(command...)
	if err != nil || strings.HasPrefix(answer, "-") {
		s.t.Fatalf("%q: %s%v", command, answer, err)
	}
	return answer
}

// URL returns the server's URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Cluster starts a cluster of three masters, and returns its URL and its servers.
func Cluster(t testing.TB) (string, []*Server) {
	t.Helper()
	servers := make([]*Server, 3)
	for i := range servers {
		servers[i] = Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf")
	}
	for i, s := range servers {
		from, to := 16384*i/len(servers), 16384*(i+1)/len(servers)-1
		s.Must("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
		s.Must("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i > 0 {
			host, port, _ := net.SplitHostPort(servers[0].Addr)
			s.Must("CLUSTER", "MEET", host, port)
		}
	}
	for _, s := range servers {
		s.Wait("become a cluster", func() bool {
			info, _ := s.Do("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		})
	}
	return "redis+cluster://" + servers[0].Addr + "," + servers[1].Addr, servers
}

// Sentinel starts a master, a replica and three sentinels, and returns their URL, the master and the replica.
func Sentinel(t testing.TB) (url string, master, replica *Server, sentinels []*Server) {
	t.Helper()
	master = Start(t)
	host, port, _ := net.SplitHostPort(master.Addr)
	replica = Start(t, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	replica.Wait("replicate", func() bool {
		info, _ := replica.Do("INFO", "replication")
		return strings.Contains(info, "master_link_status:up")
	})
	var hosts []string
	for range 3 {
		s := prepare(t, fmt.Sprintf("sentinel monitor mymaster %s %s 2\nsentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n", host, port))
		s.Run()
		sentinels, hosts = append(sentinels, s), append(hosts, s.Addr)
	}
	for _, s := range sentinels {
		s.Wait("find the others", func() bool {
			info, _ := s.Do("INFO", "sentinel")
			return strings.Contains(info, "slaves=1,sentinels=3")
		})
	}
	return "redis+sentinel://" + strings.Join(hosts, ",") + "?master=mymaster", master, replica, sentinels
}
