package cli_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"cardea.dev/cardea/internal/cli"
	"cardea.dev/cardea/internal/redis/redistest"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in the scripts")

// TestMain lets the test binary be the program itself, for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cardea": func() { os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})) },
	})
}

// TestScripts runs the program as users do. Gateways listen on Unix sockets below $WORK, so that no port is needed.
func TestScripts(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

// TestScriptsWithRedis runs the program with a Redis, whose URL is $REDIS. The command "redis" kills it, and runs it again.
func TestScriptsWithRedis(t *testing.T) {
	server := redistest.Start(t)
	p := params("testdata/redis")
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("REDIS", server.URL())
		return nil
	}
	p.Cmds["redis"] = func(ts *testscript.TestScript, neg bool, args []string) {
		switch {
		case !neg && len(args) == 1 && args[0] == "kill":
			server.Kill()
		case !neg && len(args) == 1 && args[0] == "run":
			server.Run()
		default:
			ts.Fatalf("usage: redis kill|run")
		}
	}
	testscript.Run(t, p)
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "get": get, "signal": sendSignal, "taken": taken, "post": post, "fill": fill, "hang": hang, "capture": capture,
		},
	}
}

// exits runs a program that must end with a code: exits 2 cardea check.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// get asks the gateway on a Unix socket until the answer is as wanted: get SOCKET PATH STATUS [PATTERN]. The first status or "none",
// which means that nobody listens.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: get SOCKET PATH STATUS [PATTERN]")
	}
	pattern := regexp.MustCompile("")
	if len(args) == 4 {
		pattern = regexp.MustCompile(args[3])
	}
	var got string
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(20 * time.Millisecond) {
		status, body, err := ask("GET", ts.MkAbs(args[0]), args[1])
		if err != nil {
			status, body = "none", err.Error()
		}
		got = status + " " + body
		if status == args[2] && pattern.MatchString(body) {
			fmt.Fprint(ts.Stdout(), body)
			return
		}
	}
	ts.Fatalf("GET %s: want %s %s, got %s", args[1], args[2], pattern, got)
}

// post asks once and does not look at the answer, nor wait for it.
func post(ts *testscript.TestScript, _ bool, args []string) {
	socket, path := ts.MkAbs(args[0]), args[1]
	sent := make(chan struct{})
	go func() {
		close(sent)
		_, _, _ = ask("POST", socket, path)
	}()
	<-sent
}

func ask(method, socket, path string) (status, body string, err error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		return "", "", err
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Do(r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return strconv.Itoa(resp.StatusCode), string(text), err
}

// sendSignal sends a signal to all programs in the background: signal HUP.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	number := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "USR1": syscall.SIGUSR1}[args[0]]
	for _, c := range ts.BackgroundCmds() {
		ts.Check(c.Process.Signal(number))
	}
}

// taken listens on a port for the rest of the script, and puts its address into a variable: taken ADDR.
func taken(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// hang listens on a Unix socket for the rest of the script, and never answers: hang SOCKET.
func hang(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}

// capture puts what the group of a pattern matches in the last standard output into a variable: capture NAME PATTERN.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	match := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if match == nil {
		ts.Fatalf("%s does not match", args[1])
	}
	ts.Setenv(args[0], match[1])
}

// fill writes a file of many times the same: fill FILE BYTES CHARACTER-CODE….
func fill(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var text []byte
	for _, a := range args[2:] {
		code, err := strconv.ParseUint(a, 0, 8)
		ts.Check(err)
		text = append(text, byte(code))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(string(text), n/len(text))), 0o600))
}
