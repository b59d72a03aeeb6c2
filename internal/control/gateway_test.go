package control_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"cardea.dev/cardea/config"
	"cardea.dev/cardea/internal/compile"
	"cardea.dev/cardea/internal/control"
	"cardea.dev/cardea/internal/control/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is a gateway under test, with a configuration that the test changes.
type gateway struct {
	*control.Gateway
	t    *testing.T
	dir  string
	text string
	log  syncBuffer
}

// newGateway returns one that does not run yet.
func newGateway(t *testing.T, text string) *gateway {
	t.Helper()
	return newGatewayIn(t, t.TempDir(), text)
}

// newGatewayIn returns one whose configuration is in a folder.
func newGatewayIn(t *testing.T, dir, text string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: dir, text: text}
	g.Gateway = control.New(control.Options{
		Load: func() (*config.Config, error) {
			return config.Parse("cardea.yaml", []byte(g.text), config.Options{Dir: g.dir})
		},
		Dir: g.dir, Kinds: compile.Builtin(), Version: "1.2.3", Log: slog.New(slog.NewTextHandler(&g.log, nil)),
	})
	t.Cleanup(g.Close)
	return g
}

func started(t *testing.T, text string) *gateway {
	t.Helper()
	g := newGateway(t, text)
	if _, err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// change reloads with another configuration, which must be right.
func (g *gateway) change(text string) {
	g.t.Helper()
	g.text = text
	if _, err := g.Reload(g.t.Context(), "test"); err != nil {
		g.t.Fatal(err)
	}
}

// admin asks the admin API where it listens now.
func (g *gateway) admin(method, path string, fields ...string) (status int, body string) {
	g.t.Helper()
	status, body, err := ask("tcp", g.AdminAddr(), method, path, fields...)
	if err != nil {
		g.t.Fatal(err)
	}
	return status, body
}

func ask(network, address, method, path string, fields ...string) (status int, body string, err error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequest(method, "http://127.0.0.1"+path, nil)
	if err != nil {
		return 0, "", err
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Set(name, value)
	}
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// base is what all configurations here begin with.
const base = "listen: 127.0.0.1:0\nlog: off\nadmin: "

const one = "\nroutes: [{match: /a, respond: one}]\n"

func TestReportsTellHowLoadsWent(t *testing.T) {
	g := newGateway(t, base+"off"+one+"upstreams: {unused: http://127.0.0.1:1}\n")
	if err := g.Ready(); err == nil {
		t.Error("ready before it runs")
	}
	if got := g.Status(); got.Ready || got.Load.Time != (time.Time{}) {
		t.Errorf("status before it runs: %+v", got)
	}
	times := cmpopts.IgnoreFields(control.Report{}, "Time", "Took", "Warnings", "Errors")
	report, err := g.Start(t.Context())
	if diff := cmp.Diff(control.Report{Trigger: "start", OK: true, Routes: 1}, report, times); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if len(report.Warnings) != 1 || report.Took <= 0 || time.Since(report.Time) > time.Minute {
		t.Errorf("got %+v", report)
	}
	if err := g.Ready(); err != nil {
		t.Error(err)
	}
	g.text = base + "off\nroutes: [{match: /a}, {match: /b, to: nowhere}]\n"
	report, err = g.Reload(t.Context(), "admin")
	want := control.Report{Trigger: "admin", Error: err.Error()}
	if diff := cmp.Diff(want, report, times); diff != "" || len(report.Errors) != 2 {
		t.Error(diff, report.Errors)
	}
	if diff := cmp.Diff(report, g.Last(), cmpopts.IgnoreUnexported(config.Error{})); diff != "" {
		t.Error(diff)
	}
	if log := g.log.String(); strings.Count(log, "msg=configuration where=") != 3 || !strings.Contains(log, "errors=2") {
		t.Errorf("the log: %s", log)
	}
}

func TestAnEmptyFileEndsNothing(t *testing.T) {
	g := started(t, "listen: 127.0.0.1:0\nadmin: off\nroutes: {match: /x, respond: hi}")
	g.text = "" // somebody writes it, in place
	if report, err := g.Reload(t.Context(), "file change"); err == nil || report.OK || len(g.Listen.Addrs()) != 1 || g.Engine.Snapshot().RouteCount() != 1 {
		t.Fatal(report, err)
	}
}

func TestAuthoritiesAreWatched(t *testing.T) {
	ca := writeCA(t)
	g := newGateway(t, "listen: 127.0.0.1:0\nadmin: off\nupstreams: {a: {endpoints: https://127.0.0.1:1, tls: {ca: "+ca+"}}}\nroutes: {match: /x, to: a}")
	if used := g.Used(); used != nil {
		t.Error("before it runs:", used)
	}
	if _, err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]watch.Digest{ca: watch.Look(ca)}, g.Used()); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(ca, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Reload(t.Context(), "file change"); err == nil || !strings.Contains(err.Error(), "there is no certificate in "+ca) {
		t.Error(err)
	}
}

// TestFilesOfAFolderAreWatched: those beside a configuration that was named by way of a folder, `cardea run conf/cardea.yaml`.
func TestFilesOfAFolderAreWatched(t *testing.T) {
	ca, err := os.ReadFile(writeCA(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.Mkdir("conf", 0o700); err != nil {
		t.Fatal(err)
	}
	want := map[string]watch.Digest{}
	for name, text := range map[string]string{"sorry.txt": "sorry", "rules.cedar": "permit (principal, action, resource);", "ca.pem": string(ca)} {
		name = filepath.Join("conf", name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		want[name] = watch.Look(name)
	}
	g := newGatewayIn(t, "conf", `
listen: 127.0.0.1:0
admin: off
upstreams: {a: http://127.0.0.1:1}
routes:
  - {match: /x, respond: {file: sorry.txt}}
  - {match: /y, respond: hi, cedar: {policies: rules.cedar}}
  - {match: /z, to: a, upstream_auth: {client_credentials: {token_url: "https://127.0.0.1:1/", client_id: a, client_secret: b, ca: ca.pem}}}
`)
	if _, err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, g.Used()); diff != "" {
		t.Error(diff)
	}
}

// writeCA writes a file with a certificate.
func writeCA(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestItIsNotReadyWhileItDrains(t *testing.T) {
	g := started(t, base+"127.0.0.1:0"+one+"shutdown: {delay: 1h, drain: 1h}\n")
	address := g.AdminAddr()
	ctx, cut := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { g.Shutdown(ctx); close(done) }()
	for g.Ready() == nil {
		time.Sleep(time.Millisecond)
	}
	if status, body := g.admin("GET", "/readyz"); status != 503 || !strings.Contains(body, "draining") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := g.admin("GET", "/livez"); status != 200 {
		t.Errorf("livez: %d", status)
	}
	if status, body := g.admin("POST", "/reload"); status != 422 || !strings.Contains(body, "shutting down") {
		t.Errorf("reload: %d %s", status, body)
	}
	if _, _, err := ask("tcp", g.Listen.Addrs()[0].Actual, "GET", "/a"); err != nil {
		t.Errorf("during the delay, requests are served: %v", err)
	}
	cut()
	<-done
	if _, _, err := ask("tcp", address, "GET", "/livez"); err == nil {
		t.Error("the admin API goes on")
	}
}

func TestItIsToldHowManyWereCut(t *testing.T) {
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	g := started(t, base+"off\nshutdown: 100ms\nupstreams: {slow: "+slow.URL+"}\nroutes: [{match: /a, to: slow}]\n")
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() { _, _, _ = ask("tcp", g.Listen.Addrs()[0].Actual, "GET", "/a") })
	}
	for g.Engine.Running() < 3 {
		time.Sleep(time.Millisecond)
	}
	g.Shutdown(t.Context())
	wait.Wait()
	if log := g.log.String(); !strings.Contains(log, `msg="the drain limit passed; what still ran was cut" running=3`) {
		t.Errorf("the log: %s", log)
	}
}

func TestAFailedStartLeavesNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	g := newGateway(t, "listen: "+l.Addr().String()+"\nlog: off\nadmin: unix:"+socket+one)
	_, err = g.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cardea.yaml:1:9: listen[0].address: cannot listen on "+l.Addr().String()+": address already in use") {
		t.Errorf("got %v", err)
	}
	if g.Ready() == nil {
		t.Error("it is ready")
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket of the admin API is there")
	}
}

func TestLogFilesAreOpenedAnew(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "access.log")
	g := started(t, "listen: 127.0.0.1:0\nadmin: off\nlog: {file: "+file+"}"+one)
	hit := func(path string) {
		t.Helper()
		if _, _, err := ask("tcp", g.Listen.Addrs()[0].Actual, "GET", path); err != nil {
			t.Fatal(err)
		}
	}
	has := func(file, path string) {
		t.Helper()
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
			if text, _ := os.ReadFile(file); strings.Contains(string(text), path) {
				return
			}
		}
		t.Errorf("%s says nothing of %s", file, path)
	}
	hit("/first")
	has(file, "/first")
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	g.ReopenLogs()
	hit("/second")
	has(file, "/second")
}
