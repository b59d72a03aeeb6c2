//go:build linux

package cli_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// supervisor is systemd's side: it holds the socket, and hears what the gateway tells.
type supervisor struct {
	t      *testing.T
	notify *net.UnixConn
	web    net.Listener
	client *http.Client
}

func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &supervisor{t: t, notify: notify, web: web, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}}
	t.Cleanup(func() { _ = notify.Close(); _ = web.Close() })
	return s
}

// hear expects what the gateway tells next.
func (s *supervisor) hear(want string) string {
	s.t.Helper()
	_ = s.notify.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	n, err := s.notify.Read(buf)
	if err != nil {
		s.t.Fatalf("waiting for %s: %v", want, err)
	}
	text := string(buf[:n])
	if first, _, _ := strings.Cut(text, "\n"); first != want {
		s.t.Fatalf("the gateway told %q, want %s", text, want)
	}
	return text
}

// start starts the gateway the way systemd would: the shell's process becomes it, so that LISTEN_PID is its own.
func (s *supervisor) start(file string) *exec.Cmd {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	program := filepath.Join(s.t.TempDir(), "cardea") // under this name, the test binary is the program
	if err := os.Symlink(self, program); err != nil {
		s.t.Fatal(err)
	}
	socket, err := s.web.(*net.TCPListener).File()
	if err != nil {
		s.t.Fatal(err)
	}
	defer socket.Close()
	c := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" run --watch=false "$1"`, program, file)
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.notify.LocalAddr().String(), "LISTEN_FDS=1", "LISTEN_FDNAMES=http")
	c.ExtraFiles = []*os.File{socket}
	c.Stderr = s.t.Output()
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

func (s *supervisor) get(want string) {
	s.t.Helper()
	resp, err := s.client.Get("http://" + s.web.Addr().String() + "/a")
	if err != nil {
		s.t.Error(err)
		return
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != want {
		s.t.Errorf("got %q, want %q", body, want)
	}
}

func TestUnderSystemd(t *testing.T) {
	s := newSupervisor(t)
	file := filepath.Join(t.TempDir(), "cardea.yaml")
	write := func(answer string) {
		t.Helper()
		text := fmt.Sprintf("listen: systemd:http\nadmin: off\nlog: off\nroutes: [{match: /a, %s}]\n", answer)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("respond: one")
	c := s.start(file)
	s.hear("READY=1")
	s.get("one")

	write("respond: two")
	reload := func() {
		t.Helper()
		if err := c.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if text := s.hear("RELOADING=1"); !strings.Contains(text, "\nMONOTONIC_USEC=") {
			t.Errorf("systemd wants to know when: %q", text)
		}
		s.hear("READY=1")
	}
	reload()
	s.get("two")
	write("repsond: three") // systemd must not wait for ever
	reload()
	s.get("two")

	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.hear("STOPPING=1")
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}

	// Who comes while nothing runs waits in systemd's socket for the next.
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		s.get("four")
	}()
	write("respond: four")
	c = s.start(file)
	s.hear("READY=1")
	<-answered
	_ = c.Process.Signal(syscall.SIGTERM)
	s.hear("STOPPING=1")
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
