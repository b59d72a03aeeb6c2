package externalauth_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// nginx is an authorizer as people run them: real nginx with a configuration of its own.
type nginx struct {
	t       testing.TB
	command *exec.Cmd
	conf    string
	dir     string
	Address string
}

// startNginx runs nginx with a server block's content, until the end of the test.
func startNginx(t testing.TB, server string) *nginx {
	t.Helper()
	n := &nginx{t: t, dir: t.TempDir(), Address: porttest.Address(t)}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	text := strings.NewReplacer("$DIR", n.dir, "$USER", user, "$ADDRESS", n.Address, "$SERVER", server).Replace(`
$USER
daemon off;
master_process off;
pid $DIR/pid;
error_log $DIR/errors.log crit;
events { worker_connections 512; }
http {
	access_log off;
	client_body_temp_path $DIR/body;
	proxy_temp_path $DIR/proxy;
	fastcgi_temp_path $DIR/fastcgi;
	uwsgi_temp_path $DIR/uwsgi;
	scgi_temp_path $DIR/scgi;
	server { listen $ADDRESS; $SERVER }
}
`)
	n.conf = filepath.Join(n.dir, "nginx.conf")
	if err := os.WriteFile(n.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	t.Cleanup(n.stop)
	return n
}

// start starts it, again if it was stopped.
func (n *nginx) start() {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			n.t.Fatal("nginx is not there; `make deps` installs it")
		}
	}
	var said bytes.Buffer
	n.command = exec.Command(program, "-p", n.dir, "-e", filepath.Join(n.dir, "errors.log"), "-c", n.conf)
	n.command.Stdout, n.command.Stderr = &said, &said
	if err := n.command.Start(); err != nil {
		n.t.Fatal(err)
	}
	soon(n.t, "nginx accepts connections", func() bool {
		conn, err := net.DialTimeout("tcp", n.Address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// stop ends it, if it runs.
func (n *nginx) stop() {
	if n.command != nil {
		_ = n.command.Process.Signal(syscall.SIGKILL)
		_ = n.command.Wait()
		n.command = nil
	}
}

// soon waits until something holds, for ten seconds at most.
func soon(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-ticks.C {
		if holds() {
			return
		}
	}
	t.Fatalf("in vain: %s", what)
}

// echo is a service that says what it was asked.
func echo(t testing.TB) *httptest.Server {
	return server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s\n", r.Method, r.URL)
		_ = r.Header.Write(w)
		fmt.Fprintf(w, "\n%s", body)
	})
}

func server(t testing.TB, handle http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	return s
}

// gateway is a gateway in front of the echo service, with a policy.
func gateway(t testing.TB, policy string, more ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.New(t, config(t, policy, more...))
}

func config(t testing.TB, policy string, more ...string) string {
	return "upstreams:\n  app: " + echo(t).URL + "\n" + strings.Join(more, "\n") +
		"\nroutes:\n  - {match: /**, to: app}\nexternal_auth: " + policy + "\n"
}
