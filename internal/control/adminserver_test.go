package control_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const bearer = "Authorization: Bearer 0123456789abcdef"

func TestTheAdminAPIWantsItsToken(t *testing.T) {
	g := started(t, base+`{address: "127.0.0.1:0", token: 0123456789abcdef}`+one)
	for path, open := range map[string]bool{
		"/livez": true, "/readyz": true, "/": false, "/metrics": false, "/config": false, "/routes": false, "/upstreams": false, "/status": false,
		"/explain?id=x": false, "/debug/pprof/cmdline": false, "/livez/": false, "/livez/../config": false, "//livez": false, "/nowhere": false,
	} {
		if status, body := g.admin("GET", path); (status == 200) != open || !open && status != 401 {
			t.Errorf("%s without the token: %d %s", path, status, body)
		}
		if status, _ := g.admin("GET", path, bearer); status == 401 {
			t.Errorf("%s with the token: %d", path, status)
		}
		if status, _ := g.admin("GET", path, "Authorization: Bearer 0123456789abcdeX"); !open && status != 401 {
			t.Errorf("%s with another token: %d", path, status)
		}
	}
	if status, _ := g.admin("POST", "/reload"); status != 401 {
		t.Errorf("reload without the token: %d", status)
	}
	if status, _ := g.admin("POST", "/reload", bearer); status != 200 {
		t.Errorf("reload with the token: %d", status)
	}

	address := g.AdminAddr()
	g.change(base + `{address: "127.0.0.1:0", token: fedcba9876543210}` + one)
	if status, _ := g.admin("GET", "/status", bearer); status != 401 || g.AdminAddr() != address {
		t.Errorf("the former token: %d at %s, was %s", status, g.AdminAddr(), address)
	}
	if status, _ := g.admin("GET", "/status", "Authorization: Bearer fedcba9876543210"); status != 200 {
		t.Errorf("the new token: %d", status)
	}
}

func TestTheAdminAPIMoves(t *testing.T) {
	g := started(t, base+"127.0.0.1:0"+one)
	first := g.AdminAddr()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	g.change(base + "unix:" + socket + one)
	if status, _, err := ask("unix", socket, "GET", "/status"); err != nil || status != 200 {
		t.Errorf("on the Unix socket: %d %v", status, err)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is not its owner's alone: %v %v", info.Mode(), err)
	}
	if _, _, err := ask("tcp", first, "GET", "/livez"); err == nil {
		t.Error("it still listens at the first address")
	}
	g.change(base + "off" + one)
	if _, err := os.Stat(socket); err == nil || g.AdminAddr() != "" {
		t.Errorf("off: the socket is there, or %q", g.AdminAddr())
	}
	g.change(base + "localhost:0" + one)
	if status, _ := g.admin("GET", "/livez"); status != 200 {
		t.Errorf("on again: %d", status)
	}
}

func TestAFailedReloadDoesNotMoveTheAdminAPI(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	g := started(t, base+`{address: "127.0.0.1:0", token: 0123456789abcdef}`+one)
	address := g.AdminAddr()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	for _, text := range []string{
		"listen: " + taken.Addr().String() + "\nadmin: unix:" + socket + one,
		"listen: " + taken.Addr().String() + "\nadmin: {address: \"127.0.0.1:0\", token: fedcba9876543210}" + one,
		"listen: " + taken.Addr().String() + "\nadmin: off" + one,
		base + taken.Addr().String() + one,
	} {
		g.text = text
		if _, err := g.Reload(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Fatalf("the reload: %v", err)
		}
		if status, _ := g.admin("GET", "/status", bearer); status != 200 || g.AdminAddr() != address {
			t.Errorf("%s\nafter it: %d at %q, was %q", text, status, g.AdminAddr(), address)
		}
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is there")
	}
}

func TestTheSocketOfTheAdminAPIHarmsNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGateway(t, base+"unix:"+file+one)
	if _, err := g.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it is no socket") {
		t.Errorf("a file in the way: %v", err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "data" {
		t.Errorf("the file: %q %v", text, err)
	}

	socket := filepath.Join(dir, "admin.sock")
	first := started(t, base+"unix:"+socket+one)
	second := newGateway(t, base+"unix:"+socket+one)
	if _, err := second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "another process listens on it") {
		t.Errorf("another gateway's socket: %v", err)
	}
	if status, _, err := ask("unix", socket, "GET", "/livez"); err != nil || status != 200 {
		t.Errorf("the first gateway's API: %d %v", status, err)
	}
	first.Close()

	stale, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	third := started(t, base+"unix:"+socket+one)
	if status, _, err := ask("unix", socket, "GET", "/livez"); err != nil || status != 200 {
		t.Errorf("after a dead process: %d %v", status, err)
	}
	third.Close()
}

func TestOtherSitesCannotUseTheAdminAPI(t *testing.T) {
	g := started(t, base+"127.0.0.1:0"+one)
	for _, field := range []string{"Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"} {
		if status, _ := g.admin("POST", "/reload", field); status != 403 {
			t.Errorf("%s: %d", field, status)
		}
	}
	if status, _ := g.admin("POST", "/reload", "Sec-Fetch-Site: same-origin"); status != 200 {
		t.Errorf("the same origin: %d", status)
	}
	if status, _ := g.admin("GET", "/reload"); status != 405 {
		t.Errorf("a GET reloads: %d", status)
	}
}

func TestProfilesAreForThoseWhoWantThem(t *testing.T) {
	for settings, want := range map[string]int{
		`127.0.0.1:0`:                                                200,
		`{address: "127.0.0.1:0", pprof: off}`:                       404,
		`{address: "0.0.0.0:0", token: 0123456789abcdef}`:            404,
		`{address: "0.0.0.0:0", token: 0123456789abcdef, pprof: on}`: 200,
	} {
		g := started(t, base+settings+one)
		if status, _ := g.admin("GET", "/debug/pprof/cmdline", bearer); status != want {
			t.Errorf("%s: %d, want %d", settings, status, want)
		}
	}
}

func TestTheAdminAPITellsNoSecrets(t *testing.T) {
	t.Setenv("KEY", "hunter2env")
	g := newGateway(t, base+`{address: "127.0.0.1:0", token: hunter2token0123456789}
upstreams:
  u: http://127.0.0.1:1
tracing: {endpoint: "http://127.0.0.1:1", headers: {X-Key: hunter2header}}
routes:
  - match: /a
    to: u
    headers: {request: {set: {X-Key: "${KEY}", X-File: "${file:secret}", X-From: "http://user:hunter2pass@x.example/"}}}
`)
	if err := os.WriteFile(filepath.Join(g.dir, "secret"), []byte("hunter2file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	token := "Authorization: Bearer hunter2token0123456789"
	for _, path := range []string{"/config", "/routes", "/upstreams", "/status", "/explain?url=http://x/a", "/", "/metrics"} {
		status, body := g.admin("GET", path, token)
		if status != 200 || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, body := g.admin("GET", "/config", token)
	for _, want := range []string{"${KEY}", "${file:secret}", `token: "***"`, "http://user:***@x.example/", `X-Key: "***"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in %s", want, body)
		}
	}
	if strings.Contains(g.log.String(), "hunter2") {
		t.Errorf("the log: %s", g.log.String())
	}
}
