package http1_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"cardea.dev/cardea/internal/http1/http1test"
)

// nginxProgram finds nginx and its version, "1.22" for instance. Without nginx both are empty.
func nginxProgram() (path, version string) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		said, _ := exec.Command(path, "-v").CombinedOutput()
		if m := regexp.MustCompile(`nginx/(\d+\.\d+)`).FindSubmatch(said); m != nil {
			return path, string(m[1])
		}
	}
	return "", ""
}

// runNginx runs nginx with what a configuration has in its http block, and waits until it accepts connections at an address. It ends
// with the test.
func runNginx(t testing.TB, program, address, http string) {
	t.Helper()
	dir := t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // it could not write into the folder otherwise
	}
	conf := strings.NewReplacer("$DIR", dir, "$USER", user, "$HTTP", http).Replace(`
$USER
daemon off;
master_process off;
pid $DIR/pid;
error_log $DIR/errors.log crit;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path $DIR/body;
	proxy_temp_path $DIR/proxy;
	fastcgi_temp_path $DIR/fastcgi;
	uwsgi_temp_path $DIR/uwsgi;
	scgi_temp_path $DIR/scgi;
	$HTTP
}
`)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	c := exec.Command(program, "-p", dir, "-e", filepath.Join(dir, "errors.log"), "-c", path)
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("nginx said: %s", said.String())
		}
	})
	http1test.Soon(t, "nginx accepts connections", func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
