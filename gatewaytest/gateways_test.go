package gatewaytest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/internal/redis/redistest"
)

// process is a gateway that runs as a program of its own, reached by a socket.
type process struct {
	t      *testing.T
	socket string
	cmd    *exec.Cmd
	log    bytes.Buffer // may be read once the program has ended
	client *http.Client
}

// program builds the gateway's program.
func program(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "cardea")
	if out, err := exec.Command("go", "build", "-o", name, "cardea.dev/cardea/cmd/cardea").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the gateway: %v\n%s", err, out)
	}
	return name
}

// startProcess starts a gateway with a configuration, and waits until it serves.
func startProcess(t *testing.T, program, text string) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") // the names of sockets must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, socket: filepath.Join(dir, "s")}
	config := filepath.Join(dir, "cardea.yaml")
	if err := os.WriteFile(config, []byte("listen: unix:"+p.socket+"\nadmin: off\nlog: off\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(program, "run", config)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", p.socket)
		},
	}}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		_ = os.RemoveAll(dir)
	})
	tick := time.NewTicker(5 * time.Millisecond) // there is nothing to wait for but the socket
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-tick.C {
		if status, _ := p.get("nobody"); status != 0 {
			return p
		}
	}
	p.kill()
	t.Fatalf("the gateway does not start:\n%s", p.log.String())
	return nil
}

// kill ends the program at once, as a machine does that loses its power.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		p.cmd = nil
		p.client.CloseIdleConnections()
	}
}

// get sends a request for a user. A status of 0 is none.
func (p *process) get(user string) (status int, err error) {
	r, err := http.NewRequest("GET", "http://gateway/", nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-User", user)
	resp, err := p.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Body.Close()
}

// outcomes is what came of requests, by status.
type outcomes struct {
	mu sync.Mutex
	n  map[int]int
}

func (c *outcomes) add(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[int]int{}
	}
	c.n[status]++
}

// hammer sends requests for a user to all gateways, several at once to each, and calls half once half of them are over.
func hammer(gateways []*process, user string, each int, half func()) *outcomes {
	const clients = 4
	count := &outcomes{}
	var halves, all sync.WaitGroup
	for _, g := range gateways {
		for range clients {
			halves.Add(1)
			all.Go(func() {
				for i := range each / clients {
					if i == each/clients/2 {
						halves.Done()
					}
					status, _ := g.get(user)
					count.add(status)
				}
			})
		}
	}
	halves.Wait()
	if half != nil {
		half()
	}
	all.Wait()
	return count
}

// TestThreeGatewaysShareLimits: what three gateways let pass together never exceeds the limit, while they are asked in parallel, while one of
// them is killed, and while the store is killed and comes back with what it knew.
func TestThreeGatewaysShareLimits(t *testing.T) {
	const most, each = 300, 400
	binary := program(t)
	for _, mode := range []string{"exact", "approximate"} {
		t.Run(mode, func(t *testing.T) {
			store := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			text := fmt.Sprintf(`
store: redis://%s
rate_limit: {limits: %d/d per header.x-user, algorithm: sliding_window, mode: %s, on_store_failure: deny, store_timeout: 5s}
routes: [{match: /, respond: ok}]
`, store.Addr, most, mode)
			var gateways []*process
			for range 3 {
				gateways = append(gateways, startProcess(t, binary, text))
			}
			check := func(what string, got *outcomes, exactly bool) {
				t.Helper()
				t.Logf("%s: %v", what, got.n)
				if n := got.n[http.StatusOK]; n > most || exactly && n != most {
					t.Errorf("%s: %d of %d passed: %v", what, n, most, got.n)
				}
			}
			check("three at once", hammer(gateways, "a", each, nil), mode == "exact")
			check("one is killed", hammer(gateways, "b", each, gateways[0].kill), false)
			gateways = append(gateways[1:], startProcess(t, binary, text)) // which knows nothing
			check("a new one, for one who has had all", hammer(gateways, "a", 40, nil), false)
			if got := hammer(gateways, "a", 40, nil); got.n[http.StatusOK] > 0 {
				t.Errorf("one who has had all passes again: %v", got.n)
			}
			check("the store is restarted", hammer(gateways, "c", each, func() {
				store.Kill()
				store.Run()
			}), false)
		})
	}
}
