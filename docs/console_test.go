package docs_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/demo"
)

var update = flag.Bool("update", false, "write what commands really print into the pages, where it is not what is shown")

// TestConsoleExamplesAreTrue runs each command of the console blocks and compares what it prints with what is shown. Commands see the
// last YAML block before them as cardea.yaml, and a gateway that runs it. In what is shown, "…" stands for anything within a line, and
// alone on a line for any lines.
func TestConsoleExamplesAreTrue(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl: make deps installs it")
	}
	for _, d := range manual(t) {
		if !strings.Contains(d.text, "\n```console\n") {
			continue
		}
		t.Run(d.path, func(t *testing.T) { runPage(t, d) })
	}
}

func runPage(t *testing.T, d *document) {
	lines := strings.Split(d.text, "\n")
	var s *shell
	for i := len(d.blocks) - 1; i >= 0 && s == nil; i-- {
		if d.blocks[i].language == "console" {
			s = newShell(t)
		}
	}
	offset := 0 // how many lines updates have added
	for _, b := range d.blocks {
		switch {
		case b.language == "yaml" && (b.mark == "" || b.mark == "wrong" || b.mark == "warned"):
			s.use(t, b)
		case b.language == "console":
			shown := strings.Split(b.text, "\n")
			real := s.session(t, fmt.Sprintf("%s:%d", d.path, b.line), shown)
			if *update && real != nil {
				at := b.line - 1 + offset
				lines = append(append(append([]string{}, lines[:at]...), real...), lines[at+len(shown):]...)
				offset += len(real) - len(shown)
			}
		}
	}
	if text := strings.Join(lines, "\n"); text != d.text {
		if err := os.WriteFile(root(d.path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shell runs commands in a folder of its own, in which `curl` and `cardea` find the gateway that runs.
type shell struct {
	dir, path string
	config    string
	gateway   *gateway // nil until a command needs it
}

func newShell(t *testing.T) *shell {
	t.Helper()
	s := &shell{dir: folder(t), path: t.TempDir()}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{
		"curl":   "exec " + curl + ` -q -sS --max-time 20 $DOCS_CONNECT "$@"`,
		"cardea": `case " $* " in *" --running "*|" reload "*) exec ` + program(t) + ` "$@" --admin "$DOCS_ADMIN";; esac` + "\nexec " + program(t) + ` "$@"`,
	}
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(s.path, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// use makes a block the configuration of the commands that follow.
func (s *shell) use(t *testing.T, b block) {
	t.Helper()
	s.config, s.gateway = b.text, nil
	if err := os.WriteFile(filepath.Join(s.dir, "cardea.yaml"), []byte(b.text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// session runs the commands of a block. It returns the block as it really is where what is shown is not true, and else nil.
func (s *shell) session(t *testing.T, where string, shown []string) (real []string) {
	t.Helper()
	wrong := false
	for i := 0; i < len(shown); {
		command, ok := strings.CutPrefix(shown[i], "$ ")
		if !ok {
			t.Fatalf("%s: the block does not begin with a command", where)
		}
		end := i + 1
		for end < len(shown) && !strings.HasPrefix(shown[end], "$ ") {
			end++
		}
		want := strings.Join(shown[i+1:end], "\n")
		got := s.run(t, command)
		real = append(real, shown[i])
		switch {
		case strings.TrimSpace(want) != "…" && pattern(want).MatchString(got+"\n"):
			real = append(real, shown[i+1:end]...)
		case *update:
			wrong = true
			real = append(real, strings.Split(mask(got), "\n")...)
		default:
			t.Errorf("%s: $ %s\nshows:\n%s\n\nbut prints:\n%s", where, command, want, got)
		}
		i = end
	}
	if !wrong {
		return nil
	}
	return real
}

// run runs a command and returns all that it prints.
func (s *shell) run(t *testing.T, command string) string {
	t.Helper()
	c := exec.Command("sh", "-c", command)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "PATH="+s.path+string(os.PathListSeparator)+os.Getenv("PATH"))
	if regexp.MustCompile(`\bcurl\b|--running|cardea reload`).MatchString(command) {
		if s.gateway == nil {
			s.gateway = startIn(t, s.dir, s.config)
		}
		c.Env = append(c.Env, "DOCS_CONNECT="+s.gateway.connect(), "DOCS_ADMIN="+s.gateway.AdminAddr())
	}
	out, err := c.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("cannot run %s: %v", command, err)
	}
	return sortFields(strings.TrimRight(strings.ReplaceAll(string(out), "\r", ""), "\n"))
}

// sortFields sorts the header that `curl -i` prints: its order says nothing, and is not always the same.
func sortFields(out string) string {
	if !strings.HasPrefix(out, "HTTP/") {
		return out
	}
	lines := strings.Split(out, "\n")
	end := slices.Index(lines, "")
	if end < 0 {
		end = len(lines)
	}
	slices.Sort(lines[1:end])
	return strings.Join(lines, "\n")
}

// pattern makes an expression of what is shown, for a text that ends in a line end.
func pattern(shown string) *regexp.Regexp {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(shown, "\n"), "\n") {
		if line == "…" {
			b.WriteString(`(?:.*\n)*`)
			continue
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `.*`) + `\n`)
	}
	return regexp.MustCompile(`\A` + b.String() + `\z`)
}

// mask puts "…" in the place of what differs from run to run.
func mask(text string) string {
	text = regexp.MustCompile(`(?m)^Date: .*$`).ReplaceAllString(text, "Date: …")
	return regexp.MustCompile(`[0-9a-f]{32}|127\.0\.0\.\d+:\d{5}`).ReplaceAllString(text, "…")
}

// program builds the gateway, once.
func program(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binaries, "cardea")
	out, err := exec.Command("go", "build", "-o", path, "cardea.dev/cardea/cmd/cardea").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build the gateway: %w\n%s", err, out)
	}
	return path, nil
})

// binaries is where the program is built.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	dir, err := os.MkdirTemp("", "cardea-docs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// gateway is a gateway that runs an example.
type gateway struct {
	*control.Gateway
	ports []string // that the example names, one for each listener
}

func start(t *testing.T, text string) *gateway {
	t.Helper()
	return startIn(t, folder(t), text)
}

// startIn runs an example, with free ports in the place of its own, and sample services in the place of those it names.
func startIn(t *testing.T, dir, text string) *gateway {
	t.Helper()
	services, err := demo.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(services.Close)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "It works.") }))
	t.Cleanup(site.Close)
	g := &gateway{}
	load := func() (*config.Config, error) {
		cfg, err := config.Parse("cardea.yaml", []byte(inside(dir, text)), options(dir))
		if err != nil {
			return nil, err
		}
		g.ports = relocate(cfg, services, site.Listener.Addr().String())
		return cfg, nil
	}
	g.Gateway = control.New(control.Options{
		Load: load, Dir: dir, Kinds: compile.Builtin(), Version: "test", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		g.Shutdown(ctx)
	})
	if _, err := g.Start(context.Background()); err != nil {
		t.Fatalf("the example does not start:\n%v\n\n%s", err, text)
	}
	return g
}

// relocate moves listeners to free ports, and endpoints to the services of the demo. It returns the ports that were there.
func relocate(cfg *config.Config, services *demo.Services, site string) (ports []string) {
	cfg.Admin.Address = "127.0.0.1:0"
	for i := range cfg.Listen {
		_, port, _ := net.SplitHostPort(cfg.Listen[i].Address)
		ports = append(ports, port)
		cfg.Listen[i].Address = fmt.Sprintf("127.0.0.%d:0", i+1)
	}
	for name, u := range cfg.Upstreams {
		for i := range u.Endpoints {
			at, err := url.Parse(u.Endpoints[i].URL)
			if err != nil {
				continue
			}
			if at.Host == "localhost:9000" {
				u.Endpoints[i].URL = "http://" + site
			} else if address := services.Address(at.Hostname()); address != "" {
				u.Endpoints[i].URL = "http://" + address
			}
		}
		cfg.Upstreams[name] = u
	}
	return ports
}

// connect are the options with which curl finds the gateway at the ports that the example names.
func (g *gateway) connect() string {
	options := "--connect-to :9090:" + g.AdminAddr()
	for i, a := range g.Listen.Addrs() {
		options += " --connect-to :" + g.ports[i] + ":" + a.Actual
	}
	return options
}
