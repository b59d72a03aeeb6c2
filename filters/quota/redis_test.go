package quota_test

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cardea.dev/cardea/gatewaytest"
)

// redisServer is a real Redis or Valkey.
type redisServer struct {
	t    testing.TB
	addr string
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{t: t, addr: l.Addr().String(), dir: t.TempDir()}
	_ = l.Close()
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		if program, err = exec.LookPath("valkey-server"); err != nil {
			r.t.Fatal("the test needs redis-server or valkey-server: run scripts/deps redis-server")
		}
	}
	_, port, _ := net.SplitHostPort(r.addr)
	r.cmd = exec.Command(program, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--dir", r.dir)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !r.answers(); {
		if time.Now().After(end) {
			r.t.Fatal("redis does not start")
		}
	}
}

func (r *redisServer) answers() bool {
	conn, err := net.DialTimeout("tcp", r.addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte("PING\r\n"))
	answer := make([]byte, 16)
	n, _ := conn.Read(answer)
	return strings.HasPrefix(string(answer[:n]), "+PONG")
}

func (r *redisServer) kill() {
	if r.cmd != nil {
		_ = r.cmd.Process.Kill()
		_ = r.cmd.Wait()
		r.cmd = nil
	}
}

// TestGatewaysShareAStore: they count together, and go on in the way that was said while the store is away.
func TestGatewaysShareAStore(t *testing.T) {
	r := startRedis(t)
	text := fmt.Sprintf(`
store: redis://%s
routes:
  - {match: /a, respond: a, quota: 60/year per all}
  - {match: /deny, respond: a, quota: {quotas: 9/year, on_store_failure: deny}}
  - {match: /allow, respond: a, quota: {quotas: 1/year, on_store_failure: allow}}
`, r.addr)
	gateways := []*gatewaytest.Gateway{gatewaytest.New(t, text), gatewaytest.New(t, text)}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 20 {
				if resp, _ := gateways[i%2].Get("/a"); resp.StatusCode == 200 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 60 {
		t.Errorf("%d passed", passed.Load())
	}
	if err := gateways[0].SetConfig(strings.Replace(text, "60", "61", 1)); err != nil {
		t.Fatal(err)
	}
	get(t, gateways[0], "/a", "", 200)
	get(t, gateways[0], "/a", "", 429)
	r.kill()
	get(t, gateways[0], "/a", "", 429)
	for range 2 {
		if resp, body := gateways[0].Get("/deny"); resp.StatusCode != 503 || !strings.Contains(body, "limits_unavailable") || strings.Contains(body, r.addr) {
			t.Errorf("got %d %s", resp.StatusCode, body)
		}
		get(t, gateways[0], "/allow", "", 200)
	}
	r.start()
	for end := time.Now().Add(30 * time.Second); ; {
		if resp, _ := gateways[0].Get("/deny"); resp.StatusCode == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the store is not found again")
		}
	}
	get(t, gateways[0], "/allow", "", 429)
	get(t, gateways[0], "/a", "", 429)
	if log := gateways[0].Log(); !strings.Contains(log, `msg="the store of quotas cannot be reached"`) || !strings.Contains(log, "can be reached again") {
		t.Error("the log is not what it should be")
	}
}
