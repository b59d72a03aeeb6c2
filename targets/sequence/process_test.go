package sequence_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/redis/redistest"
)

// childEnv makes the test's program a gateway with that configuration. It says where it listens.
const childEnv = "CARDEA_TEST_GATEWAY"

func child(text string) int {
	signal.Ignore(syscall.SIGXFSZ) // a test may have its disk be full
	g := control.New(control.Options{
		Load: func() (*config.Config, error) {
			return config.Parse("cardea.yaml", []byte(text), config.Options{Dir: os.TempDir()})
		},
		Dir: os.TempDir(), Kinds: compile.Builtin(), Version: "test", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if _, err := g.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("http://" + g.Listen.Addrs()[0].Actual)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
	return 0
}

// process is a gateway that can be killed.
type process struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
	log redistest.Log

	killed sync.Once
}

func startProcess(t *testing.T, text string) *process {
	t.Helper()
	p := &process{t: t}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), childEnv+"=listen: 127.0.0.1:0\nadmin: off\nlog: off\n"+text)
	p.cmd.Stderr = &p.log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		p.kill()
		if t.Failed() {
			t.Logf("the log of the gateway %s:\n%s", p.url, p.log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the gateway does not start: %v\n%s", err, p.log.String())
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends it at once. Services do that in the middle of a request, and the test at its end.
func (p *process) kill() {
	p.killed.Do(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
}

// buy sends a request. An error means that the gateway did not answer.
func buy(client *http.Client, url, key, body string) (resp *http.Response, text string, err error) {
	r, err := http.NewRequest("POST", url+"/buy", strings.NewReader(body))
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Authorization", "Bearer credential-of-the-client")
	if resp, err = client.Do(r); err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}
