package externalauth_test

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // what htpasswd files have
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
	"cardea.dev/cardea/internal/porttest"
)

// TestOAuth2Proxy logs a user in at a real oauth2-proxy, which is built from a module of its own.
func TestOAuth2Proxy(t *testing.T) {
	at, stop := startOAuth2Proxy(t)
	g := gatewaytest.New(t, `
upstreams: {app: "`+echo(t).URL+`", login: "http://`+at+`"}
routes:
  - {match: /oauth2/**, to: login}
  - match: /**
    to: app
    headers: {request: {set: {Who: "{identity}"}}}
    external_auth: {to: login, path: /oauth2/auth, response_headers: [X-Auth-Request-User], client_headers: [Set-Cookie], identity: X-Auth-Request-User}
  - {match: /pages/**, to: app, external_auth: {to: login}}
`)
	if resp, body := g.Get("/x"); resp.StatusCode != 401 || body != "Unauthorized\n" {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	resp, _ := g.Get("/pages/x", "Accept: text/html")
	if resp.StatusCode != 302 || !strings.HasPrefix(resp.Header.Get("Location"), "https://github.com/login/oauth/authorize?") || resp.Header.Get("Set-Cookie") == "" {
		t.Errorf("got %d %v", resp.StatusCode, resp.Header)
	}
	resp, body := g.Do("POST", "/oauth2/sign_in", "username=ada&password=pw", "Content-Type: application/x-www-form-urlencoded")
	if resp.StatusCode != 302 || len(resp.Cookies()) == 0 {
		t.Fatalf("got %d %v %s", resp.StatusCode, resp.Header, body)
	}
	session := resp.Cookies()[0]
	fields := []string{"Cookie: " + session.Name + "=" + session.Value, "X-Auth-Request-User: eve", "X_Auth_Request_User: eve"}
	resp, body = g.Get("/x", fields...)
	if resp.StatusCode != 200 || !strings.Contains(body, "X-Auth-Request-User: ada\r\n") || !strings.Contains(body, "Who: ada\r\n") || strings.Contains(body, "eve") {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	if resp, body := g.Get("/x", "Cookie: "+session.Name+"=x"+session.Value); resp.StatusCode != 401 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
	stop()
	if resp, body := g.Get("/x", fields...); resp.StatusCode != 503 {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

// startOAuth2Proxy builds oauth2-proxy and runs it, with the user ada, whose password is pw.
func startOAuth2Proxy(t *testing.T) (at string, stop func()) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "oauth2-proxy")
	module, err := filepath.Abs("testdata/oauth2proxy")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-C", module, "-mod=readonly", "-o", program, "github.com/oauth2-proxy/oauth2-proxy/v7")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build oauth2-proxy: %v\n%s", err, out)
	}
	users := filepath.Join(dir, "users")
	hash := sha1.Sum([]byte("pw")) //nolint:gosec // what htpasswd files have
	if err := os.WriteFile(users, []byte("ada:{SHA}"+base64.StdEncoding.EncodeToString(hash[:])+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at = porttest.Address(t)
	var said bytes.Buffer
	c := exec.Command(program, "--http-address="+at, "--reverse-proxy", "--set-xauthrequest", "--upstream=static://202", "--provider=github", "--client-id=x",
		"--client-secret=y", "--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--email-domain=*", "--htpasswd-file="+users,
		"--skip-provider-button", "--redirect-url=http://localhost/oauth2/callback")
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	running := true
	stop = func() {
		if running {
			running = false
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("oauth2-proxy said: %s", said.String())
		}
	})
	soon(t, "oauth2-proxy accepts connections", func() bool {
		conn, err := net.DialTimeout("tcp", at, time.Second)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return at, stop
}
